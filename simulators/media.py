"""Media of simulated devices: clips from files, sent by the native core in real time."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from rich.progress import Progress

from media_relay._core import Clip, Node, NodeSettings, Sender
from sdp.gb import Transport
from simulators.clips import (
    FULL_H264,
    FULL_H265,
    SMALL_H264,
    SMALL_H265,
    ClipProfile,
    ensure_clip,
)
from simulators.profile import ChannelProfile, DeviceProfile

_ROLE = {
    Transport.UDP: "udp",
    Transport.TCP_PASSIVE: "tcp-active",  # the receiver listens, so we connect
    Transport.TCP_ACTIVE: "tcp-passive",
}
_FULL = {"h264": FULL_H264, "h265": FULL_H265}
_SMALL = {"h264": SMALL_H264, "h265": SMALL_H265}


class CoreStream:
    """One sender of the core. It sends from the moment it is open, so it opens at the start.

    The port must be known for the answer before that: it is reserved by a socket of its own. Where
    the platform connects to us, the sender itself listens from the beginning.
    """

    def __init__(self, transport: Transport, host: str, opener: Callable[[int], Sender]) -> None:
        self._opener = opener
        self._sender: Sender | None = None
        self._reserved: socket.socket | None = None
        if transport is Transport.TCP_ACTIVE:
            self._sender = opener(0)
            self.port = self._sender.local_port
        else:
            kind = socket.SOCK_DGRAM if transport is Transport.UDP else socket.SOCK_STREAM
            self._reserved = socket.socket(type=kind)
            self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._reserved.bind((host, 0))
            self.port = int(self._reserved.getsockname()[1])

    def start(self) -> None:
        if self._reserved is not None:
            self._reserved.close()
            self._reserved = None
            self._sender = self._opener(self.port)

    def close(self) -> None:
        if self._reserved is not None:
            self._reserved.close()
            self._reserved = None
        if self._sender is not None:
            self._sender.close()


class ClipStreams:
    """Opens senders over one node; each clip is loaded once however many devices show it.

    :param directory: where encoded clips are kept
    :param host: numeric local address the media leaves from
    """

    def __init__(self, directory: Path, host: str) -> None:
        self._directory = directory
        self._host = host
        self._node = Node(NodeSettings())
        self._clips: dict[str, Clip] = {}
        self._small: dict[str, bool] = {}
        self._opened = 0

    def prepare(self, devices: Iterable[DeviceProfile], progress: Progress | None = None) -> None:
        """Encode the clips that are missing; a minute of one core for a new 1080p clip.

        :raises EncoderMissing: when a clip must be made and PyAV is not installed
        """
        wanted: dict[str, ClipProfile] = {}
        for device in devices:
            for channel in device.channels:
                small = device.main_clip == "small"
                self._small[channel.channel_id] = small
                for sub_stream in (False, True):
                    profile = clip_profile(channel, small=small, sub_stream=sub_stream)
                    wanted[profile.file_name] = profile
        for profile in wanted.values():
            self._load(profile, progress)

    def open(
        self,
        channel: ChannelProfile,
        *,
        sub_stream: bool,
        transport: Transport,
        remote: tuple[str, int],
        ssrc: int,
    ) -> CoreStream:
        small = self._small.get(channel.channel_id, False)
        clip = self._load(clip_profile(channel, small=small, sub_stream=sub_stream), None)
        self._opened += 1
        number = self._opened

        def opener(port: int) -> Sender:
            return self._node.open_sender(
                clip,
                remote=remote,
                transport=_ROLE[transport],
                ssrc=ssrc,
                name=f"{channel.channel_id}-{number}",
                local_host=self._host,
                local_port=port,
                sound=channel.audio,
                seed=number,
            )

        return CoreStream(transport, self._host, opener)

    def close(self) -> None:
        """Stop every sender."""
        self._node.close()

    def _load(self, profile: ClipProfile, progress: Progress | None) -> Clip:
        name = profile.file_name
        if name not in self._clips:
            path = _encode(profile, self._directory, progress)
            self._clips[name] = Clip(path)
        return self._clips[name]


def clip_profile(channel: ChannelProfile, *, small: bool, sub_stream: bool) -> ClipProfile:
    """Which clip a channel shows; a sub stream is small and H.264, so that any browser plays it."""
    profile = SMALL_H264 if sub_stream else (_SMALL if small else _FULL)[channel.codec]
    return replace(profile, audio=True)


def _encode(profile: ClipProfile, directory: Path, progress: Progress | None) -> Path:
    if progress is None or (directory / profile.file_name).exists():
        return ensure_clip(profile, directory)
    size = f"{profile.width}x{profile.height}"
    task = progress.add_task(f"Encoding {profile.codec} {size}", total=profile.frames)
    return ensure_clip(
        profile,
        directory,
        progress=lambda done, total: progress.update(task, completed=done, total=total),
    )
