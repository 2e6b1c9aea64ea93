import asyncio
import stat
from pathlib import Path

import pytest
from aiohttp import ClientSession

from api.routes import media_node
from app.errors import StartError
from app.media_node import (
    TOKEN_FILE,
    node_token,
    open_media_node,
    serve_media_node,
)
from app.media_node_settings import MIN_TOKEN_LENGTH, MediaNodeSettings
from media_relay.settings import MediaSettings


async def test_the_token_is_made_once_and_kept_for_its_owner(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    token = await node_token(MediaNodeSettings(), directory)
    assert len(token) >= 16
    assert await node_token(MediaNodeSettings(), directory) == token
    assert stat.S_IMODE((directory / TOKEN_FILE).stat().st_mode) == 0o600
    (directory / TOKEN_FILE).write_text("short")
    assert await node_token(MediaNodeSettings(), directory) != token
    given = MediaNodeSettings(token="x" * 16)
    assert await node_token(given, directory) == "x" * 16
    assert "xxxx" not in repr(given)


def test_a_short_token_is_refused() -> None:
    assert media_node.MIN_TOKEN_LENGTH == MIN_TOKEN_LENGTH
    with pytest.raises(ValueError, match="16"):
        MediaNodeSettings(token="short")


async def test_a_node_that_cannot_start_says_why() -> None:
    with pytest.raises(StartError, match=r"\[media\]"):
        open_media_node(MediaSettings(workers=100_000))


async def test_the_node_alone_answers_who_knows_its_token(tmp_path: Path) -> None:
    stop = asyncio.Event()
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(
        serve_media_node(
            MediaSettings(host="127.0.0.1", workers=1),
            MediaNodeSettings(port=0, token="t" * 20),
            tmp_path,
            stop=stop,
            on_started=port.set_result,
        )
    )
    url = f"http://127.0.0.1:{await port}/media/v1/statistics"
    async with ClientSession() as session:
        async with session.get(url) as answer:
            assert answer.status == 401
        async with session.get(url, headers={"Authorization": "Bearer " + "t" * 20}) as answer:
            assert answer.status == 200
            assert (await answer.json())["streams"] == 0
    stop.set()
    await serving
