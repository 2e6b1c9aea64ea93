"""``gb28181 simulate``: simulated cameras and recorders on the command line."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from pathlib import Path
from typing import Annotated, get_args

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from manscdp.edition import Edition
from simulators.clips import EncoderMissing
from simulators.device import SimulatedDevice
from simulators.profile import (
    ChannelProfile,
    Codec,
    DeviceProfile,
    Signalling,
    recorder_channels,
)
from simulators.registration import Presence
from simulators.site import SiteRunner
from sipserver.transport.errors import TransportError

app = typer.Typer(
    help="Simulate cameras and recorders that register and send real media.\n\n"
    "模拟可注册并发送真实媒体的摄像机和录像机。",
    no_args_is_help=True,
)
console = Console(stderr=True)

MAX_DEVICES = 10_000
CANNOT_RUN = (EncoderMissing, OSError, TransportError, ValueError)
"""A missing encoder, a full disk, a taken port, a code given twice: one sentence each."""

ServerOption = Annotated[str, typer.Option(help="Address of the platform, host:port. 平台地址。")]
ServerIdOption = Annotated[
    str, typer.Option(help="20-digit code of the platform. 平台编码，20 位。")
]
PasswordOption = Annotated[
    str, typer.Option(help="Registration password. 注册密码。", envvar="GB28181_SIMULATOR_PASSWORD")
]
CodecOption = Annotated[str, typer.Option(help="h264 or h265. 视频编码。")]
TransportOption = Annotated[str, typer.Option(help="UDP or TCP for the signalling. 信令传输方式。")]
EditionOption = Annotated[
    str, typer.Option(help="1.0 (2011), 2.0 (2016) or 3.0 (2022). 协议版本。")
]
CountOption = Annotated[
    int,
    typer.Option(min=1, max=MAX_DEVICES, help="How many, with consecutive codes. 数量，编码连续。"),
]
NameOption = Annotated[str, typer.Option(help="Name, in any characters of GB 18030. 名称。")]
SmallOption = Annotated[
    bool, typer.Option("--small", help="360p at 600 kbit/s instead of 1080p at 4 Mbit/s. 小码流。")
]
SecondsOption = Annotated[
    float, typer.Option(min=0, help="Stop after so many seconds; 0 runs until Ctrl-C. 运行秒数。")
]
RampOption = Annotated[
    float, typer.Option(min=0, help="Seconds over which the devices start. 启动分散秒数。")
]
HostOption = Annotated[str, typer.Option(help="Local address of the devices. 设备本地地址。")]
ClipsOption = Annotated[Path, typer.Option(help="Where encoded clips are kept. 视频片段目录。")]
SeedOption = Annotated[int, typer.Option(help="Makes a run repeatable. 随机种子。")]


@app.command()
def device(
    server: ServerOption = "127.0.0.1:5060",
    server_id: ServerIdOption = "34020000002000000001",
    device_id: Annotated[
        str, typer.Option(help="20-digit code. 设备编码，20 位。")
    ] = "34020000001320000001",
    password: PasswordOption = "12345678",  # noqa: S107 - what a simulator starts with
    name: NameOption = "Simulated camera",
    codec: CodecOption = "h264",
    audio: Annotated[
        bool, typer.Option("--audio", help="Send G.711A sound too. 同时发送声音。")
    ] = False,
    transport: TransportOption = "UDP",
    edition: EditionOption = "3.0",
    count: CountOption = 1,
    small: SmallOption = False,
    host: HostOption = "127.0.0.1",
    ramp: RampOption = 0.0,
    seconds: SecondsOption = 0.0,
    clips: ClipsOption = Path("build/clips"),
    seed: SeedOption = 1,
) -> None:
    """Simulate cameras. 模拟摄像机。

    Example: gb28181 simulate device --device-id 34020000001320000001 --codec h265 --transport TCP
    """
    profiles = []
    for number in range(count):
        code = consecutive(device_id, number)
        label = name if count == 1 else f"{name} {number + 1}"
        channel = ChannelProfile(channel_id=code, name=label, codec=_codec(codec), audio=audio)
        profiles.append(
            _profile(
                code, label, password, (channel,), server, server_id, transport, edition, small
            )
        )
    _run(profiles, clips=clips, host=host, ramp=ramp, seconds=seconds, seed=seed)


@app.command()
def nvr(
    server: ServerOption = "127.0.0.1:5060",
    server_id: ServerIdOption = "34020000002000000001",
    device_id: Annotated[
        str, typer.Option(help="20-digit code. 设备编码，20 位。")
    ] = "34020000001180000001",
    password: PasswordOption = "12345678",  # noqa: S107 - what a simulator starts with
    name: NameOption = "Simulated recorder",
    channels: Annotated[
        int, typer.Option(min=1, max=512, help="Cameras of each recorder. 每台录像机的通道数。")
    ] = 8,
    transport: TransportOption = "TCP",
    edition: EditionOption = "3.0",
    count: CountOption = 1,
    small: SmallOption = False,
    host: HostOption = "127.0.0.1",
    ramp: RampOption = 0.0,
    seconds: SecondsOption = 0.0,
    clips: ClipsOption = Path("build/clips"),
    seed: SeedOption = 1,
) -> None:
    """Simulate recorders with several cameras and G.711A sound. 模拟多通道录像机。

    Example: gb28181 simulate nvr --channels 8
    """
    profiles = []
    for number in range(count):
        code = consecutive(device_id, number)
        label = name if count == 1 else f"{name} {number + 1}"
        listed = recorder_channels(code, label, channels, audio=True)
        profiles.append(
            _profile(code, label, password, listed, server, server_id, transport, edition, small)
        )
    _run(profiles, clips=clips, host=host, ramp=ramp, seconds=seconds, seed=seed)


def consecutive(code: str, number: int) -> str:
    """The code ``number`` places after this one, in the last six digits.

    :raises typer.BadParameter: for anything but 20 digits, or when the digits run out
    """
    if len(code) != 20 or not code.isdigit():
        raise typer.BadParameter(f"{code!r} is not 20 digits")
    serial = int(code[14:]) + number
    if serial > 999_999:
        raise typer.BadParameter(f"no code is left after {code}; start with a lower one")
    return f"{code[:14]}{serial:06d}"


def parse_server(text: str) -> tuple[str, int]:
    """``host:port`` or ``host`` (port 5060).

    :raises typer.BadParameter: when the port is no number of 1..65535
    """
    host, colon, port = text.rpartition(":")
    if not colon:
        return text, 5060
    if not port.isdigit() or not 0 < int(port) < 65_536:
        raise typer.BadParameter(f"{port!r} in {text!r} is no port; write host:port")
    return host, int(port)


def _codec(text: str) -> Codec:
    for codec in get_args(Codec):
        if codec == text.lower():
            found: Codec = codec
            return found
    raise typer.BadParameter(f"{text!r}: choose h264 or h265")


def _profile(
    code: str,
    name: str,
    password: str,
    channels: tuple[ChannelProfile, ...],
    server: str,
    server_id: str,
    transport: str,
    edition: str,
    small: bool,
) -> DeviceProfile:
    if transport.upper() not in get_args(Signalling):
        raise typer.BadParameter(f"{transport!r}: choose UDP or TCP")
    if edition not in list(Edition):
        raise typer.BadParameter(f"{edition!r}: choose one of {', '.join(Edition)}")
    return DeviceProfile(
        device_id=code,
        name=name,
        password=password,
        channels=channels,
        server=parse_server(server),
        server_id=server_id,
        transport="TCP" if transport.upper() == "TCP" else "UDP",
        edition=Edition(edition),
        main_clip="small" if small else "full",
    )


def _run(
    profiles: list[DeviceProfile], *, clips: Path, host: str, ramp: float, seconds: float, seed: int
) -> None:
    try:
        asyncio.run(
            run_devices(profiles, clips=clips, host=host, ramp=ramp, seconds=seconds, seed=seed)
        )
    except CANNOT_RUN as error:
        console.print(f"[red]{escape(str(error))}[/red]")
        raise typer.Exit(2) from error


async def run_devices(
    profiles: list[DeviceProfile],
    *,
    clips: Path,
    host: str = "127.0.0.1",
    ramp: float = 0.0,
    seconds: float = 0.0,
    seed: int = 1,
) -> None:
    """Encode what is missing, run the devices, print what they came to."""
    from simulators.media import ClipStreams  # the native module; `--help` does without it

    with Progress(
        TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=console
    ) as progress:
        streams = ClipStreams(clips, host)
        streams.prepare(profiles, progress)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    runner = SiteRunner(
        profiles, streams, host=host, ramp=ramp, seed=seed, on_presence=_print_presence
    )
    running = asyncio.create_task(runner.run())
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait(
        (running, stopped), timeout=seconds or None, return_when=asyncio.FIRST_COMPLETED
    )
    report = runner.report()
    stopped.cancel()
    if running.done():
        running.result()  # a failed start is an error, not a report
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    streams.close()
    console.print(
        f"{report.online} of {report.devices} devices online,"
        f" {report.registrations} registrations, "
        f"{report.keepalives} keepalives, {report.invites} plays."
    )
    for cause, count in sorted(report.failures.items()):
        console.print(f"  {count} × {escape(cause)}")


def _print_presence(device: SimulatedDevice, presence: Presence) -> None:
    colour = {"online": "green", "offline": "red"}.get(presence.value, "dim")
    why = device.registration.failure if presence is Presence.OFFLINE else ""
    console.print(
        f"[{colour}]{presence.value:8}[/] {device.profile.device_id}"
        f" {escape(device.profile.name)} {escape(why)}"
    )
