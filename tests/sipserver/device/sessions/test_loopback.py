"""Live view over real sockets: our SIP service and media node against devices that misbehave."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from media_relay._core import Clip, Node, NodeSettings, Sender
from media_relay.node import LocalMediaNode
from media_relay.ports import PortPool
from media_relay.ssrc import SsrcPool
from sdp.gb import Transport
from sdp.offer import MediaOffer, make_live_answer, parse_offer
from sipserver.device.sessions.errors import PlayFailed
from sipserver.device.sessions.invite import Platform
from sipserver.device.sessions.live import LiveSessions
from sipserver.device.sessions.settings import LiveSettings
from sipserver.device.sessions.state import State
from sipserver.device.sessions.surroundings import Surroundings
from sipserver.device.sessions.target import PlayTarget
from sipserver.sip.flow import Flow
from sipserver.transport.service import Call, IncomingRequest, SipService, TransportSettings

pytestmark = pytest.mark.e2e

HERE = "127.0.0.1"
DEVICE = "34020000001320000001"
CHANNEL = "34020000001310000001"
PLATFORM = "34020000002000000001"
CLIPS = Path(__file__).parents[3] / "wire" / "clips"
ROLES = {Transport.UDP: "udp", Transport.TCP_PASSIVE: "tcp-active"}
SETTINGS = LiveSettings(
    invite_timeout=3.0,
    first_packet_timeout=2.0,
    picture_timeout=5.0,
    silence_timeout=0.5,
    reconnect_grace=0.3,
    bye_timeout=0.5,
)


class ScriptedDevice:
    """A device whose answer to INVITE the test writes; its media are a clip."""

    def __init__(self) -> None:
        self.sip = SipService(TransportSettings(host=HERE, port=0), self)
        self.script: Callable[[IncomingRequest, MediaOffer], Awaitable[None]] = self.play
        self.offers: list[MediaOffer] = []
        self.requests: list[str] = []  # inside the dialog
        self.ended: list[str] = []
        self.cancelled = 0
        self.call: Call | None = None
        self.senders: list[Sender] = []
        self._node = Node(NodeSettings(workers=1))
        self._tasks: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._node.close()
        await self.sip.close()

    # ------------------------------------------------------------------- SIP
    def on_request(self, incoming: IncomingRequest) -> None:
        assert incoming.request.method == "INVITE"
        offer = parse_offer(incoming.request.body)
        self.offers.append(offer)
        incoming.on_cancel = self._count_cancel
        task = asyncio.ensure_future(self.script(incoming, offer))
        self._tasks.add(task)

    def on_connection_lost(self, flow: Flow, reason: str) -> None:
        pass

    def _count_cancel(self) -> None:
        self.cancelled += 1

    def accept(self, incoming: IncomingRequest, offer: MediaOffer, **changes: Any) -> Call:
        port = changes.pop("port", 40000)
        encoding = changes.pop("encoding", "PS")
        body = make_live_answer(offer, sender_id=CHANNEL, media_ip=HERE, media_port=port, **changes)
        self.call = incoming.accept(body=body.replace(b"PS/", encoding.encode() + b"/"))
        self.call.on_request = lambda inner: self.requests.append(inner.request.method)
        self.call.on_ended = self.ended.append
        return self.call

    # ----------------------------------------------------------------- media
    def send(self, offer: MediaOffer, *, ssrc: int | None = None, transport: str = "") -> Sender:
        sender = self._node.open_sender(
            Clip(CLIPS / "h264.gbclip"),
            remote=(HERE, offer.port),
            transport=transport or ROLES[offer.transport],
            ssrc=(offer.ssrc or 0) if ssrc is None else ssrc,
            local_host=HERE,
        )
        self.senders.append(sender)
        return sender

    async def play(self, incoming: IncomingRequest, offer: MediaOffer) -> None:
        incoming.respond(100)
        call = self.accept(incoming, offer)
        await call.acknowledged.wait()
        self.send(offer)


class Bench:
    def __init__(self, node: LocalMediaNode, sip: SipService, target_port: int) -> None:
        self.ports = PortPool(31000, 31399)
        self.ssrcs = SsrcPool("34020000")
        self.flow = sip.udp_flow((HERE, target_port))
        self.play_target = PlayTarget(device_id=DEVICE, channel_id=CHANNEL, flow=self.flow)
        self.node = node
        self.sessions = LiveSessions(
            Surroundings(
                platform=Platform(
                    platform_id=PLATFORM, domain="3402000000", media_ip=HERE, listen_ip=HERE
                ),
                caller=sip,
                node=node,
                ports=self.ports,
                ssrcs=self.ssrcs,
                targets=self,
                settings=SETTINGS,
                node_silence=0.5,
            )
        )

    def target(self, device_id: str, channel_id: str) -> PlayTarget:
        return self.play_target

    async def play(self, transport: Transport = Transport.UDP) -> Any:
        return await self.sessions.play(DEVICE, CHANNEL, transport=transport)

    async def fails(self, transport: Transport = Transport.UDP) -> str:
        with pytest.raises(PlayFailed) as info:
            await self.play(transport)
        for session in self.sessions:
            await session.released()
        return info.value.verdict.code.value

    def assert_nothing_is_held(self) -> None:
        held = (self.ports.leased, self.ssrcs.leased, self.sessions.stats().active)
        assert held == (0, 0, 0)
        assert self.node.stats().streams == 0
        assert self.sessions.stats().release_failures == 0


@asynccontextmanager
async def platform(target_port: int) -> AsyncIterator[Bench]:
    class Nobody:
        def on_request(self, incoming: IncomingRequest) -> None:
            incoming.respond(403)

        def on_connection_lost(self, flow: Flow, reason: str) -> None:
            pass

    sip = SipService(TransportSettings(host=HERE, port=0), Nobody())
    await sip.start()
    async with LocalMediaNode(NodeSettings(workers=1, silence=0.5)) as node:
        bench = Bench(node, sip, target_port)
        try:
            yield bench
        finally:
            await bench.sessions.close()
            bench.assert_nothing_is_held()
    await sip.close()


@pytest.fixture
async def device() -> AsyncIterator[ScriptedDevice]:
    device = ScriptedDevice()
    await device.sip.start()
    yield device
    await device.close()


@pytest.fixture
async def bench(device: ScriptedDevice) -> AsyncIterator[Bench]:
    async with platform(device.sip.port) as bench:
        yield bench


async def eventually(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)


# --------------------------------------------------------------------- plays
@pytest.mark.parametrize("transport", [Transport.UDP, Transport.TCP_PASSIVE])
async def test_play_and_stop(bench: Bench, device: ScriptedDevice, transport: Transport) -> None:
    session = await bench.play(transport)
    names = [stage.stage.value for stage in session.view().stages]
    assert {"trying", "answered", "first_packet", "ssrc_matched", "ps_locked", "key_frame"} <= set(
        names
    )
    assert ("connected" in names) == (transport is not Transport.UDP)
    view = await bench.sessions.stop(session.id)
    await eventually(lambda: device.ended)
    assert (view.state, view.verdict) == (State.ENDED, None)
    assert device.requests == ["BYE"]


async def test_tcp_active_connects_from_the_offered_port(
    bench: Bench, device: ScriptedDevice
) -> None:
    peers: list[int] = []

    async def script(incoming: IncomingRequest, offer: MediaOffer) -> None:
        clip = device.send(offer, transport="tcp-passive")
        call = device.accept(incoming, offer, port=clip.local_port)
        await call.acknowledged.wait()
        peers.append(offer.port)

    device.script = script
    session = await bench.play(Transport.TCP_ACTIVE)
    [stats] = bench.node.stream_stats()
    assert stats.port == peers[0] == session.view().media_port


@pytest.mark.parametrize("ssrc", [0, 123456789, 0xFFFFFFFF])
async def test_a_device_with_an_ssrc_of_its_own(
    bench: Bench, device: ScriptedDevice, ssrc: int
) -> None:
    async def script(incoming: IncomingRequest, offer: MediaOffer) -> None:
        device.accept(incoming, offer, ssrc=ssrc)
        device.send(offer, ssrc=ssrc)

    device.script = script
    assert (await bench.play()).state is State.PLAYING


async def test_a_device_that_says_one_ssrc_and_sends_another(
    bench: Bench, device: ScriptedDevice
) -> None:
    async def script(incoming: IncomingRequest, offer: MediaOffer) -> None:
        device.accept(incoming, offer)
        device.send(offer, ssrc=4711)

    device.script = script
    session = await bench.play()
    assert "ssrc_adopted" in [stage.stage.value for stage in session.view().stages]


async def test_a_device_that_connects_before_its_200(bench: Bench, device: ScriptedDevice) -> None:
    async def script(incoming: IncomingRequest, offer: MediaOffer) -> None:
        device.send(offer)
        await asyncio.sleep(0.3)
        device.accept(incoming, offer)

    device.script = script
    session = await bench.play(Transport.TCP_PASSIVE)
    names = [stage.stage.value for stage in session.view().stages]
    assert names.index("first_packet") < names.index("answered")


async def test_a_device_that_answers_udp_to_an_offer_of_tcp(
    bench: Bench, device: ScriptedDevice
) -> None:
    async def script(incoming: IncomingRequest, offer: MediaOffer) -> None:
        offer = replace(offer, transport=Transport.UDP)
        call = device.accept(incoming, offer)
        await call.acknowledged.wait()
        device.send(offer)

    device.script = script
    session = await bench.play(Transport.TCP_PASSIVE)
    assert session.view().transport is Transport.UDP


# ------------------------------------------------------------------ failures
async def test_port_zero_is_ended_with_bye(bench: Bench, device: ScriptedDevice) -> None:
    async def script(incoming: IncomingRequest, offer: MediaOffer) -> None:
        device.accept(incoming, offer, port=0)

    device.script = script
    assert await bench.fails() == "port_refused"
    await eventually(lambda: device.requests == ["BYE"])


async def test_busy(bench: Bench, device: ScriptedDevice) -> None:
    async def script(incoming: IncomingRequest, offer: MediaOffer) -> None:
        incoming.respond(486)

    device.script = script
    assert await bench.fails() == "device_busy"


async def test_ringing_for_ever_is_cancelled(bench: Bench, device: ScriptedDevice) -> None:
    async def script(incoming: IncomingRequest, offer: MediaOffer) -> None:
        incoming.respond(180)

    device.script = script
    assert await bench.fails() == "no_final_answer"
    await eventually(lambda: device.cancelled == 1)


async def test_bye_at_once(bench: Bench, device: ScriptedDevice) -> None:
    async def script(incoming: IncomingRequest, offer: MediaOffer) -> None:
        call = device.accept(incoming, offer)
        await call.acknowledged.wait()
        await call.bye()

    device.script = script
    assert await bench.fails() == "device_bye_at_once"
    assert device.requests == []


async def test_bye_in_mid_play(bench: Bench, device: ScriptedDevice) -> None:
    session = await bench.play()
    assert device.call is not None
    await device.call.bye()
    await session.released()
    assert session.verdict.code == "device_ended"


async def test_media_that_never_come(bench: Bench, device: ScriptedDevice) -> None:
    async def script(incoming: IncomingRequest, offer: MediaOffer) -> None:
        device.accept(incoming, offer)

    device.script = script
    assert await bench.fails() == "no_packet_udp"
    assert await bench.fails(Transport.TCP_PASSIVE) == "device_did_not_connect"
    await eventually(lambda: device.requests == ["BYE", "BYE"])


async def test_a_media_port_that_nobody_listens_on(bench: Bench, device: ScriptedDevice) -> None:
    async def script(incoming: IncomingRequest, offer: MediaOffer) -> None:
        device.accept(incoming, offer, port=9)

    device.script = script
    patience = replace(SETTINGS, first_packet_timeout=20.0)
    around = replace(bench.sessions._around, settings=patience)
    bench.sessions = LiveSessions(around)
    assert await bench.fails(Transport.TCP_ACTIVE) == "connect_refused"


@pytest.mark.parametrize(
    ("transport", "code"),
    [(Transport.UDP, "media_lost"), (Transport.TCP_PASSIVE, "connection_closed")],
)
async def test_a_stream_that_falls_silent(
    bench: Bench, device: ScriptedDevice, transport: Transport, code: str
) -> None:
    session = await bench.play(transport)
    device.senders[0].close()
    await session.released()
    assert session.verdict.code == code
    await eventually(lambda: device.requests == ["BYE"])


async def test_a_device_that_is_not_there() -> None:
    async with platform(9) as bench:
        assert await bench.fails() in ("no_answer", "sip_unreachable")


# ------------------------------------------------------- datagrams by hand
class RawDevice(asyncio.DatagramProtocol):
    """A device below any SIP stack: it answers what the test writes."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.answer: Callable[[bytes], None] = lambda request: None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.received.append(data)
        self.platform = addr
        self.answer(data)

    def count(self, start: bytes) -> int:
        return sum(data.startswith(start) for data in self.received)

    def send(self, data: bytes) -> None:
        self.transport.sendto(data, self.platform)

    def reply(self, request: bytes, status: str, body: bytes = b"") -> bytes:
        names = (b"Via", b"From", b"Call-ID", b"CSeq")
        lines = [line for line in request.split(b"\r\n") if line.split(b":")[0].strip() in names]
        to = next(line for line in request.split(b"\r\n") if line.startswith(b"To:"))
        tag = b"" if b";tag=" in to else b";tag=device"
        contact = b"Contact: <sip:%s@127.0.0.1>" % CHANNEL.encode()
        head = [b"SIP/2.0 " + status.encode(), *lines, to + tag, contact]
        head += [b"Content-Type: application/sdp", b"Content-Length: %d" % len(body), b"", body]
        return b"\r\n".join(head)

    def answer_sdp(self, invite: bytes) -> bytes:
        offer = parse_offer(invite.partition(b"\r\n\r\n")[2])
        return make_live_answer(offer, sender_id=CHANNEL, media_ip=HERE, media_port=40000)


