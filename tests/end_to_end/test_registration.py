"""What the platform says to a device, byte for byte, judged by a reader that forgives nothing."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from conformance.wire import WireMessage, read_manscdp, read_message, read_sdp
from tests.end_to_end.driving import (
    PASSWORD,
    PLATFORM_ID,
    RunningPlatform,
    eventually,
    platform,
    refusal,
)
from tests.end_to_end.scripted import (
    ANSWER_TIME,
    MANSCDP,
    ScriptedCamera,
    branch_of,
    keepalive,
    live_answer,
    request_in_dialog,
)

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

SETTINGS = {
    "live": {"invite_timeout": 6.0, "first_packet_timeout": 2.0, "bye_timeout": 2.0},
    "sync": {"delay": 0.2},
}
DOMAIN = PLATFORM_ID[:10]
STRANGER = "34020000001320009999"
numbers = iter(range(1, 1000))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    folder = tmp_path_factory.mktemp("registration")
    with platform("registration", folder, SETTINGS) as started:
        yield started


@pytest.fixture
async def camera(server: RunningPlatform) -> AsyncIterator[ScriptedCamera]:
    """A device that the platform knows and that has not registered yet."""
    device = f"3402000000132001{next(numbers):04d}"
    server.add_device(device)
    async with ScriptedCamera(device, server.sip) as peer:
        yield peer
        assert peer.problems == [], "something the platform sent is not conformant"


async def until(condition: Any, complaint: str) -> None:
    await asyncio.to_thread(eventually, condition, complaint)


def online(server: RunningPlatform, camera: ScriptedCamera) -> bool:
    return bool(server.device(camera.device)["online"])


# ------------------------------------------------------------ registration
async def test_the_four_messages(server: RunningPlatform, camera: ScriptedCamera) -> None:
    asked = await camera.attempt(None)
    assert asked.status == 401
    challenge = asked.one("www-authenticate")
    assert f'realm="{DOMAIN}"' in challenge
    assert re.search(r'nonce="[^"]{16,}"', challenge)
    assert asked.one("x-gb-ver") == "3.0"
    accepted = await camera.attempt(expires=7200, extra="X-GB-Ver: 2.0\nUser-Agent: hand/1")
    assert accepted.status == 200
    assert accepted.one("expires") == "7200"
    assert accepted.one("x-gb-ver") == "3.0"
    date = accepted.one("date")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}", date), f"Date: {date} (9.10)"
    assert f"<sip:{camera.device}@" in accepted.one("contact")
    assert accepted.parameter("to", "tag")
    assert re.search(r";rport=\d+", accepted.one("via")), "RFC 3581"
    view = await asyncio.to_thread(server.device, camera.device)
    assert (view["online"], view["edition"], view["user_agent"]) == (True, "2.0", "hand/1")
    assert view["expires_at"] - view["registered_at"] == pytest.approx(7200, abs=1)


async def test_a_device_can_do_without_date(server: RunningPlatform) -> None:
    device = f"3402000000132001{next(numbers):04d}"
    server.add_device(device, send_date=False)
    async with ScriptedCamera(device, server.sip) as peer:
        accepted = await peer.attempt()
        assert (accepted.status, accepted.all("date")) == (200, [])
        assert peer.problems == []


async def test_a_wrong_password_is_refused(server: RunningPlatform, camera: ScriptedCamera) -> None:
    refused = await camera.attempt(f"{PASSWORD}x")
    assert refused.status == 403
    assert not online(server, camera)
    assert (await camera.attempt()).status == 200, "the right one is welcome after that"


async def test_who_is_not_known_stays_outside(server: RunningPlatform) -> None:
    async with ScriptedCamera(STRANGER, server.sip) as peer:
        refused = await peer.attempt()
        assert refused.status in (403, 404)
        told = await peer.keep_alive()
        assert told.status in (403, 404)
        assert peer.problems == []
    assert refusal(lambda: server.device(STRANGER)).status == 404


async def test_a_nonce_must_be_ours(server: RunningPlatform, camera: ScriptedCamera) -> None:
    forged = f'Digest realm="{DOMAIN}",nonce="0123456789abcdef0123456789abcdef",algorithm=MD5'
    assert (await camera.attempt(challenge=forged)).status == 401
    async with ScriptedCamera(STRANGER, server.sip) as other:
        given = (await other.attempt(None)).one("www-authenticate")
    assert (await camera.attempt(challenge=given)).status == 401, "it was another device's"
    assert not online(server, camera)


async def test_credentials_copied_from_the_wire_are_worth_nothing(
    server: RunningPlatform, camera: ScriptedCamera
) -> None:
    challenge = (await camera.attempt(None)).one("www-authenticate")
    first = await camera.attempt(challenge=challenge, call_id="copied", first_cseq=5)
    assert first.status == 200
    async with ScriptedCamera(camera.device, server.sip) as thief:
        credentials = camera.authorize(challenge, "REGISTER", PASSWORD)
        lines = f"{credentials}\nExpires: 0"
        thief.request("REGISTER", call_id="copied", cseq=5, extra=lines, to=camera.device)
        assert (await thief.answer("copied", 5, "REGISTER")).status == 401
    assert online(server, camera)


async def test_a_refresh_needs_the_digest_again(
    server: RunningPlatform, camera: ScriptedCamera
) -> None:
    assert (await camera.attempt(call_id="refresh")).status == 200
    without = await camera.attempt(None, call_id="refresh", first_cseq=3)
    assert without.status == 401
    assert online(server, camera), "an unproved refresh changes nothing"
    wrong = await camera.attempt(f"{PASSWORD}x", call_id="refresh", first_cseq=4)
    assert wrong.status == 403
    assert online(server, camera)
    right = await camera.attempt(call_id="refresh", first_cseq=6)
    assert right.status == 200
    edges = await asyncio.to_thread(server.presence, camera.device)
    assert [edge["online"] for edge in edges] in ([], [True]), "a refresh is no new edge"


async def test_leaving_needs_the_digest_and_is_remembered(
    server: RunningPlatform, camera: ScriptedCamera
) -> None:
    assert (await camera.attempt(call_id="leave")).status == 200
    assert (await camera.attempt(None, expires=0, call_id="leave", first_cseq=3)).status == 401
    assert online(server, camera)
    left = await camera.attempt(expires=0, call_id="leave", first_cseq=4)
    assert (left.status, left.one("expires")) == (200, "0")
    assert not online(server, camera)
    await until(lambda: len(server.presence(camera.device)) == 2, "the history lacks an edge")
    gone, came = server.presence(camera.device)
    assert (came["online"], came["reason"]) == (True, "registered")
    assert (gone["online"], gone["reason"]) == (False, "unregistered")
    assert gone["at"] >= came["at"]


async def test_a_registration_that_is_too_short(camera: ScriptedCamera) -> None:
    refused = await camera.attempt(expires=5)
    assert refused.status == 423
    assert int(refused.one("min-expires")) >= 60


# -------------------------------------------------------------- keepalives
async def test_a_keepalive_is_answered_and_its_sender_checked(
    server: RunningPlatform, camera: ScriptedCamera
) -> None:
    assert (await camera.attempt()).status == 200
    assert (await camera.keep_alive()).status == 200
    async with ScriptedCamera(camera.device, server.sip) as impostor:
        assert (await impostor.keep_alive()).status == 403, "right ID, other place (3.11)"
    for broken in ("<Notify>", "nothing at all", '<?xml version="1.0"?><Notify/>'):
        assert (await camera.tell(broken)).status == 400
    assert (await camera.keep_alive()).status == 200
    assert online(server, camera)


async def test_a_retransmission_gets_the_same_answer(camera: ScriptedCamera) -> None:
    assert (await camera.attempt()).status == 200
    host, port = camera.address
    body = keepalive(camera.device, 77).encode()
    text = f"""MESSAGE sip:{PLATFORM_ID}@{DOMAIN} SIP/2.0
