"""The media node's own API: its token, and the node as a program of its own."""

import asyncio
import os
import secrets
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from api.routes.media_node import media_node_app
from api.settings import HttpSettings
from app.errors import StartError
from app.http import HttpSite
from app.live_view import play_secret
from app.media_node_settings import MIN_TOKEN_LENGTH, MediaNodeSettings
from media_relay.errors import MediaError
from media_relay.node import LocalMediaNode
from media_relay.ports import PortPool
from media_relay.settings import MediaSettings
from media_relay.tokens import PlayTokens

TOKEN_FILE: Final = "media-node-token.txt"  # noqa: S105 - the name of a file


async def node_token(settings: MediaNodeSettings, directory: Path) -> str:
    """The token of the settings, else the one of the file, else a new one."""
    return settings.token or await asyncio.to_thread(_read_or_make, directory / TOKEN_FILE)


def open_media_node(settings: MediaSettings) -> LocalMediaNode:
    """:raises StartError: when the media core refuses"""
    try:
        node = LocalMediaNode(settings.node_settings())
    except (MediaError, ValueError) as error:
        raise StartError(f"The media node cannot start: {error}. See [media].") from error
    node.start()
    return node


async def serve_media_node(
    media: MediaSettings,
    settings: MediaNodeSettings,
    directory: Path,
    *,
    stop: asyncio.Event,
    on_started: Callable[[int], None],
) -> None:
    """The media node alone, until ``stop`` is set.

    :raises StartError: when it cannot start; the text says what to do
    """
    async with AsyncExitStack() as undo:
        node = open_media_node(media)
        undo.callback(node.close)
        token = await node_token(settings, directory)
        tokens = PlayTokens(await play_secret(directory), lifetime=media.token_seconds)
        ports = PortPool(media.first_port, media.last_port)
        site = HttpSite(
            media_node_app(node, token, ports=ports, tokens=tokens),
            HttpSettings(host=settings.host, port=settings.port),
        )
        undo.push_async_callback(site.close)
        await site.start()
        on_started(site.port)
        await stop.wait()


def _read_or_make(path: Path) -> str:
    try:
        token = path.read_text(encoding="ascii").strip()
        if len(token) >= MIN_TOKEN_LENGTH:
            return token
        path.unlink()
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    token = secrets.token_urlsafe(24)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(f"{token}\n")
    return token
