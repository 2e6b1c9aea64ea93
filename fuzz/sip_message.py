"""Fuzz the reader of SIP messages: every property of a message, and an endpoint that gets it."""

import sys
from itertools import count
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[0] = str(ROOT)  # so that ``fuzz`` is the package and not this folder

from fuzz.engine.loop import main  # noqa: E402
from sipserver.sip.auth import parse_authorization  # noqa: E402
from sipserver.sip.endpoint import Endpoint, EndpointSettings  # noqa: E402
from sipserver.sip.errors import RemoteError  # noqa: E402
from sipserver.sip.events import RequestReceived  # noqa: E402
from sipserver.sip.flow import UDP, Flow  # noqa: E402
from sipserver.sip.message import Request, parse_message  # noqa: E402

TOKENS = (
    b"\r\n ", b"\r\n\r\n", b"\n\n", b"\r", b"\0", b";;", b',"', b"\\", b"<>", b"sip:@", b"tag=",
    b";branch=z9hG4bK", b";rport", b";received=", b"Via: SIP/2.0/UDP a;branch=1, ", b"l: ", b"v :",
    b"Content-Length: 0\r\n", b"CSeq: 1 ACK\r\n", b"CSeq: 1 CANCEL\r\n", b"Contact: *\r\n",
    b"Require: 100rel\r\n", b"Route: <sip:a;lr>\r\n", b"SIP/2.0 200 OK\r\n", b"jaK\0", b"\xff\xfe",
    b"ACK ", b"INVITE ", b"CANCEL ", b"Record-Route: <\r\n", b" " * 300, b"Max-Forwards: 256\r\n",
    b"Authorization: Digest username=\"", b"%00", b"\xe4\xb8\x9c\xe9\x97\xa8",
)  # fmt: skip
FLOW = Flow(UDP, ("198.51.100.10", 5060), ("198.51.100.20", 5060))


class World:
    """One endpoint that lives through all inputs, so that what they leave behind meets."""

    def __init__(self) -> None:
        tokens = count()
        limits = EndpointSettings(max_absorbing=500, max_server_transactions=500, max_calls=200)
        self._endpoint = Endpoint(limits, new_token=lambda: f"t{next(tokens)}")
        self._now = 0.0

    def receive(self, data: bytes) -> None:
        self._now += 0.05
        endpoint = self._endpoint
        endpoint.receive_datagram(data, FLOW, self._now)
        while (event := endpoint.next_event()) is not None:
            if isinstance(event, RequestReceived) and not event.transaction.answered:
                self._answer(event)
        for answer, _, _ in endpoint.data_to_send():
            parse_message(answer)  # what we send, we can read
        endpoint.handle_timer(self._now)

    def _answer(self, received: RequestReceived) -> None:
        choice = len(received.request.raw) % 4
        if received.request.method == "INVITE" and choice:
            self._endpoint.accept(received, self._now, body=b"v=0\r\n")
        elif choice == 1:
            self._endpoint.ignore(received)
        else:
            self._endpoint.respond(received, 404, self._now)


WORLD = World()


def target(data: bytes) -> None:
    WORLD.receive(data)
    message = parse_message(data)
    _ = (message.fields, message.vias, message.from_.tag, message.to.tag, message.cseq)
    _ = (message.call_id, message.contacts, message.expires, message.content_type)
    if isinstance(message, Request):
        message.check()
        _ = message.uri
    credentials = message.get(b"authorization")
    if credentials is not None:
        parse_authorization(credentials)


if __name__ == "__main__":
    corpus = [path.read_bytes() for path in sorted((ROOT / "tests/wire/sip").rglob("*.sip"))]
    main("sip_message", target, (RemoteError,), corpus, TOKENS)
