"""What a simulated device is: values only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypedDict, Unpack

from manscdp.edition import Edition

Codec = Literal["h264", "h265"]
Signalling = Literal["UDP", "TCP"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelProfile:
    """One video channel."""

    channel_id: str
    """20 digits, type 131 or 132 at digits 11-13."""
    name: str
    codec: Codec = "h264"
    audio: bool = False
    """Whether G.711A sound is in the stream."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceProfile:
    """One device: who it is, where it registers, how it behaves."""

    device_id: str
    """20 digits, type 132 (camera) or 118 (recorder) at digits 11-13."""
    name: str
    password: str = field(repr=False)
    channels: tuple[ChannelProfile, ...]
    server_id: str = "34020000002000000001"
    server: tuple[str, int] = ("127.0.0.1", 5060)
    transport: Signalling = "UDP"
    """How it registers; all signalling of both directions uses it (9.1.1)."""
    edition: Edition = Edition.GB2022
    charset: str = "gb18030"
    manufacturer: str = "Simulator"
    model: str = "SIM-1"
    firmware: str = "1.0.0"
    expires: int = 3600
    """Seconds asked for in REGISTER."""
    keepalive_interval: float = 60.0
    """Seconds between two Keepalive messages (9.6.1)."""
    keepalive_misses: int = 3
    """Unanswered Keepalives in a row after which the platform counts as lost (9.6.1)."""
    retry_interval: float = 60.0
    """Least seconds between a failed registration and the next try (9.1.1)."""
    retry_spread: float = 30.0
    """Up to so many random seconds on top, so that a thousand devices do not try at once."""
    catalog_page: int = 2
    """Items in one Catalog answer; two stay below the usual MTU over UDP (annex M)."""
    main_clip: Literal["full", "small"] = "full"
    """``full`` is 1080p25 at about 4 Mbit/s; ``small`` is 360p for tests and low power."""

    @property
    def domain(self) -> str:
        return self.server_id[:10]

    @property
    def is_recorder(self) -> bool:
        return self.device_id != self.channels[0].channel_id


class Habits(TypedDict, total=False):
    """Fields of :class:`DeviceProfile` that a shorthand passes on."""

    server_id: str
    server: tuple[str, int]
    transport: Signalling
    edition: Edition
    charset: str
    expires: int
    keepalive_interval: float
    keepalive_misses: int
    retry_interval: float
    retry_spread: float
    catalog_page: int
    main_clip: Literal["full", "small"]


def camera(
    number: int,
    name: str,
    password: str,
    *,
    codec: Codec = "h264",
    audio: bool = False,
    **habits: Unpack[Habits],
) -> DeviceProfile:
    """A camera whose only channel has the device's own code, as most cameras report it."""
    code = f"34020000001320{number:06d}"
    channel = ChannelProfile(channel_id=code, name=name, codec=codec, audio=audio)
    return DeviceProfile(
        device_id=code, name=name, password=password, channels=(channel,), **habits
    )


def recorder(
    number: int,
    name: str,
    password: str,
    channels: int,
    *,
    audio: bool = True,
    **habits: Unpack[Habits],
) -> DeviceProfile:
    """A network video recorder with ``channels`` cameras, H.264 and H.265 in turn."""
    code = f"34020000001180{number:06d}"
    return DeviceProfile(
        device_id=code,
        name=name,
        password=password,
        channels=recorder_channels(code, name, channels, audio=audio),
        model="SIM-NVR",
        **habits,
    )


def recorder_channels(
    code: str, name: str, channels: int, *, audio: bool
) -> tuple[ChannelProfile, ...]:
    """The cameras of a recorder: its own centre and network, type 131, its serial and theirs."""
    return tuple(
        ChannelProfile(
            channel_id=f"{code[:10]}131{code[13]}{int(code[-3:]):03d}{index:03d}",
            name=f"{name} {index}",
            codec="h264" if index % 2 else "h265",
            audio=audio,
        )
        for index in range(1, channels + 1)
    )
