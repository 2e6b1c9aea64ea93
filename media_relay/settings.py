"""How media is received and served."""

from dataclasses import dataclass

from media_relay import _core


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaSettings:
    """The media node: ports, threads and bounds."""

    host: str = "0.0.0.0"  # noqa: S104 - cameras are on other machines
    """IP address to receive media at. Default: every IPv4 address of the machine."""

    first_port: int = 30000
    """First UDP and TCP port of the media range, 1..65534. Default: above the usual services and
    below the range that Linux takes ports of outgoing connections from."""

    last_port: int = 32399
    """Last port of the media range, 2..65535. A stream takes two: the default is enough for
    1,200 streams."""

    workers: int = 0
    """Threads that carry media, 0..256. Default 0: one per two cores."""

    coalesce_ms: float = 1.0
    """Time between two looks at the sockets under load in milliseconds, 0..20: more takes less CPU
    and adds as much delay. Default: one millisecond is not seen by anybody."""

    silence_seconds: float = 10.0
    """A stream without RTP for so long is reported lost, 1..3600. Default: what ZLMediaKit and
    others use (10 to 15)."""

    max_streams: int = 10000
    """Streams that may be open, 1..100000. Default: the SSRCs of one domain."""

    max_viewers: int = 2000
    """Viewers of one stream, 1..100000. Default: 8 Gbit/s of a 4 Mbit/s stream."""

    gop_megabytes: int = 16
    """Bound of the cached group of pictures of one stream in MiB, 1..256. Default: 32 seconds of
    4 Mbit/s."""

    token_seconds: float = 3600.0
    """How long a play URL opens its stream, 10..604800. Default: one hour."""

    def node_settings(self) -> _core.NodeSettings:
        """What the media core takes of it."""
        return _core.NodeSettings(
            workers=self.workers,
            coalesce=self.coalesce_ms / 1000,
            silence=self.silence_seconds,
            max_streams=self.max_streams,
            max_viewers=self.max_viewers,
            gop_bytes=self.gop_megabytes << 20,
        )
