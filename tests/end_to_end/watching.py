"""Viewers that decode what they get and read the number in every picture."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Final

import av
from av.container import InputContainer
from av.video.frame import VideoFrame

from simulators.clips import read_frame_number

LOOP: Final = 250
"""Frames of a clip; after them it starts anew."""
GOP: Final = 50
RATE: Final = 25
ENOUGH: Final = 80
"""Frames that a test looks at: three seconds and a bit, so that a GOP ends within."""

LIVE: Final = {"analyzeduration": "300000", "fpsprobesize": "0"}
"""Begin to decode after 0.3 s of the stream, as a player does, not after FFmpeg's five."""


def gap(numbers: Sequence[int]) -> str:
    """Where the pictures do not follow each other; empty when all do."""
    for place in range(1, len(numbers)):
        if numbers[place] != (numbers[place - 1] + 1) % LOOP:
            return f"picture {place}: {numbers[place - 1]} is followed by {numbers[place]}"
    return ""


class Viewer(threading.Thread):
    """Watches one play URL until it has seen enough.

    :param source: the URL, or a file that was recorded
    """

    def __init__(self, source: str | IO[bytes], frames: int = ENOUGH) -> None:
        super().__init__(daemon=True)
        self.numbers: list[int] = []
        """Of the pictures, in the order in which they came."""
        self.times: list[float] = []
        """Presentation times of the pictures in seconds."""
        self.sound: list[float] = []
        """Times of the sound's packets."""
        self.size = (0, 0)
        self.codecs: set[str] = set()
        self.problem = ""
        self._source = source
        self._frames = frames
        self._leave = threading.Event()
        self._seen = threading.Condition()

    def run(self) -> None:
        try:
            with self._opened() as container:
                self._watch(container)
        except Exception as error:  # reported to the test by problem
            self.problem = f"{type(error).__name__}: {error}"
        finally:
            with self._seen:
                self._seen.notify_all()

    def leave(self) -> None:
        """Close the connection at the next packet."""
        self._leave.set()
        self.join(10)

    def wait_for(self, count: int, within: float = 20.0) -> None:
        """Until so many pictures were seen.

        :raises AssertionError: when the stream ended or stood still before
        """
        with self._seen:
            self._seen.wait_for(
                lambda: len(self.numbers) >= count or not self.is_alive() or self.problem, within
            )
        assert len(self.numbers) >= count, f"{len(self.numbers)} of {count} pictures {self.problem}"

    def finish(self, within: float = 30.0) -> "Viewer":
        """Until it has seen enough, without a gap."""
        self.join(within)
        assert not self.is_alive(), f"{len(self.numbers)} pictures in {within:g} s"
        assert not self.problem, f"after {len(self.numbers)} pictures: {self.problem}"
        assert len(self.numbers) >= self._frames, f"the stream ended after {len(self.numbers)}"
        self.check()
        return self

    def check(self) -> None:
        """Every picture there, in the right order, from a key frame on, its time growing."""
        assert self.numbers, f"no picture at all {self.problem}"
        assert gap(self.numbers) == ""
        assert self.numbers[0] % GOP == 0, f"begins with {self.numbers[0]}, no key frame"
        assert self.times == sorted(set(self.times)), "the pictures' times do not grow"

    @contextmanager
    def _opened(self) -> Iterator[InputContainer]:
        if isinstance(self._source, str):
            container = av.open(self._source, "r", timeout=(10.0, 10.0), options=LIVE)
        else:
            container = av.open(self._source, "r")
        with container:
            yield container

    def _watch(self, container: InputContainer) -> None:
        self.codecs = {stream.codec_context.name for stream in container.streams}
        for packet in container.demux():
            if self._leave.is_set() or len(self.numbers) >= self._frames:
                return
            if packet.size and packet.stream.type == "audio" and packet.pts is not None:
                self.sound.append(float(packet.pts * packet.time_base))
            elif packet.size and packet.stream.type == "video":
                for frame in packet.decode():
                    if isinstance(frame, VideoFrame):
                        self._see(frame)

    def _see(self, frame: VideoFrame) -> None:
        self.size = (frame.width, frame.height)
        with self._seen:
            self.numbers.append(read_frame_number(frame))
            self.times.append(frame.time if frame.time is not None else -1.0)
            self._seen.notify_all()


def watch(*sources: str | IO[bytes], frames: int = ENOUGH) -> list[Viewer]:
    """Viewers at the same time, each until it has seen enough without a gap."""
    viewers = [Viewer(source, frames) for source in sources]
    for viewer in viewers:
        viewer.start()
    return [viewer.finish() for viewer in viewers]
