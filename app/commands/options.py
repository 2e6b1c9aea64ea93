"""Options that several commands take, and the settings they lead to."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from app.console import give_up
from app.errors import StartError
from app.running import run
from app.settings import Settings, SettingsError, load
from storage.errors import StorageError

if TYPE_CHECKING:  # a second's worth of imports that `gb28181 --help` does without
    from app.services import Storage

T = TypeVar("T")

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="TOML file. Default: ./gb28181.toml if there. 配置文件。"),
]
HttpPortOption = Annotated[
    int | None, typer.Option(help="Port of console and API; else [http] port. 控制台端口。")
]
SipPortOption = Annotated[int | None, typer.Option(help="Port of SIP; else [sip] port. SIP 端口。")]
DataOption = Annotated[
    Path | None,
    typer.Option(help="Directory of database and secrets; else that of [storage] path. 数据目录。"),
]

DATABASE = "gb28181.sqlite3"


def settings_of(
    config: Path | None = None,
    *,
    http_port: int | None = None,
    sip_port: int | None = None,
    data: Path | None = None,
) -> Settings:
    """The settings; or the end of the program, with one sentence per mistake."""
    environ = dict(os.environ)
    given = {
        "GB28181_HTTP__PORT": http_port,
        "GB28181_SIP__PORT": sip_port,
        "GB28181_STORAGE__PATH": None if data is None else data / DATABASE,
    }
    environ.update({name: str(value) for name, value in given.items() if value is not None})
    try:
        return load(config, environ)
    except SettingsError as error:
        give_up(*error.mistakes)


def with_storage(settings: Settings, use: "Callable[[Storage], Awaitable[T]]") -> T:
    """Open the database, use it, close it; a mistake is one sentence."""
    from app.services import open_storage

    async def main(stop: asyncio.Event) -> T:
        async with AsyncExitStack() as undo:
            return await use(await open_storage(settings, undo))

    try:
        return run(main)
    except (StartError, StorageError) as error:
        give_up(str(error))