Via: SIP/2.0/UDP {host}:{port};rport;branch=z9hG4bK-again
Max-Forwards: 70
From: <sip:{camera.device}@{DOMAIN}>;tag=again
To: <sip:{PLATFORM_ID}@{DOMAIN}>
Call-ID: again
CSeq: 20 MESSAGE
{MANSCDP}"""
    answers = []
    for _ in range(3):
        camera.send(text, body)
        answers.append(await camera.answer("again", 20, "MESSAGE"))
    assert len({answer.one("to") for answer in answers}) == 1, "one transaction has one tag"


# ------------------------------------------------------- other SIP messages
async def test_options_and_unknown_methods(camera: ScriptedCamera) -> None:
    camera.request("OPTIONS", call_id="options", cseq=1)
    options = await camera.answer("options", 1, "OPTIONS")
    assert options.status == 200
    assert {"INVITE", "ACK", "BYE", "MESSAGE", "REGISTER"} <= {
        part.strip() for value in options.all("allow") for part in value.split(",")
    }
    camera.request("DANCE", call_id="dance", cseq=1)
    refused = await camera.answer("dance", 1, "DANCE")
    assert refused.status in (405, 501)
    camera.request("BYE", call_id="nobody", cseq=1)
    assert (await camera.answer("nobody", 1, "BYE")).status == 481


async def test_stray_bytes_disturb_nobody(server: RunningPlatform, camera: ScriptedCamera) -> None:
    assert (await camera.attempt()).status == 200
    host, port = camera.address
    with socket.socket(type=socket.SOCK_DGRAM) as noise:
        for data in (b"\r\n\r\n", b"jaK\0", b"\0" * 64, b"SIP/2.0 200 OK\r\n\r\n", b"x" * 3000):
            noise.sendto(data, server.sip)
    camera.send(
        f"""SIP/2.0 200 OK
Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bK-never-sent
From: <sip:{PLATFORM_ID}@{DOMAIN}>;tag=a
To: <sip:{camera.device}@{DOMAIN}>;tag=b
Call-ID: never-sent
CSeq: 1 INVITE"""
    )
    assert (await camera.keep_alive()).status == 200


# ----------------------------------------------------------------- queries
async def test_the_queries_are_well_formed_and_their_answers_kept(
    server: RunningPlatform, camera: ScriptedCamera
) -> None:
    channels = [(f"3402000000131077{number:04d}", f"镕囍{number}号门") for number in range(1, 8)]
    assert (await camera.attempt(extra="X-GB-Ver: 3.0")).status == 200
    assert (await camera.keep_alive()).status == 200
    queries = await camera.answer_queries(channels)
    for query in queries:
        assert query.one("content-type").lower() == "application/manscdp+xml"
        assert query.parameter("from", "tag")
        assert f"<sip:{PLATFORM_ID}@" in query.one("from")
        assert f"sip:{camera.device}@" in query.start_line
        declared = re.match(rb'<\?xml version="1\.0" encoding="([^"]+)"\?>', query.body)
        assert declared
        assert declared.group(1) in (b"GB18030", b"GB2312")
        root = read_manscdp(query.body)
        assert root.tag == "Query"
        assert root.findtext("DeviceID") == camera.device
    asked = [read_manscdp(query.body).findtext("CmdType") for query in queries]
    assert asked == ["DeviceInfo", "Catalog"]
    serials = [read_manscdp(query.body).findtext("SN") for query in queries]
    assert len(set(serials)) == 2
    await until(lambda: len(server.channels(camera.device)) == 7, "a channel is missing")
    found = {view["channel_id"]: view["name"] for view in server.channels(camera.device)}
    assert found == dict(channels)
    view = server.device(camera.device)
    assert (view["manufacturer"], view["name"], view["charset"]) == ("Hand", "手写", "gb18030")
    unasked = await camera.tell(
        f'<?xml version="1.0" encoding="GB2312"?><Response><CmdType>Catalog</CmdType><SN>1</SN>'
        f"<DeviceID>{camera.device}</DeviceID><SumNum>0</SumNum></Response>"
    )
    assert unasked.status == 200
    assert len(server.channels(camera.device)) == 7, "an answer to nothing replaces nothing"


# ------------------------------------------------------------------- calls
@pytest.fixture
async def ready(server: RunningPlatform, camera: ScriptedCamera) -> ScriptedCamera:
    """Registered, its one channel known."""
    assert (await camera.attempt(extra="X-GB-Ver: 3.0")).status == 200
    await camera.answer_queries([(camera.device, "hand-written")])
    await until(lambda: server.device(camera.device)["channels"] == 1, "no catalogue")
    return camera


def ask(server: RunningPlatform, camera: ScriptedCamera) -> "asyncio.Task[dict[str, Any]]":
    """Play its channel, by the API, while the script goes on."""
    path = f"/api/v1/devices/{camera.device}/channels/{camera.device}/play"
    return asyncio.create_task(asyncio.to_thread(server.call, "POST", path, {"wait": False}))


async def answer_invite(camera: ScriptedCamera, ssrc: str = "") -> tuple[WireMessage, WireMessage]:
    """INVITE, 100, 200, ACK; returns INVITE and ACK."""
    invite = await camera.next_request("INVITE")
    camera.respond(invite, "100 Trying")
    offered = read_sdp(invite.body).one("y")
    host, port = camera.address
    contact = f"Contact: <sip:{camera.device}@{host}:{port}>\nContent-Type: application/sdp"
    body = live_answer(camera.device, (host, port), ssrc or offered)
    camera.respond(invite, "200 OK", extra=contact, body=body)
    ack = await camera.next_request("ACK")
    return invite, ack


async def test_the_invite_is_that_of_the_standard(
    server: RunningPlatform, ready: ScriptedCamera
) -> None:
    playing = ask(server, ready)
    invite, ack = await answer_invite(ready)
    session = server.session((await playing)["session"]["id"])
    host, port = ready.address
    assert invite.start_line == f"INVITE sip:{ready.device}@{host}:{port} SIP/2.0"
    assert invite.one("from").startswith(f"<sip:{PLATFORM_ID}@{DOMAIN}>")
    assert f"<sip:{PLATFORM_ID}@127.0.0.1:{server.sip_port}>" in invite.one("contact")
    assert invite.one("content-type").lower() == "application/sdp"
    assert invite.one("x-gb-ver") == "3.0"
    sdp = read_sdp(invite.body)
    assert sdp.one("o").split()[0] == PLATFORM_ID
    assert sdp.one("s") == "Play"
    assert sdp.one("c") == "IN IP4 127.0.0.1"
    assert sdp.one("t") == "0 0"
    kind, media_port, protocol, *payloads = sdp.one("m").split()
    assert (kind, protocol, payloads[0]) == ("video", "RTP/AVP", "96")
    assert int(media_port) % 2 == 0, "RTP takes the even port (RFC 3550 section 11)"
    assert int(media_port) == session["media_port"]
    assert ("a", "recvonly") in sdp.lines
    assert ("a", "rtpmap:96 PS/90000") in sdp.lines
    ssrc = sdp.one("y")
    assert ssrc[0] == "0", "0: live (annex G)"
    assert ssrc[1:6] == PLATFORM_ID[3:8]
    sender, receiver = invite.one("subject").split(",")
    assert sender.split(":")[0] == ready.device
    assert receiver.split(":")[0] == PLATFORM_ID
    assert ack.one("call-id") == invite.one("call-id") == session["call_id"]
    assert ack.one("cseq").split()[0] == invite.one("cseq").split()[0]
    assert ack.parameter("to", "tag")
    assert branch_of(ack) != branch_of(invite), "ACK to a 2xx is a transaction of its own"
    stopping = asyncio.create_task(asyncio.to_thread(server.stop_session, session["id"]))
    bye = await ready.next_request("BYE")
    ready.respond(bye, "200 OK")
    assert (await stopping)["state"] == "ended"
    assert bye.start_line == f"BYE sip:{ready.device}@{host}:{port} SIP/2.0"
    assert (bye.one("call-id"), bye.one("from")) == (ack.one("call-id"), ack.one("from"))
    assert bye.one("to") == ack.one("to")
    assert int(bye.one("cseq").split()[0]) > int(ack.one("cseq").split()[0])
    assert server.leases() == (0, 0)


async def test_a_lost_ack_is_sent_again(server: RunningPlatform, ready: ScriptedCamera) -> None:
    playing = ask(server, ready)
    invite, first = await answer_invite(ready)
    body = live_answer(ready.device, ready.address, read_sdp(invite.body).one("y"))
    host, port = ready.address
    again = f"Contact: <sip:{ready.device}@{host}:{port}>\nContent-Type: application/sdp"
    ready.respond(invite, "200 OK", extra=again, body=body)
    second = await ready.next_request("ACK")
    assert second == first
    request_in_dialog(ready, invite, first, "BYE", 7)
    assert (await ready.answer(invite.one("call-id"), 7, "BYE")).status == 200
    session = (await playing)["session"]
    await until(lambda: server.session(session["id"])["state"] == "ended", "it goes on")
    verdict = server.session(session["id"])["verdict"]
    assert verdict["code"] == "device_bye_at_once"
    assert verdict["next_step_zh"]
    assert server.leases() == (0, 0)


async def test_no_media_ends_with_a_verdict_and_a_bye(
    server: RunningPlatform, ready: ScriptedCamera
) -> None:
    playing = ask(server, ready)
    await answer_invite(ready)
    bye = await ready.next_request("BYE")
    ready.respond(bye, "200 OK")
    session = (await playing)["session"]
    await until(lambda: server.session(session["id"])["state"] == "ended", "it goes on")
    ended = server.session(session["id"])
    assert ended["verdict"]["code"] == "no_packet_udp"
    assert str(ended["media_port"]) in ended["verdict"]["cause"] + ended["verdict"]["next_step"]
    reached = [stage["stage"] for stage in ended["stages"]]
    assert reached == ["queued", "invite_sent", "trying", "answered", "sdp_accepted", "ended"]
    assert server.leases() == (0, 0)


REFUSALS = [
    ("404 Not Found", "channel_not_found"),
    ("486 Busy Here", "device_busy"),
    ("488 Not Acceptable Here", "offer_refused"),
    ("500 Server Internal Error", "device_error"),
    ("302 Moved Temporarily", "redirected"),
    ("603 Decline", "forbidden"),
]


@pytest.mark.parametrize(("status", "code"), REFUSALS)
async def test_a_refusal_becomes_a_clear_error(
    server: RunningPlatform, ready: ScriptedCamera, status: str, code: str
) -> None:
    playing = ask(server, ready)
    invite = await ready.next_request("INVITE")
    ready.respond(invite, status)
    ack = await ready.next_request("ACK")
    assert branch_of(ack) == branch_of(invite), "RFC 3261 17.1.1.3"
    assert ack.start_line.replace("ACK", "INVITE", 1) == invite.start_line
    session = (await playing)["session"]
    await until(lambda: server.session(session["id"])["state"] == "ended", "it goes on")
    ended = server.session(session["id"])
    assert (ended["verdict"]["code"], ended["sip_status"]) == (code, int(status.split()[0]))
    assert server.leases() == (0, 0)


async def test_a_call_nobody_wants_any_more_is_cancelled(
    server: RunningPlatform, ready: ScriptedCamera
) -> None:
    playing = ask(server, ready)
    invite = await ready.next_request("INVITE")
    ready.respond(invite, "180 Ringing")
    session = (await playing)["session"]
    stopping = asyncio.create_task(asyncio.to_thread(server.stop_session, session["id"]))
    cancel = await ready.next_request("CANCEL")
    assert branch_of(cancel) == branch_of(invite)
    assert cancel.one("cseq").split()[0] == invite.one("cseq").split()[0]
    assert cancel.start_line.replace("CANCEL", "INVITE", 1) == invite.start_line
    ready.respond(cancel, "200 OK")
    ready.respond(invite, "487 Request Terminated")
    await ready.next_request("ACK")
    assert (await stopping)["ended_by"] == "stopped"
    assert server.leases() == (0, 0)


async def test_silence_after_180_is_cancelled_too(
    server: RunningPlatform, ready: ScriptedCamera
) -> None:
    playing = ask(server, ready)
    invite = await ready.next_request("INVITE")
    ready.respond(invite, "180 Ringing")
    cancel = await ready.next_request("CANCEL")
    ready.respond(cancel, "200 OK")
    ready.respond(invite, "487 Request Terminated")
    await ready.next_request("ACK")
    session = (await playing)["session"]
    await until(lambda: server.session(session["id"])["state"] == "ended", "it goes on")
    assert server.session(session["id"])["verdict"]["code"] == "no_final_answer"


# --------------------------------------------------------------------- TCP
class TcpCamera:
    """The same by hand over a stream."""

    def __init__(self, device: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self.device = device
        self.reader = reader
        self.writer = writer
        self.signer = ScriptedCamera(device, ("127.0.0.1", 0))

    async def register(self, cseq: int, extra: str = "") -> WireMessage:
        host, port = self.writer.get_extra_info("sockname")[:2]
        lines = f"""REGISTER sip:{PLATFORM_ID}@{DOMAIN} SIP/2.0
