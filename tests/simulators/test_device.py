"""A simulated device against a platform that is written by hand: raw bytes, a strict reader."""

import asyncio
import hashlib
import itertools
import re
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from conformance.peer import UdpPeer
from conformance.wire import WireMessage, read_manscdp, read_sdp
from manscdp.edition import Edition
from sdp.gb import Transport
from simulators.profile import ChannelProfile, DeviceProfile, Habits, camera, recorder
from simulators.site import SiteRunner

PLATFORM = "34020000002000000001"
PASSWORD = "12345678"
CHALLENGE = 'WWW-Authenticate: Digest realm="3402000000",nonce="8c1f0d5e7a2b4c63",algorithm=MD5'
CONTENT = "Content-Type: Application/MANSCDP+xml"


class RecordedStream:
    """Stands for the media core: what was asked of it."""

    port = 15060

    def __init__(self) -> None:
        self.log: list[str] = []
        self.started = asyncio.Event()

    def start(self) -> None:
        self.log.append("start")
        self.started.set()

    def close(self) -> None:
        self.log.append("close")


class RecordedStreams:
    def __init__(self) -> None:
        self.opened: list[tuple[str, bool, Transport, tuple[str, int], int]] = []
        self.stream = RecordedStream()

    def open(
        self,
        channel: ChannelProfile,
        *,
        sub_stream: bool,
        transport: Transport,
        remote: tuple[str, int],
        ssrc: int,
    ) -> RecordedStream:
        self.opened.append((channel.channel_id, sub_stream, transport, remote, ssrc))
        return self.stream


@pytest.fixture
async def peer() -> AsyncIterator[UdpPeer]:
    async with UdpPeer("34020000001320000001", PLATFORM) as opened:
        yield opened
        assert opened.problems == []