@pytest.fixture
async def raw() -> AsyncIterator[RawDevice]:
    loop = asyncio.get_running_loop()
    transport, device = await loop.create_datagram_endpoint(RawDevice, local_addr=(HERE, 0))
    yield device
    transport.close()


async def test_a_lost_ack_is_sent_again_for_the_repeated_200(raw: RawDevice) -> None:
    def answer(request: bytes) -> None:
        if request.startswith(b"INVITE"):
            success = raw.reply(request, "200 OK", raw.answer_sdp(request))
            raw.send(success)
            asyncio.get_running_loop().call_later(0.2, raw.send, success)
        elif request.startswith(b"BYE"):
            raw.send(raw.reply(request, "481 Gone"))

    raw.answer = answer
    async with platform(raw.transport.get_extra_info("sockname")[1]) as bench:
        assert await bench.fails() == "no_packet_udp"
        assert (raw.count(b"ACK"), raw.count(b"BYE"), raw.count(b"INVITE")) == (2, 1, 1)


async def test_a_200_that_crosses_our_cancel_is_acknowledged_and_ended(raw: RawDevice) -> None:
    invites: list[bytes] = []

    def answer(request: bytes) -> None:
        if request.startswith(b"INVITE"):
            invites.append(request)
            raw.send(raw.reply(request, "183 Session Progress"))
        elif request.startswith(b"CANCEL"):
            raw.send(raw.reply(invites[0], "200 OK", raw.answer_sdp(invites[0])))
            raw.send(raw.reply(request, "200 OK"))
        elif request.startswith(b"BYE"):
            raw.send(raw.reply(request, "200 OK"))

    raw.answer = answer
    async with platform(raw.transport.get_extra_info("sockname")[1]) as bench:
        assert await bench.fails() == "no_final_answer"
        await eventually(lambda: raw.count(b"BYE"))
        assert (raw.count(b"CANCEL"), raw.count(b"ACK"), raw.count(b"BYE")) == (1, 1, 1)


