"""Play URLs."""

from media_relay.outputs import Container, play_path, play_urls


def test_paths() -> None:
    assert play_path("a b/c", Container.FLV) == "/live/a%20b%2Fc.flv"
    assert play_path("s", Container.FMP4, "x.y") == "/live/s.mp4?token=x.y"


def test_urls() -> None:
    urls = play_urls("s", authority="h:8080", token="t")
    assert urls.flv == "http://h:8080/live/s.flv?token=t"
    assert urls.mp4 == "http://h:8080/live/s.mp4?token=t"
    assert urls.ws_flv == "ws://h:8080/live/s.flv?token=t"
    assert urls.ws_mp4 == "ws://h:8080/live/s.mp4?token=t"
    assert play_urls("s", authority="h", token=None, secure=True).ws_mp4 == "wss://h/live/s.mp4"