Via: SIP/2.0/TCP {host}:{port};rport;branch=z9hG4bK-tcp-{cseq}
Max-Forwards: 70
From: <sip:{self.device}@{DOMAIN}>;tag=tcp
To: <sip:{self.device}@{DOMAIN}>
Call-ID: tcp-{self.device}
CSeq: {cseq} REGISTER
Contact: <sip:{self.device}@{host}:{port};transport=tcp>
Expires: 3600
Content-Length: 0
{extra}"""
        text = "\r\n".join(line for line in lines.splitlines() if line)
        self.writer.write(f"{text}\r\n\r\n".encode())
        return await self.message()

    async def message(self) -> WireMessage:
        async with asyncio.timeout(ANSWER_TIME):
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: *(\d+)", head)
            body = await self.reader.readexactly(int(length.group(1)) if length else 0)
        return read_message(head + body)


async def test_a_lost_connection_is_a_lost_device(server: RunningPlatform) -> None:
    first, second = (f"3402000000132001{next(numbers):04d}" for _ in range(2))
    cameras = []
    for device in (first, second):
        server.add_device(device)
        cameras.append(TcpCamera(device, *await asyncio.open_connection(*server.sip)))
    for camera in cameras:
        asked = await camera.register(1)
        challenge = asked.one("www-authenticate")
        credentials = camera.signer.authorize(challenge, "REGISTER", PASSWORD)
        accepted = await camera.register(2, credentials)
        assert (asked.status, accepted.status) == (401, 200)
    assert server.device(first)["address"].startswith("TCP ")
    cameras[0].writer.close()
    await cameras[0].writer.wait_closed()
    await until(lambda: not server.device(first)["online"], "it is still online")
    assert server.device(second)["online"], "the other connection is another device's"
    await until(lambda: len(server.presence(first)) == 2, "the history lacks an edge")
    assert server.presence(first)[0]["reason"] == "connection lost"
    cameras[1].writer.close()
    await cameras[1].writer.wait_closed()
