"""Fuzz the framing of SIP streams: whole and in pieces it must find the same messages."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[0] = str(ROOT)  # so that ``fuzz`` is the package and not this folder

from fuzz.engine.loop import main  # noqa: E402
from sipserver.sip.errors import RemoteError  # noqa: E402
from sipserver.sip.framing import StreamFramer  # noqa: E402
from sipserver.sip.message import parse_message  # noqa: E402

TOKENS = (
    b"\r\n\r\n", b"\r\n", b"\n", b"\n\n", b"\r", b"\0", b"jaK\0", b"jaK", b"ja", b"l:", b"l: 0\r\n",
    b"Content-Length: 5\r\n", b"Content-Length: 5\r\n\r\nabcde", b"content-length\t:\r\n 3\r\n",
    b"Content-Length: -1\r\n", b"Content-Length: 4096\r\n", b"MESSAGE sip:a@b SIP/2.0\r\n",
)  # fmt: skip


def read(data: bytes, sizes: tuple[int, ...]) -> tuple[list[bytes], str]:
    """The messages of a stream that arrives in pieces of these sizes, and how it ended."""
    framer = StreamFramer(max_body_size=4096)
    found = []
    position = turn = 0
    try:
        while position < len(data):
            size = sizes[turn % len(sizes)]
            framer.receive_data(data[position : position + size])
            while (message := framer.next_message()) is not None:
                found.append(message)
            position, turn = position + size, turn + 1
    except RemoteError as error:
        return found, type(error).__name__
    if framer.pending > 64 * 1024 + 4096 + 4:
        raise AssertionError(f"{framer.pending} bytes are kept")
    return found, ""


def target(data: bytes) -> None:
    whole, end = read(data, (len(data) or 1,))
    for sizes in ((1,), (7, 64, 1, 300), (1400,)):
        pieces, other_end = read(data, sizes)
        if pieces != whole or other_end != end:
            raise AssertionError(f"{len(whole)} messages whole, {len(pieces)} in {sizes}")
    for message in whole:
        parse_message(message)


if __name__ == "__main__":
    fixtures = [path.read_bytes() for path in sorted((ROOT / "tests/wire/sip").rglob("*.sip"))]
    corpus = [*fixtures, b"".join(fixtures[:3]), b"\r\n\r\n".join(fixtures[-3:])]
    main("sip_stream", target, (RemoteError,), corpus, TOKENS)
