"""A scripted peer on raw sockets: a device that writes its bytes by hand.

It uses only :mod:`conformance.wire`, so that a mistake of the server's SIP core cannot hide in it.
"""

import asyncio
import hashlib
import re
from collections import deque
from types import TracebackType
from typing import Final, Self

from conformance.wire import NotConformant, WireMessage, read_message

CRLF: Final = "\r\n"
MAX_WAITING: Final = 10_000
"""Messages kept for the script; the oldest go first."""


class UdpPeer(asyncio.DatagramProtocol):
    """One device on one UDP port, or a platform that devices register to.

    :param device: 20-digit code of the device's side
    :param server: 20-digit code of the platform's side
    :param target: address of the party under test; ``None``: whoever sent the last datagram
    """

    def __init__(self, device: str, server: str, target: tuple[str, int] | None = None) -> None:
        self.device = device
        self.server = server
        self.target = target
        self.last_sender: tuple[str, int] | None = None
        self.domain = server[:10]
        self.problems: list[str] = []
        self._waiting: deque[WireMessage] = deque(maxlen=MAX_WAITING)
        self._arrived = asyncio.Event()
        self._transport: asyncio.DatagramTransport | None = None
        self._counter = 0

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            lambda: self, local_addr=("127.0.0.1", 0)
        )
        self._transport = transport
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._transport:
            self._transport.close()

    @property
    def address(self) -> tuple[str, int]:
        if self._transport is None:
            raise RuntimeError("the peer is not open: use `async with`")
        host, port = self._transport.get_extra_info("sockname")[:2]
        return str(host), int(port)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.last_sender = addr
        try:
            self._waiting.append(read_message(data))
        except NotConformant as error:
            self.problems.append(f"{error}: {data[:120]!r}")
        self._arrived.set()

    def send(self, text: str, body: bytes = b"") -> None:
        """Send the lines of ``text`` with CRLF ends, Content-Length and the body."""
        to = self.target or self.last_sender
        if self._transport is None or to is None:
            raise RuntimeError("the peer is not open, or nobody has sent to it yet")
        lines = [line for line in text.strip().splitlines() if line]
        head = CRLF.join([*lines, f"Content-Length: {len(body)}", "", ""])
        self._transport.sendto(head.encode() + body, to)

    async def receive(self, *, method: str, status: int = 0, within: float = 5.0) -> WireMessage:
        """The next message of this kind; others stay for later calls.

        :param status: 0 for a request
        :raises TimeoutError: when none came within the seconds given
        """
        async with asyncio.timeout(within):
            while True:
                for message in self._waiting:
                    if message.method == method and message.status == status:
                        self._waiting.remove(message)
                        return message
                self._arrived.clear()
                await self._arrived.wait()

    def request(
        self,
        method: str,
        *,
        call_id: str,
        cseq: int,
        extra: str = "",
        to: str = "",
        body: bytes = b"",
    ) -> None:
        """Send a request outside a dialog, as GB/T 28181-2022 9.1 and 9.6 write it."""
        self._counter += 1
        host, port = self.address
        target = to or self.server
        self.send(
            f"""{method} sip:{self.server}@{self.domain} SIP/2.0
Via: SIP/2.0/UDP {host}:{port};rport;branch=z9hG4bK-{call_id}-{self._counter}
Max-Forwards: 70
From: <sip:{self.device}@{self.domain}>;tag=peer{call_id}
To: <sip:{target}@{self.domain}>
Call-ID: {call_id}
CSeq: {cseq} {method}
Contact: <sip:{self.device}@{host}:{port}>
{extra}""",
            body,
        )

    def respond(
        self, request: WireMessage, status: str, *, extra: str = "", body: bytes = b""
    ) -> None:
        """Answer a request of the server's, e.g. ``respond(invite, "200 OK", ...)``."""
        to = request.one("to")
        if "tag=" not in to:
            to += f";tag=peer{abs(hash(request.one('call-id'))) % 10**8}"
        vias = "\n".join(f"Via: {value}" for value in request.all("via"))
        self.send(
            f"""SIP/2.0 {status}
{vias}
From: {request.one("from")}
To: {to}
Call-ID: {request.one("call-id")}
CSeq: {request.one("cseq")}
{extra}""",
            body,
        )

    async def register(
        self, password: str, *, expires: int = 3600, call_id: str = "reg"
    ) -> WireMessage:
        """REGISTER, 401, REGISTER with digest; returns the final response."""
        lifetime = f"Expires: {expires}"
        self.request("REGISTER", call_id=call_id, cseq=1, extra=lifetime, to=self.device)
        challenge = await self.receive(method="REGISTER", status=401)
        credentials = self.authorize(challenge.one("www-authenticate"), "REGISTER", password)
        self.request(
            "REGISTER", call_id=call_id, cseq=2, extra=f"{credentials}\n{lifetime}", to=self.device
        )
        return await self.receive(method="REGISTER", status=200)

    def authorize(self, challenge: str, method: str, password: str) -> str:
        """The Authorization line for a challenge without qop (RFC 2617 3.2.2)."""
        realm = re.search(r'realm="([^"]*)"', challenge)
        nonce = re.search(r'nonce="([^"]*)"', challenge)
        if not challenge.startswith("Digest ") or not realm or not nonce:
            raise NotConformant(f"not a digest challenge: {challenge!r} (RFC 2617 3.2.1)")
        uri = f"sip:{self.server}@{self.domain}"
        first = _md5(f"{self.device}:{realm.group(1)}:{password}")
        second = _md5(f"{method}:{uri}")
        answer = _md5(f"{first}:{nonce.group(1)}:{second}")
        return (
            f'Authorization: Digest username="{self.device}",realm="{realm.group(1)}",'
            f'nonce="{nonce.group(1)}",uri="{uri}",response="{answer}",algorithm=MD5'
        )


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