class Running:
    """One simulated device that has registered with the peer."""

    def __init__(self, runner: SiteRunner, streams: RecordedStreams, peer: UdpPeer) -> None:
        self.runner = runner
        self.streams = streams
        self.peer = peer
        self.numbers = itertools.count(1)

    def message(self, kind: str, command: str, sn: int, device: str) -> None:
        body = (
            f'<?xml version="1.0" encoding="GB2312"?>\r\n<{kind}>\r\n<CmdType>{command}</CmdType>'
            f"\r\n<SN>{sn}</SN>\r\n<DeviceID>{device}</DeviceID>\r\n</{kind}>\r\n"
        )
        self.request("MESSAGE", device, CONTENT, body.encode())

    def request(
        self, method: str, target: str, extra: str, body: bytes, *, tag: str = "", call: str = ""
    ) -> str:
        number = next(self.numbers)
        host, port = self.peer.address
        call_id = call or f"platform-{number}"
        to = f"<sip:{target}@3402000000>" + (f";tag={tag}" if tag else "")
        cseq = number if method != "ACK" else number - 1
        self.peer.send(
            f"""{method} sip:{target}@3402000000 SIP/2.0
Via: SIP/2.0/UDP {host}:{port};rport;branch=z9hG4bK-platform-{number}
Max-Forwards: 70
From: <sip:{PLATFORM}@3402000000>;tag=platform
To: {to}
Call-ID: {call_id}
CSeq: {cseq} {method}
Contact: <sip:{PLATFORM}@{host}:{port}>
{extra}""",
            body,
        )
        return call_id

    async def answer_messages(self, command: str) -> list[WireMessage]:
        """Acknowledge what the device sends until an answer to ``command`` is whole."""
        pages: list[WireMessage] = []
        count = 1
        while len(pages) < count:
            message = await self.peer.receive(method="MESSAGE")
            self.peer.respond(message, "200 OK")
            body = read_manscdp(message.body)
            if body.findtext("CmdType") == command:
                pages.append(message)
                total = int(body.findtext("SumNum") or 1)
                count = -(-total // 2)
        return pages


async def accept_registration(peer: UdpPeer, *, password: str = PASSWORD) -> WireMessage:
    """The platform's half of 9.1.2.1; checks the digest by itself."""
    first = await peer.receive(method="REGISTER")
    assert first.parameter("to", "tag") is None
    peer.respond(first, "401 Unauthorized", extra=CHALLENGE)
    second = await peer.receive(method="REGISTER")
    assert second.one("call-id") == first.one("call-id")
    assert int(second.one("cseq").split()[0]) == int(first.one("cseq").split()[0]) + 1
    fields = dict(re.findall(r'(\w+)="([^"]*)"', second.one("authorization")))
    user = f"{fields['username']}:3402000000:{password}"
    expected = _md5(f"{_md5(user)}:8c1f0d5e7a2b4c63:{_md5('REGISTER:' + fields['uri'])}")
    assert fields["response"] == expected
    granted = f"Expires: {second.one('expires')}\nDate: 2026-05-06T08:00:00.125"
    peer.respond(second, "200 OK", extra=granted)
    return second


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


@pytest.fixture
async def running(peer: UdpPeer) -> AsyncIterator[Running]:
    async for started in start(peer, camera(1, "东门", PASSWORD, **habits(peer))):
        yield started


def habits(peer: UdpPeer) -> Habits:
    return {"server": peer.address, "retry_interval": 0.05, "retry_spread": 0.0}


async def start(peer: UdpPeer, profile: DeviceProfile) -> AsyncIterator[Running]:
    streams = RecordedStreams()
    runner = SiteRunner([profile], streams)
    task = asyncio.create_task(runner.run())
    try:
        await accept_registration(peer)
        yield Running(runner, streams, peer)
    finally:
        task.cancel()
        farewell = asyncio.create_task(_accept_farewell(peer))
        await asyncio.gather(task, return_exceptions=True)
        farewell.cancel()


async def _accept_farewell(peer: UdpPeer) -> None:
    while True:
        message = await peer.receive(method="REGISTER", within=60)
        peer.respond(message, "200 OK", extra="Expires: 0")


async def test_registers_and_sends_a_keepalive(running: Running) -> None:
    keepalive = await running.peer.receive(method="MESSAGE")
    running.peer.respond(keepalive, "200 OK")
    body = read_manscdp(keepalive.body)
    assert (body.tag, body.findtext("CmdType"), body.findtext("Status")) == (
        "Notify",
        "Keepalive",
        "OK",
    )
    assert body.findtext("DeviceID") == "34020000001320000001"
    report = running.runner.report()
    assert (report.devices, report.online, report.registrations) == (1, 1, 1)


async def test_says_the_version_it_speaks(peer: UdpPeer) -> None:
    streams = RecordedStreams()
    runner = SiteRunner([camera(1, "东门", PASSWORD, **habits(peer))], streams)
    task = asyncio.create_task(runner.run())
    register = await accept_registration(peer)
    assert register.one("x-gb-ver") == "3.0"
    await peer.receive(method="MESSAGE")  # on line: the keepalive
    task.cancel()
    goodbye = await peer.receive(method="REGISTER")
    assert goodbye.one("expires") == "0"
    peer.respond(goodbye, "200 OK", extra="Expires: 0")
    await asyncio.gather(task, return_exceptions=True)


async def test_answers_a_catalogue_in_pages_with_the_sn_of_the_query(peer: UdpPeer) -> None:
    async for started in start(peer, recorder(1, "停车场", PASSWORD, 5, **habits(peer))):
        started.message("Query", "Catalog", 17, "34020000001180000001")
        await peer.receive(method="MESSAGE", status=200)
        pages = [read_manscdp(page.body) for page in await started.answer_messages("Catalog")]
        assert [page.findtext("SN") for page in pages] == ["17"] * 3
        assert [page.findtext("SumNum") for page in pages] == ["5"] * 3
        names = [item.findtext("Name") for page in pages for item in page.iter("Item")]
        assert names == [f"停车场 {number}" for number in range(1, 6)]


@pytest.mark.parametrize(
    ("command", "field", "value"),
    [("DeviceInfo", "Manufacturer", "Simulator"), ("DeviceStatus", "Online", "ONLINE")],
)
async def test_answers_queries(running: Running, command: str, field: str, value: str) -> None:
    running.message("Query", command, 248, "34020000001320000001")
    (answer,) = await running.answer_messages(command)
    body = read_manscdp(answer.body)
    assert (body.tag, body.findtext("SN"), body.findtext(field)) == ("Response", "248", value)


async def test_an_unknown_command_is_received_and_counted(running: Running) -> None:
    running.message("Query", "Nonsense", 9, "34020000001320000001")
    await running.peer.receive(method="MESSAGE", status=200)
    assert running.runner.devices[0].unknown_commands == {"Nonsense": 1}


OFFER = (
    "v=0\r\no=34020000002000000001 0 0 IN IP4 127.0.0.1\r\ns=Play\r\nc=IN IP4 127.0.0.1\r\n"
    "t=0 0\r\nm=video 30000 {proto} 96\r\na=recvonly\r\na=rtpmap:96 PS/90000\r\n{setup}"
    "y=0200000123\r\nf=v/////a///\r\n"
)
TRANSPORTS = [
    ("RTP/AVP", "", Transport.UDP, None),
    ("TCP/RTP/AVP", "a=setup:passive\r\na=connection:new\r\n", Transport.TCP_PASSIVE, "active"),
    ("TCP/RTP/AVP", "a=setup:active\r\na=connection:new\r\n", Transport.TCP_ACTIVE, "passive"),
]


@pytest.mark.parametrize(("proto", "setup", "transport", "role"), TRANSPORTS)
async def test_live_view_on_all_transports(
    running: Running, proto: str, setup: str, transport: Transport, role: str | None
) -> None:
    channel = "34020000001320000001"
    peer = running.peer
    body = OFFER.format(proto=proto, setup=setup).encode()
    subject = f"Subject: {channel}:0200000123,{PLATFORM}:0\nContent-Type: application/sdp"
    call = running.request("INVITE", channel, subject, body)
    answer = await peer.receive(method="INVITE", status=200)
    sdp = read_sdp(answer.body)
    assert (sdp.one("s"), sdp.one("y"), sdp.attributes.get("setup")) == ("Play", "0200000123", role)
    assert sdp.one("m") == f"video 15060 {proto} 96"
    assert running.streams.opened == [(channel, False, transport, ("127.0.0.1", 30000), 200000123)]
    assert running.streams.stream.log == []  # nothing before the ACK
    tag = answer.parameter("to", "tag") or ""
    running.request("ACK", channel, "", b"", tag=tag, call=call)
    async with asyncio.timeout(5):
        await running.streams.stream.started.wait()
    running.request("BYE", channel, "", b"", tag=tag, call=call)
    await peer.receive(method="BYE", status=200)
    assert running.streams.stream.log == ["start", "close"]


async def test_refuses_an_unknown_channel_and_an_offer_without_ps(running: Running) -> None:
    body = OFFER.format(proto="RTP/AVP", setup="").encode()
    content = "Content-Type: application/sdp"
    running.request("INVITE", "34020000001320000099", content, body)
    await running.peer.receive(method="INVITE", status=404)
    running.request("INVITE", "34020000001320000001", content, body.replace(b"PS/", b"H264/"))
    await running.peer.receive(method="INVITE", status=488)
    assert running.streams.opened == []


async def test_registers_again_after_a_refusal(peer: UdpPeer) -> None:
    streams = RecordedStreams()
    runner = SiteRunner([camera(1, "东门", PASSWORD, **habits(peer))], streams)
    task = asyncio.create_task(runner.run())
    refused = await peer.receive(method="REGISTER")
    peer.respond(refused, "403 Forbidden")
    await accept_registration(peer)
    await peer.receive(method="MESSAGE")  # on line: the keepalive
    report = runner.report()
    assert (report.online, report.failures) == (1, {})
    task.cancel()
    goodbye = await peer.receive(method="REGISTER")
    peer.respond(goodbye, "200 OK", extra="Expires: 0")
    await asyncio.gather(task, return_exceptions=True)


async def invite(running: Running, body: str, *, sequence: str = "0200000123") -> WireMessage:
    channel = "34020000001320000001"
    subject = f"Subject: {channel}:{sequence},{PLATFORM}:0\nContent-Type: application/sdp"
    call = running.request("INVITE", channel, subject, body.encode())
    answer = await running.peer.receive(method="INVITE", status=200)
    tag = answer.parameter("to", "tag") or ""
    running.request("ACK", channel, "", b"", tag=tag, call=call)
    return answer


async def test_a_new_invite_for_what_is_being_sent_takes_its_place(running: Running) -> None:
    """Annex K c: the old link is released, the new one is built."""
    body = OFFER.format(proto="RTP/AVP", setup="")
    first = await invite(running, body)
    await invite(running, body)
    bye = await running.peer.receive(method="BYE")
    running.peer.respond(bye, "200 OK")
    assert bye.one("call-id") == first.one("call-id")
    await invite(running, body, sequence="0200000124")  # another stream beside it
    assert running.streams.stream.log.count("close") == 1


async def test_chooses_ssrcs_by_the_rule_when_the_invite_names_none(running: Running) -> None:
    """Annex G: 0, digits 4 to 8 of the domain, a number of its own for each stream."""
    body = OFFER.format(proto="RTP/AVP", setup="").replace("y=0200000123\r\n", "")
    answers = [read_sdp((await invite(running, body, sequence=str(n))).body) for n in range(3)]
    ssrcs = [answer.one("y") for answer in answers]
    assert [ssrc[:6] for ssrc in ssrcs] == ["020000"] * 3
    assert len(set(ssrcs)) == 3


@pytest.mark.parametrize(
    ("edition", "stream", "audio", "said"),
    [
        (Edition.GB2022, "", True, "v/5/6/25/2/4000a/1/8/1"),
        (Edition.GB2022, "a=streamnumber:1\r\n", False, "v/2/640x360/25/2/600a///"),
        (Edition.GB2016, "", False, "v//6/25/2/4000a///"),
        (Edition.GB2016, "a=streamnumber:1\r\n", False, "v/2//25/2/600a///"),
    ],
)
async def test_says_truly_what_it_sends(
    peer: UdpPeer, edition: Edition, stream: str, audio: bool, said: str
) -> None:
    profile = camera(1, "东门", PASSWORD, codec="h265", audio=audio, **habits(peer))
    profile = replace(profile, edition=edition)
    async for running in start(peer, profile):
        body = OFFER.format(proto="RTP/AVP", setup=stream)
        assert read_sdp((await invite(running, body)).body).one("f") == said


async def test_an_older_device_does_not_know_the_version_header(peer: UdpPeer) -> None:
    profile = replace(camera(1, "东门", PASSWORD, **habits(peer)), edition=Edition.GB2016)
    streams = RecordedStreams()
    task = asyncio.create_task(SiteRunner([profile], streams).run())
    register = await accept_registration(peer)
    assert register.all("x-gb-ver") == []
    task.cancel()
    farewell = asyncio.create_task(_accept_farewell(peer))
    await asyncio.gather(task, return_exceptions=True)
    farewell.cancel()


async def test_stops_sending_and_hangs_up_when_it_is_stopped(peer: UdpPeer) -> None:
    profile = camera(1, "东门", PASSWORD, **habits(peer))
    streams = RecordedStreams()
    async for running in start(peer, profile):
        streams = running.streams
        await invite(running, OFFER.format(proto="RTP/AVP", setup=""))
    await peer.receive(method="BYE")
    assert streams.stream.log[-1] == "close"
