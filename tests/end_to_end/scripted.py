"""A camera written by hand on a raw socket: it sees every byte the platform sends."""

import asyncio
import itertools
import re
from collections.abc import Sequence
from typing import Final
from xml.etree import ElementTree

from conformance.peer import UdpPeer
from conformance.wire import WireMessage, read_manscdp
from tests.end_to_end.driving import PASSWORD, PLATFORM_ID

MANSCDP: Final = "Content-Type: Application/MANSCDP+xml"
ANSWER_TIME: Final = 15.0
"""Seconds for any answer of the platform."""
Channels = Sequence[tuple[str, str]]
"""(code, name) of each."""


class ScriptedCamera(UdpPeer):
    """Registers by hand; answers queries when told to."""

    def __init__(self, device: str, target: tuple[str, int]) -> None:
        super().__init__(device, PLATFORM_ID, target)
        self.calls = (f"{device[-6:]}-{number}" for number in itertools.count(1))
        self.numbers = itertools.count(1)

    async def answer(self, call_id: str, cseq: int, method: str) -> WireMessage:
        """The final response to our request.

        :raises TimeoutError: when none came
        """
        async with asyncio.timeout(ANSWER_TIME):
            while True:
                for status in (200, 400, 401, 403, 404, 405, 415, 423, 481, 488, 489, 501, 503):
                    for message in self.taken(method, status):
                        if (message.one("call-id"), message.one("cseq")) == (
                            call_id,
                            f"{cseq} {method}",
                        ):
                            return message
                await asyncio.sleep(0.01)

    def taken(self, method: str, status: int) -> list[WireMessage]:
        """Take the messages of this kind that have come."""
        found = [m for m in self._waiting if m.method == method and m.status == status]
        for message in found:
            self._waiting.remove(message)
        return found

    async def next_request(self, method: str, within: float = ANSWER_TIME) -> WireMessage:
        """The next request of the platform; 5 s are too few on a loaded machine."""
        return await self.receive(method=method, within=within)

    async def attempt(
        self,
        password: str | None = PASSWORD,
        *,
        expires: int = 3600,
        call_id: str = "",
        challenge: str = "",
        first_cseq: int = 1,
        extra: str = "",
    ) -> WireMessage:
        """REGISTER: with the challenge given, or ask for one.

        :param password: ``None``: without credentials
        """
        call_id = call_id or next(self.calls)
        lines = f"Expires: {expires}\n{extra}"
        cseq = first_cseq
        if not challenge:
            self.request("REGISTER", call_id=call_id, cseq=cseq, extra=lines, to=self.device)
            first = await self.answer(call_id, cseq, "REGISTER")
            if password is None or first.status != 401:
                return first
            challenge = first.one("www-authenticate")
            cseq += 1
        credentials = self.authorize(challenge, "REGISTER", password or "")
        lines = f"{credentials}\n{lines}"
        self.request("REGISTER", call_id=call_id, cseq=cseq, extra=lines, to=self.device)
        return await self.answer(call_id, cseq, "REGISTER")

    async def tell(self, body: str, sender: str = "") -> WireMessage:
        """A MESSAGE with a MANSCDP body; returns the answer."""
        call_id, own = next(self.calls), self.device
        self.device = sender or own
        encoded = body.encode("gb18030")
        self.request("MESSAGE", call_id=call_id, cseq=20, extra=MANSCDP, body=encoded)
        self.device = own
        return await self.answer(call_id, 20, "MESSAGE")

    async def keep_alive(self, device: str = "", sender: str = "") -> WireMessage:
        return await self.tell(keepalive(device or self.device, next(self.numbers)), sender)

    async def answer_queries(self, channels: Channels, count: int = 2) -> list[WireMessage]:
        """Accept the platform's queries and answer each; returns them as they came."""
        queries = []
        for _ in range(count):
            query = await self.next_request("MESSAGE")
            self.respond(query, "200 OK")
            queries.append(query)
            for body in answers(read_manscdp(query.body), self.device, channels):
                accepted = await self.tell(body)
                assert accepted.status == 200, accepted.start_line
        return queries


def declared(text: str) -> str:
    return f'<?xml version="1.0" encoding="GB18030"?>\r\n{text}'


def keepalive(device: str, number: int) -> str:
    return declared(
        f"<Notify><CmdType>Keepalive</CmdType><SN>{number}</SN><DeviceID>{device}</DeviceID>"
        "<Status>OK</Status></Notify>"
    )


def answers(query: ElementTree.Element, device: str, channels: Channels) -> list[str]:
    """What a device answers to a query: one message for DeviceInfo, one a channel for Catalog."""
    number = query.findtext("SN")
    head = f"<SN>{number}</SN><DeviceID>{device}</DeviceID>"
    if query.findtext("CmdType") == "DeviceInfo":
        about = "<Manufacturer>Hand</Manufacturer><Model>H-1</Model><Firmware>7</Firmware>"
        return [
            declared(
                f"<Response><CmdType>DeviceInfo</CmdType>{head}<DeviceName>手写</DeviceName>"
                f"<Result>OK</Result>{about}<Channel>{len(channels)}</Channel></Response>"
            )
        ]
    if query.findtext("CmdType") == "Catalog":
        return [
            declared(
                f"<Response><CmdType>Catalog</CmdType>{head}<SumNum>{len(channels)}</SumNum>"
                f'<DeviceList Num="1">{_item(code, name, device)}</DeviceList></Response>'
            )
            for code, name in channels
        ]
    return []


def _item(code: str, name: str, parent: str) -> str:
    return (
        f"<Item><DeviceID>{code}</DeviceID><Name>{name}</Name><Manufacturer>Hand</Manufacturer>"
        f"<Model>H-1</Model><Owner>0</Owner><CivilCode>340200</CivilCode><Address>x</Address>"
        f"<Parental>0</Parental><ParentID>{parent}</ParentID><SafetyWay>0</SafetyWay>"
        "<RegisterWay>1</RegisterWay><Secrecy>0</Secrecy><Status>ON</Status></Item>"
    )


def live_answer(device: str, address: tuple[str, int], ssrc: str) -> bytes:
    """The 200's body of a camera that sends by UDP (annex G)."""
    host, port = address
    lines = (
        "v=0",
        f"o={device} 0 0 IN IP4 {host}",
        "s=Play",
        f"c=IN IP4 {host}",
        "t=0 0",
        f"m=video {port} RTP/AVP 96",
        "a=sendonly",
        "a=rtpmap:96 PS/90000",
        f"y={ssrc}",
        "f=v/2/5/25/1/2048a///",
    )
    return "".join(f"{line}\r\n" for line in lines).encode()


def branch_of(message: WireMessage) -> str:
    found = re.search(r";branch=([^;,\s]+)", message.all("via")[0])
    assert found, "no branch in Via"
    return found.group(1)


def request_in_dialog(
    camera: ScriptedCamera, invite: WireMessage, ack: WireMessage, method: str, cseq: int
) -> None:
    """A request of the camera within the call that the platform made."""
    host, port = camera.address
    contact = re.search(r"<([^>]+)>", invite.one("contact"))
    assert contact, "the INVITE has no Contact"
    camera.send(
        f"""{method} {contact.group(1)} SIP/2.0
Via: SIP/2.0/UDP {host}:{port};rport;branch=z9hG4bK-dialog-{cseq}-{method}
Max-Forwards: 70
From: {ack.one("to")}
To: {ack.one("from")}
Call-ID: {ack.one("call-id")}
CSeq: {cseq} {method}"""
    )
