import pytest

from sdp.offer import parse_offer
from sdp.payload import NUMBERS, Payload, payloads_of, recommended
from sdp.session import Sdp


def test_synonyms_and_static_numbers() -> None:
    body = (
        b"m=audio 1 RTP/AVP 8 0 102 97\n"
        b"a=rtpmap:97 MP4V-ES/90000\na=rtpmap:102 mpeg4-generic/16000/2\n"
    )
    payloads = parse_offer(body).payloads
    assert [p.encoding for p in payloads] == ["PCMA", "PCMU", "AAC", "MPEG4"]
    assert (payloads[2].clock_rate, payloads[2].channels) == (16000, 2)
    assert recommended("AAC").rtpmap == "rtpmap:102 AAC/8000/1"


@pytest.mark.parametrize(
    ("body", "encoding", "standard"),
    [
        ("m=video 1 RTP/AVP 99", "SVAC", True),
        ("m=video 1 RTP/AVP 99\na=rtpmap:99 H265/90000", "H265", True),
        ("m=video 1 RTP/AVP 96\na=rtpmap:96 dahua/90000", "DAHUA", False),
        ("m=video 1 RTP/AVP 34", "", False),
        ("m=video 1 RTP/AVP\na=rtpmap:96 MP2P/90000", "PS", True),
    ],
)
def test_the_rtpmap_decides(body: str, encoding: str, standard: bool) -> None:
    (media,) = Sdp.parse(body.encode()).media
    (payload,) = payloads_of(media)
    assert (payload.encoding, payload.standard) == (encoding, standard)


def test_recommended_numbers_read_back() -> None:
    for encoding in NUMBERS:
        payload = recommended(encoding)
        body = f"m=video 1 RTP/AVP {payload.payload_type}\na={payload.rtpmap}\n".encode()
        assert payloads_of(Sdp.parse(body).media[0]) == (payload,)
    assert recommended("PS") == Payload(96, "PS", 90000)
