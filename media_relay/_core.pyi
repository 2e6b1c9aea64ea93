"""The native media core: threads that receive, demux, relay and serve media.

Nothing per packet passes through Python. Every call is a message to a worker thread and its
answer (microseconds when idle, at most ``coalesce`` under load); the GIL is released meanwhile.
Times are seconds of ``time.monotonic()``; sizes are bytes; SSRCs are the 32-bit value of ``y=``.
"""

from os import PathLike
from typing import final

__all__ = [
    "Clip",
    "Event",
    "LimitReached",
    "MediaError",
    "Node",
    "NodeClosed",
    "NodeSettings",
    "NodeStats",
    "PortInUse",
    "Receiver",
    "Relay",
    "RelayStats",
    "Sender",
    "SenderStats",
    "StreamExists",
    "StreamStats",
    "UnknownStream",
    "ViewerStats",
]

class MediaError(Exception):
    """Base of what the media core may raise."""

class PortInUse(MediaError):
    """The local port is taken, or no free pair of ports was found."""

class UnknownStream(MediaError):
    """No stream, relay or sender of that name is open."""

class StreamExists(MediaError):
    """A stream of that name, or with that SSRC on the port, is open already."""

class LimitReached(MediaError):
    """A bound of the settings is reached."""

class NodeClosed(MediaError):
    """The node is closed."""

@final
class NodeSettings:
    """How a node works; never changes."""

    def __new__(
        cls,
        *,
        workers: int = 0,
        coalesce: float = 0.001,
        silence: float = 10.0,
        event_queue: int = 65536,
        max_streams: int = 10000,
        max_viewers: int = 2000,
        max_relays: int = 64,
        gop_bytes: int = 16_777_216,
        gop_frames: int = 1500,
    ) -> NodeSettings:
        """
        :param workers: threads; 0: one per two cores, at least one
        :param coalesce: seconds between two looks at the sockets under load, 0..0.02; packets of
            one frame are then taken by one call; bounds the added latency
        :param silence: seconds without RTP before a stream is reported silent
        :param event_queue: events that may wait; when nobody takes them the oldest are dropped,
            those that tell least first; the end of a viewer, relay or sender never is
        :param max_streams: receivers that may be open
        :param max_viewers: viewers of one stream
        :param max_relays: relays of one stream
        :param gop_bytes: bound of the cached group of pictures of one stream
        :param gop_frames: the same in frames
        """

    @property
    def workers(self) -> int:
        """Threads, never 0."""
    @property
    def coalesce(self) -> float:
        """Seconds."""
    @property
    def silence(self) -> float:
        """Seconds."""

@final
class Event:
    """One piece of news about a stream, a viewer, a relay or a sender."""

    @property
    def stream(self) -> str:
        """Name of the stream (of the sender, for ``sender_*``); empty for ``unknown_ssrc``."""
    @property
    def kind(self) -> str:
        """``connected`` ``connect_failed`` ``disconnected`` (TCP); ``first_packet``;
        ``ssrc_matched`` ``ssrc_adopted``; ``ps_locked``; ``parameter_sets`` (first and changed);
        ``video`` and ``key_frame`` (first ones); ``audio`` (first and changed); ``quirk`` (each
        kind once); ``silent`` ``resumed``; ``viewer_first_byte`` ``viewer_left``;
        ``relay_connected`` ``relay_failed``; ``unknown_ssrc`` (shared port, at most every 10 s);
        ``sender_connected`` ``sender_failed``."""
    @property
    def at(self) -> float:
        """Seconds of ``time.monotonic()``."""
    @property
    def detail(self) -> str:
        """An address, an SSRC in ten digits, a codec, a reason; English."""
    @property
    def viewer(self) -> int:
        """Number of the viewer or relay; 0 when the news is about the stream itself."""

@final
class ViewerStats:
    """Counters of one viewer."""

    @property
    def number(self) -> int: ...
    @property
    def container(self) -> str:
        """``flv`` or ``fmp4``."""
    @property
    def websocket(self) -> bool: ...
    @property
    def bytes(self) -> int:
        """Bytes the socket took, with headers."""
    @property
    def frames(self) -> int: ...
    @property
    def skipped(self) -> int:
        """Frames left out because the viewer was slow."""
    @property
    def waiting_bytes(self) -> int:
        """Bytes that wait for the viewer; their payload is shared with other viewers."""

