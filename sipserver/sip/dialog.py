"""Dialogs, RFC 3261 section 12: who talks with whom, in which order, over which route."""

from __future__ import annotations

from collections.abc import Sequence

from sipserver.sip.errors import MalformedMessage
from sipserver.sip.headers import NameAddr, parse_name_addr, split_values
from sipserver.sip.message import Message, Request, Response
from sipserver.sip.outgoing import OutgoingRequest

DialogKey = tuple[str, str, str]
"""Call-ID, local tag, remote tag."""


class Dialog:
    """The state of section 12, seen from our side."""

    __slots__ = (
        "call_id",
        "local_cseq",
        "local_tag",
        "local_uri",
        "remote_cseq",
        "remote_tag",
        "remote_target",
        "remote_uri",
        "route_set",
    )

    def __init__(
        self,
        *,
        call_id: str,
        local_tag: str,
        remote_tag: str,
        local_uri: str,
        remote_uri: str,
        remote_target: str,
        route_set: tuple[str, ...] = (),
        local_cseq: int = 0,
        remote_cseq: int | None = None,
    ) -> None:
        self.call_id = call_id
        self.local_tag = local_tag
        self.remote_tag = remote_tag
        self.local_uri = local_uri
        self.remote_uri = remote_uri
        self.remote_target = remote_target
        self.route_set = route_set
        self.local_cseq = local_cseq
        self.remote_cseq = remote_cseq

    @classmethod
    def of_client(cls, request: OutgoingRequest, response: Response) -> Dialog:
        """The dialog that a 2xx to our INVITE makes (12.1.2)."""
        return cls(
            call_id=request.call_id,
            local_tag=request.from_tag,
            remote_tag=response.to_tag,
            local_uri=request.from_uri,
            remote_uri=request.to_uri,
            remote_target=_target(response) or request.uri,  # devices forget the Contact
            route_set=tuple(reversed(_record_route(response))),
            local_cseq=request.cseq,
        )

    @classmethod
    def of_server(cls, request: Request, local_tag: str) -> Dialog:
        """The dialog that our 2xx to an INVITE makes (12.1.1)."""
        return cls(
            call_id=request.call_id,
            local_tag=local_tag,
            remote_tag=request.from_tag,
            local_uri=request.to.uri_text,
            remote_uri=request.from_.uri_text,
            remote_target=_target(request) or request.from_.uri_text,
            route_set=tuple(_record_route(request)),
            remote_cseq=request.cseq.number,
        )

    @property
    def key(self) -> DialogKey:
        return self.call_id, self.local_tag, self.remote_tag

    def in_order(self, request: Request) -> bool:
        """Whether the CSeq does not go back (12.2.2), and remember it."""
        number = request.cseq.number
        if self.remote_cseq is not None and number < self.remote_cseq:
            return False
        self.remote_cseq = number
        return True

    def refresh_target(self, message: Message) -> None:
        """A re-INVITE or its 2xx may move the peer's Contact (12.2)."""
        self.remote_target = _target(message) or self.remote_target

    def make_request(
        self,
        method: str,
        *,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        content_type: str = "",
        cseq: int | None = None,
    ) -> OutgoingRequest:
        """The next request of ours in this dialog (12.2.1.1); an ACK names the INVITE's CSeq."""
        if cseq is None:
            self.local_cseq += 1
            cseq = self.local_cseq
        uri, routes = self._path()
        return OutgoingRequest(
            method=method,
            uri=uri,
            from_uri=self.local_uri,
            to_uri=self.remote_uri,
            from_tag=self.local_tag,
            to_tag=self.remote_tag,
            call_id=self.call_id,
            cseq=cseq,
            headers=(*routes, *headers),
            body=body,
            content_type=content_type,
        )

    def _path(self) -> tuple[str, tuple[tuple[str, str], ...]]:
        """Request-URI and Route headers, for loose and for strict routers."""
        if not self.route_set:
            return self.remote_target, ()
        first = parse_name_addr(self.route_set[0].encode())
        routes = self.route_set
        target = self.remote_target
        if first.uri.parameter("lr") is None:
            routes = (*self.route_set[1:], f"<{self.remote_target}>")
            target = first.uri_text
        return target, tuple(("Route", route) for route in routes)


def _target(message: Message) -> str:
    """The URI of the Contact; a broken one counts as none, the flow leads to the peer anyway."""
    try:
        contact: NameAddr | None = message.contact
    except MalformedMessage:
        return ""
    return "" if contact is None or contact.uri.is_wildcard else contact.uri_text


def _record_route(message: Message) -> list[str]:
    """None when one is broken: no request of ours could carry it."""
    try:
        values = [part for value in message.all(b"record-route") for part in split_values(value)]
        for value in values:
            parse_name_addr(value)
    except MalformedMessage:
        return []
    return [value.decode("utf-8", "replace") for value in values]
