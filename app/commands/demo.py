"""``gb28181 demo``: the platform with simulated cameras, each in a process of its own."""

import asyncio
import os
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from api.passwords import random_password
from app.commands.options import (
    ConfigOption,
    DataOption,
    HttpPortOption,
    SipPortOption,
    settings_of,
)
from app.commands.serve import announce
from app.console import give_up, say
from app.errors import StartError
from app.first_run import read_initial_password
from app.logs import LogSettings, configure_logs
from app.running import run
from app.settings import Settings
from sipserver.device.accounts import DeviceAccount

if TYPE_CHECKING:  # a second's worth of imports that `gb28181 --help` does without
    from app.wiring import Started
    from simulators.demo import DemoDevice

PASSWORD_VARIABLE: Final = "GB28181_DEMO_PASSWORD"  # noqa: S105 - the name of a variable
LAST_WORDS: Final = 10.0
"""Seconds that the cameras get to unregister."""


def demo(
    config: ConfigOption = None,
    http_port: HttpPortOption = None,
    sip_port: SipPortOption = None,
    data: DataOption = None,
    clips: Annotated[
        Path, typer.Option(help="Where encoded clips are kept. 视频片段目录。")
    ] = Path("build/clips"),
) -> None:
    """Start the platform with simulated cameras. 启动平台和模拟摄像机。

    One H.264 camera over UDP, one H.265 over TCP, an 8-channel recorder with sound, and one with
    a GB 18030 name. The first start encodes their clips, about a minute.

    Example: gb28181 demo --http-port 8080
    """
    settings = settings_of(config, http_port=http_port, sip_port=sip_port, data=data)
    configure_logs(settings.log)
    try:
        run(lambda stop: _demo(settings, clips, stop))
    except StartError as error:
        give_up(str(error))
    say("Stopped. 已停止。")


def demo_cameras(
    sip_port: Annotated[int, typer.Option(help="SIP port of the platform.")],
    server_id: Annotated[str, typer.Option(help="ID of the platform.")],
    clips: Annotated[Path, typer.Option(help="Where encoded clips are kept.")],
) -> None:
    """The cameras of the demo, in a process of their own. 演示用摄像机。

    Example: gb28181 demo-cameras --sip-port 5060 --server-id 34020000002000000001 --clips clips
    """
    from simulators.cli import CANNOT_RUN, run_devices
    from simulators.demo import demo_devices

    configure_logs(LogSettings(level="warning"))
    password = os.environ.get(PASSWORD_VARIABLE, "")
    devices = demo_devices(("127.0.0.1", sip_port), server_id, password)
    try:
        asyncio.run(run_devices([device.profile for device in devices], clips=clips, ramp=1.0))
    except CANNOT_RUN as error:
        give_up(f"The cameras cannot start: {str(error).rstrip('.')}.")


async def _demo(settings: Settings, clips: Path, stop: asyncio.Event) -> None:
    from app.wiring import serve as run_platform

    password = await provision(settings)
    started: asyncio.Future[Started] = asyncio.get_running_loop().create_future()
    ending = asyncio.Event()
    platform = asyncio.create_task(
        run_platform(settings, stop=ending, on_started=started.set_result), name="platform"
    )
    await asyncio.wait((platform, started), return_when=asyncio.FIRST_COMPLETED)
    if started.done():
        _announce(settings, started.result())
        command = _camera_command(settings, started.result(), clips)
        cameras = asyncio.create_task(run_cameras(command, password, stop), name="cameras")
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait((platform, stopping), return_when=asyncio.FIRST_COMPLETED)
        stop.set()  # a platform that failed takes its cameras along
        await cameras  # they say goodbye while there is somebody to hear it
        ending.set()
    await platform


def _announce(settings: Settings, started: "Started") -> None:
    announce(settings, started)
    if started.login is None:
        known = read_initial_password(Path(settings.storage.path).parent)
        if known is not None:
            say(f"Login 登录: user {known[0]}, password {known[1]}", "bold")
        else:
            say("Log in with the password you chose. 请使用您设置的密码登录。")
    say("Ctrl-C stops the demo. 按 Ctrl-C 停止。")


async def provision(settings: Settings) -> str:
    """Let the cameras register; their password stays the same from demo to demo."""
    from app.services import open_storage
    from simulators.demo import demo_devices

    async with AsyncExitStack() as undo:
        provisioning = (await open_storage(settings, undo)).provisioning
        known = {account.device_id: account for account in await provisioning.accounts()}
        devices = demo_devices(("127.0.0.1", 5060), settings.platform.id, "")
        first = known.get(devices[0].profile.device_id)
        password = first.password if first is not None else random_password()
        for device in devices:
            await provisioning.put(_account(device, password))
        return password


def _account(device: "DemoDevice", password: str) -> DeviceAccount:
    return DeviceAccount(
        device_id=device.profile.device_id,
        password=password,
        media_transport=device.media_transport,
    )


def _camera_command(settings: Settings, started: "Started", clips: Path) -> tuple[str, ...]:
    where = ("--sip-port", str(started.sip_port), "--server-id", settings.platform.id)
    return (sys.executable, "-m", "app", "demo-cameras", *where, "--clips", str(clips))


async def run_cameras(command: tuple[str, ...], password: str, stop: asyncio.Event) -> None:
    """The child process, until ``stop`` is set; its early end is told, not fatal."""
    child = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, PASSWORD_VARIABLE: password},
        start_new_session=True,  # Ctrl-C is ours to pass on
    )
    ended = asyncio.ensure_future(child.wait())
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait((ended, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if ended.done():
        say(f"The simulated cameras ended with code {ended.result()}; the platform runs on.", "red")
        return
    child.terminate()
    try:
        async with asyncio.timeout(LAST_WORDS):
            await ended
    except TimeoutError:
        child.kill()
        await child.wait()
