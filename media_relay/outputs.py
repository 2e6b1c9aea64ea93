"""What a stream can be watched as: containers, media types, play URLs."""

from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote, urlencode


class Container(StrEnum):
    """``value`` is the name the media core knows it by."""

    FLV = "flv"
    FMP4 = "fmp4"

    @property
    def suffix(self) -> str:
        """Ending of the path of a play URL."""
        return "mp4" if self is Container.FMP4 else "flv"

    @property
    def media_type(self) -> str:
        return "video/mp4" if self is Container.FMP4 else "video/x-flv"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayUrls:
    """One stream in every container, over HTTP and WebSocket."""

    flv: str
    mp4: str
    ws_flv: str
    ws_mp4: str


def play_path(stream: str, container: Container, token: str | None = None) -> str:
    """Path and query of a play URL; WebSocket uses the same path with ``Upgrade``."""
    query = f"?{urlencode({'token': token})}" if token else ""
    return f"/live/{quote(stream, safe='')}.{container.suffix}{query}"


def play_urls(stream: str, *, authority: str, token: str | None, secure: bool = False) -> PlayUrls:
    """
    :param authority: ``host:port`` by which the viewer reaches the HTTP server
    :param secure: a proxy speaks TLS to the viewer
    """
    http, ws = ("https", "wss") if secure else ("http", "ws")
    flv, mp4 = (play_path(stream, container, token) for container in Container)
    return PlayUrls(
        flv=f"{http}://{authority}{flv}",
        mp4=f"{http}://{authority}{mp4}",
        ws_flv=f"{ws}://{authority}{flv}",
        ws_mp4=f"{ws}://{authority}{mp4}",
    )
