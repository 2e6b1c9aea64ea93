"""Fuzz session descriptions: lines, offer, answer, ``f=``, and written again."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[0] = str(ROOT)  # this very file is called like the package

from fuzz.engine.loop import main  # noqa: E402
from sdp.errors import RemoteError  # noqa: E402
from sdp.format import MediaFormat  # noqa: E402
from sdp.offer import make_live_answer, parse_answer, parse_offer  # noqa: E402
from sdp.session import Sdp  # noqa: E402
from sdp.subject import Subject  # noqa: E402

TOKENS = (
    b"a=", b"m=", b"y=", b"f=v/", b"a/", b"m=video 0 RTP/AVP 96\r\n", b"m=audio 1 TCP/RTP/AVP 8\n",
    b"a=rtpmap:96 DAHUA/90000\n", b"a=setup:active\r\n", b"c=IN IP6 fe80::1%eth0\n", b"\x00", b"\r",
    b"a=streamMode:SUB\n", b"u=http://x/\n", b"t=99999999999999999999 1\n", b"o=\n", b"\xb1\xb1",
    b"c=IN IP4 256.1.1.1\n", b"y=18446744073709551616\n", b"1 " * 500, b"=" * 100, b"\xe2\x80\xa8",
)  # fmt: skip


def target(data: bytes) -> None:
    Subject.parse(data.decode("utf-8", "replace"))
    sdp = Sdp.parse(data)
    if Sdp.parse(sdp.to_bytes()) != sdp:
        raise AssertionError("the lines came back as others")
    text = sdp.value("f")
    if text is not None:
        value = MediaFormat.parse(text)
        if MediaFormat.parse(str(value)) != value:
            raise AssertionError("f= came back as another")
    parse_answer(data, transport=("udp", "tcp-passive", "tcp-active")[len(data) % 3], ssrc=1)
    offer = parse_offer(data)
    if offer.payload("PS") is not None:
        body = make_live_answer(offer, sender_id="1", media_ip="192.0.2.1", media_port=6000)
        parse_answer(body, transport=offer.transport)


if __name__ == "__main__":
    corpus = [path.read_bytes() for path in sorted((ROOT / "tests/wire/sdp").glob("*.sdp"))]
    main("sdp", target, (RemoteError,), corpus, TOKENS)