@final
class RelayStats:
    """Counters of one relay; they never go back."""

    @property
    def number(self) -> int: ...
    @property
    def stream(self) -> str: ...
    @property
    def remote(self) -> str:
        """``host:port`` the media goes to."""
    @property
    def local_port(self) -> int: ...
    @property
    def transport(self) -> str: ...
    @property
    def ssrc(self) -> int: ...
    @property
    def connected(self) -> bool: ...
    @property
    def packets(self) -> int:
        """RTP packets sent."""
    @property
    def bytes(self) -> int: ...
    @property
    def dropped_packets(self) -> int:
        """Not sent: no connection yet, send error, or a slow TCP peer."""
    @property
    def dropped_frames(self) -> int:
        """Whole frames left out for a slow TCP peer."""
    @property
    def waiting_bytes(self) -> int:
        """Bytes that wait for a TCP peer."""
    @property
    def restarts(self) -> int:
        """Times the numbering was continued over a change of the source."""

@final
class SenderStats:
    """Counters of one sender; they never go back."""

    @property
    def name(self) -> str: ...
    @property
    def local_port(self) -> int: ...
    @property
    def connected(self) -> bool: ...
    @property
    def frames(self) -> int: ...
    @property
    def packets(self) -> int: ...
    @property
    def bytes(self) -> int: ...
    @property
    def dropped(self) -> int:
        """Packets left out on purpose, or for a slow or lost peer."""
    @property
    def stalls(self) -> int:
        """Times the sender was held up for more than a second."""

@final
class NodeStats:
    """Counts of one node."""

    @property
    def workers(self) -> int: ...
    @property
    def streams(self) -> int: ...
    @property
    def viewers(self) -> int: ...
    @property
    def relays(self) -> int: ...
    @property
    def senders(self) -> int: ...
    @property
    def dropped_events(self) -> int:
        """Events dropped because nobody took them."""
    @property
    def unknown_ssrc(self) -> int:
        """Packets on shared ports whose SSRC nobody expects."""
    @property
    def unbound_closed(self) -> int:
        """TCP connections to shared ports that ended before they were any stream's: no RTP within
        10 s or 64 KiB, an SSRC that nobody expects, the oldest of more than 256 at once, a host
        that the stream does not take."""
    @property
    def turns(self) -> int:
        """Turns of the worker loops."""

