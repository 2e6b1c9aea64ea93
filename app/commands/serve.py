"""``gb28181 serve`` and ``gb28181 media-node``."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from app.commands.options import (
    ConfigOption,
    DataOption,
    HttpPortOption,
    SipPortOption,
    settings_of,
)
from app.console import give_up, say
from app.errors import StartError
from app.logs import configure_logs
from app.running import run
from app.settings import Settings

if TYPE_CHECKING:  # a second's worth of imports that `gb28181 --help` does without
    from app.wiring import Started


def serve(
    config: ConfigOption = None,
    http_port: HttpPortOption = None,
    sip_port: SipPortOption = None,
    data: DataOption = None,
) -> None:
    """Start the platform. 启动平台。

    It needs no configuration: the database is made below ./data, and the first start prints the
    login of the console.

    Example: gb28181 serve --http-port 8080 --sip-port 5060
    """
    settings = settings_of(config, http_port=http_port, sip_port=sip_port, data=data)
    configure_logs(settings.log)
    from app.wiring import serve as run_platform

    async def main(stop: asyncio.Event) -> None:
        await run_platform(settings, stop=stop, on_started=lambda s: announce(settings, s))

    try:
        run(main)
    except StartError as error:
        give_up(str(error))
    say("Stopped. 已停止。")


def media_node(config: ConfigOption = None, data: DataOption = None) -> None:
    """Start a media node alone: its HTTP API and the streams, no SIP. 单独启动媒体节点。

    Example: gb28181 media-node --config node.toml
    """
    settings = settings_of(config, data=data)
    configure_logs(settings.log)
    from app.media_node import TOKEN_FILE, serve_media_node

    directory = Path(settings.storage.path).parent

    def started(port: int) -> None:
        say(f"Media node: http://{settings.media_node.host}:{port}/media/v1")
        if not settings.media_node.token:
            say(f"Its token is in {directory / TOKEN_FILE}. 令牌在该文件中。")

    async def main(stop: asyncio.Event) -> None:
        await serve_media_node(
            settings.media, settings.media_node, directory, stop=stop, on_started=started
        )

    try:
        run(main)
    except StartError as error:
        give_up(str(error))


def announce(settings: Settings, started: "Started") -> None:
    """What to open, what to enter on a device, and the first login."""
    host = _reachable(settings.http.host)
    say(f"Console 控制台:  http://{host}:{started.http_port}/", "bold")
    say(f"API 接口文档:     http://{host}:{started.http_port}/api/docs")
    identity = settings.platform
    say(
        f"SIP 信令:         port {started.sip_port} (UDP and TCP), server ID {identity.id},"
        f" domain {identity.sip_domain}"
    )
    if started.login is not None:
        say(
            f"First login 初始登录: user {started.login.name}, password {started.login.password}"
            f"  (kept in {started.login.file})",
            "bold",
        )


def _reachable(host: str) -> str:
    return "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 - compared only