async def test_a_reinvite_is_answered_as_a_fresh_offer_or_488(raw: RawDevice) -> None:
    dialog: list[bytes] = []

    def answer(request: bytes) -> None:
        if request.startswith(b"INVITE"):
            dialog.append(request)
            raw.send(raw.reply(request, "200 OK", raw.answer_sdp(request)))
        elif request.startswith(b"BYE"):
            raw.send(raw.reply(request, "200 OK"))

    def reinvite(number: int, body: bytes) -> bytes:
        text = dialog[0].decode()
        us = re.search(r"^From: (.*)$", text, re.M)
        them = re.search(r"^To: (.*)$", text, re.M)
        call_id = re.search(r"^Call-ID: (.*)$", text, re.M)
        assert us
        assert them
        assert call_id
        head = [
            f"INVITE sip:{PLATFORM}@127.0.0.1 SIP/2.0",
            f"Via: SIP/2.0/UDP 127.0.0.1:1;rport;branch=z9hG4bKre{number}",
            f"From: {them[1].strip()};tag=device",
            f"To: {us[1].strip()}",
            f"Call-ID: {call_id[1].strip()}",
            f"CSeq: {number} INVITE",
            f"Contact: <sip:{CHANNEL}@127.0.0.1>",
            "Max-Forwards: 70",
            "Content-Type: application/sdp",
            f"Content-Length: {len(body)}",
        ]
        return "\r\n".join([*head, "", ""]).encode() + body

    raw.answer = answer
    async with platform(raw.transport.get_extra_info("sockname")[1]) as bench:
        session = bench.sessions.open(DEVICE, CHANNEL)
        await eventually(lambda: raw.count(b"ACK"))
        same = raw.answer_sdp(dialog[0])
        raw.send(reinvite(1, same))
        await eventually(lambda: raw.count(b"SIP/2.0 200"))
        raw.send(reinvite(2, same.replace(b"video 40000", b"video 40002")))
        await eventually(lambda: raw.count(b"SIP/2.0 488"))
        assert session.state is State.AWAITING_MEDIA