@final
class StreamStats:
    """A snapshot of one receiver. Counters never go back while it is open."""

    @property
    def stream(self) -> str: ...
    @property
    def transport(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def source(self) -> str:
        """``host:port`` the media comes from; empty before the first packet."""
    @property
    def expected_ssrc(self) -> int | None: ...
    @property
    def ssrc(self) -> int | None:
        """The SSRC in use."""
    @property
    def payload_type(self) -> int | None: ...
    @property
    def receive_buffer(self) -> int:
        """SO_RCVBUF as the kernel granted it; 0 over TCP and on a shared port."""
    @property
    def demuxing(self) -> bool:
        """False: packets are only counted and relayed."""
    @property
    def paused(self) -> bool: ...
    @property
    def silent(self) -> bool: ...
    @property
    def packets(self) -> int:
        """RTP packets accepted."""
    @property
    def bytes(self) -> int:
        """Their bytes with RTP headers."""
    @property
    def lost(self) -> int:
        """Sequence numbers that never came within the reorder window."""
    @property
    def duplicates(self) -> int: ...
    @property
    def reordered(self) -> int:
        """Packets that came out of order and were put right."""
    @property
    def late(self) -> int: ...
    @property
    def wrong_source(self) -> int:
        """Dropped: came from another address than the bound one."""
    @property
    def wrong_ssrc(self) -> int:
        """Dropped: carried an SSRC that is not this stream's."""
    @property
    def noise(self) -> int:
        """Dropped: neither RTP nor RTCP."""
    @property
    def kernel_drops(self) -> int:
        """Datagrams the kernel dropped because the receive buffer was full (SO_MEMINFO)."""
    @property
    def reads(self) -> int:
        """System calls that took packets."""
    @property
    def connections(self) -> int:
        """TCP connections so far."""
    @property
    def reports_sent(self) -> int:
        """RTCP receiver reports sent, one every 5 s over UDP."""
    @property
    def rtcp_packets(self) -> int: ...
    @property
    def jitter(self) -> float:
        """Interarrival jitter in seconds, RFC 3550 section A.8."""
    @property
    def bitrate(self) -> int:
        """Bits per second of the last full second."""
    @property
    def fps(self) -> float:
        """Frames per second of the last full second."""
    @property
    def video_codec(self) -> str | None:
        """``h264`` ``h265`` ``mpeg4`` ``svac``."""
    @property
    def audio_codec(self) -> str | None:
        """``g711a`` ``g711u`` ``aac`` ``g722.1`` ``g723.1`` ``g729`` ``svac_audio``."""
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def video_frames(self) -> int: ...
    @property
    def audio_frames(self) -> int: ...
    @property
    def key_frames(self) -> int: ...
    @property
    def corrupt_frames(self) -> int:
        """Dropped because something of them was lost."""
    @property
    def skipped_frames(self) -> int:
        """Dropped while waiting for a key frame."""
    @property
    def resyncs(self) -> int:
        """Times the program stream had to be searched for a start code."""
    @property
    def gop_frames(self) -> int:
        """Frames between the last two key frames."""
    @property
    def cached_frames(self) -> int:
        """Frames kept for viewers who join."""
    @property
    def cached_bytes(self) -> int: ...
    @property
    def first_packet_at(self) -> float | None:
        """Seconds of ``time.monotonic()``."""
    @property
    def last_packet_at(self) -> float | None:
        """Seconds of ``time.monotonic()``."""
    @property
    def quirks(self) -> list[tuple[str, int]]:
        """Deviations seen and how often; names as in docs/protocol/media-quirks.md."""
    @property
    def viewers(self) -> list[ViewerStats]: ...
    @property
    def relays(self) -> list[RelayStats]: ...

@final
class Receiver:
    """One stream's way in. Dropping the object does not close it."""

    @property
    def stream(self) -> str: ...
    @property
    def port(self) -> int:
        """Local RTP port; RTCP is ``port + 1`` over UDP."""
    def expect(self, ssrc: int | None) -> None:
        """The answer names another SSRC. Changed in place: the socket stays open."""
    def connect(self, host: str, port: int) -> None:
        """TCP-active: connect from the offered port; tried four times, one second apart.

        :raises ValueError: when the receiver is not TCP-active
        """
    def set_paused(self, paused: bool) -> None:
        """While paused, silence is not reported."""
    def set_ready(self, ready: bool) -> None:
        """Demux even while nobody looks, or only count and relay."""
    def stats(self) -> StreamStats: ...
    def close(self) -> None:
        """Close sockets, relays and viewers; free the port. Safe to call twice."""

@final
class Relay:
    """One stream passed on to one address under an own SSRC."""

    @property
    def stream(self) -> str: ...
    @property
    def number(self) -> int: ...
    @property
    def local_port(self) -> int: ...
    def stats(self) -> RelayStats: ...
    def close(self) -> RelayStats | None:
        """The last counters; None when it was closed before, by itself or with its stream."""

@final
class Clip:
    """A recorded camera, loaded once and shared by many senders."""

    def __new__(cls, path: str | PathLike[str]) -> Clip:
        """
        :raises OSError: when the file cannot be read
        :raises ValueError: when it is not a clip
        """
    @property
    def video_codec(self) -> str: ...
    @property
    def audio_codec(self) -> str | None: ...
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def frames(self) -> int: ...
    @property
    def duration(self) -> float:
        """Seconds of the loop."""

@final
class Sender:
    """A simulated device's media: a clip in real time, over and over."""

    @property
    def local_port(self) -> int: ...
    def stats(self) -> SenderStats: ...
    def close(self) -> None:
        """Safe to call twice."""

@final
class Node:
    """Threads and sockets; everything per packet lives below it."""

    def __new__(cls, settings: NodeSettings | None = None) -> Node:
        """Starts the threads."""
    @property
    def event_fd(self) -> int:
        """Readable while events wait; for ``loop.add_reader``."""
    def take_events(self, limit: int = 1024) -> list[Event]:
        """The oldest events; the descriptor stays readable while more wait."""
    def open_receiver(
        self,
        stream: str,
        *,
        host: str,
        port: int,
        transport: str,
        ssrc: int | None,
        single_port: bool = False,
        source: str | None = None,
        ready: bool = True,
        payload_type: int = 96,
        live: bool = True,
        mu_law: bool = False,
    ) -> Receiver:
        """
        :param host: numeric local address
        :param port: even for UDP (RTCP is the next one); 0: any free
        :param transport: ``udp``, ``tcp-passive`` (we listen) or ``tcp-active``
        :param ssrc: expected SSRC; another one is adopted on a port of one's own
        :param single_port: share the port with other streams of the same transport, told apart by
            SSRC; ``udp``, or ``tcp-passive``: then a connection is a stream's from its first RTP
            packet on. Until then it may hold 64 KiB for 10 s; one with an SSRC that nobody expects
            is closed after that, unless :meth:`Receiver.expect` names it. A newer connection takes
            the place of a stream's when it brings the same SSRC (from ``source``, where given).
            UDP and TCP may use the same port number
        :param source: take media from this numeric address only
        :param ready: demux and keep a group of pictures even while nobody looks
        :param payload_type: of the SDP answer
        :param live: False for playback and download: gaps in time are real
        :param mu_law: stream type 0x90 means mu-law (old devices)
        :raises PortInUse: when the port is taken
        :raises StreamExists: when the name is open, or the SSRC on the shared port
        """
    def open_relay(
        self,
        stream: str,
        *,
        remote: tuple[str, int],
        transport: str,
        ssrc: int,
        local_host: str = "0.0.0.0",  # noqa: S104
        local_port: int = 0,
    ) -> Relay:
        """Pass RTP through: own SSRC, sequence and timestamps that go on over source changes.

        :param transport: ``udp``, ``tcp-active`` (we connect) or ``tcp-passive``
        :raises UnknownStream:
        :raises LimitReached:
        """
    def open_sender(
        self,
        clip: Clip,
        *,
        remote: tuple[str, int],
        transport: str,
        ssrc: int,
        name: str = "",
        local_host: str = "0.0.0.0",  # noqa: S104
        local_port: int = 0,
        payload_type: int = 96,
        sound: bool = True,
        start_frame: int = 0,
        seed: int = 0,
        drop_fraction: float = 0.0,
        drop_seed: int = 1,
        gso: bool = True,
    ) -> Sender:
        """
        :param transport: ``udp``, ``tcp-active`` (we connect) or ``tcp-passive`` (we listen; the
            first connection gets the media, ``remote`` is not used)
        :param name: put into events as ``stream``
        :param start_frame: the key frame at or before it is sent first
        :param seed: first sequence number and times are drawn from it
        :param drop_fraction: fault: this part of the packets is not sent, 0..1
        :param drop_seed: the same seed loses the same packets
        :param gso: hand runs of packets to the kernel at once; False: as a camera does it
        """
    def add_viewer(
        self,
        stream: str,
        fd: int,
        *,
        container: str,
        websocket: bool = False,
        head: bytes,
    ) -> int:
        """Serve a connected stream socket from now on; its number is in events.

        The descriptor is duplicated. The caller must neither read nor write it any more, and
        closes its own one after ``viewer_left``.

        :param container: ``flv`` or ``fmp4``
        :param websocket: the handshake is made: each piece is one binary message
        :param head: sent first, as it is: the head of the HTTP response
        :raises UnknownStream:
        :raises LimitReached:
        """
    def remove_viewer(self, stream: str, viewer: int) -> bool:
        """False: it has left already."""
    def stream_stats(self) -> list[StreamStats]:
        """All receivers, in one question per worker."""
    def stats(self) -> NodeStats: ...
    def close(self) -> None:
        """Stop the threads, free every port. Safe to call twice."""
