"""Wireshark's dissectors read a captured session and find nothing malformed."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from tests.end_to_end.driving import ARTIFACTS, RunningPlatform, eventually, platform, simulator
from tests.end_to_end.watching import watch

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.foreign("tshark"),
    pytest.mark.timeout(200),
    pytest.mark.skipif(os.geteuid() != 0, reason="capturing on the loopback needs root"),
]

OVER_UDP, OVER_TCP = "34020000001320000001", "34020000001320000002"
CAPTURE = ARTIFACTS / "session.pcapng"


@contextmanager
def capturing(ports: str, to: Path) -> Iterator[None]:
    """Record the loopback for the length of a ``with`` block."""
    to.unlink(missing_ok=True)
    to.parent.mkdir(parents=True, exist_ok=True)
    log = to.with_suffix(".log")
    with log.open("wb") as output:
        tshark = subprocess.Popen(
            ["tshark", "-q", "-i", "lo", "-B", "32", "-f", ports, "-w", str(to)],
            stdout=subprocess.DEVNULL,
            stderr=output,
        )
    try:
        eventually(
            lambda: tshark.poll() is not None or (to.exists() and to.stat().st_size > 0),
            "tshark did not begin",
        )
        if tshark.poll() is not None:
            pytest.skip(f"tshark may not capture on this machine: {log.read_text()[-300:]}")
        time.sleep(0.5)
        yield
        time.sleep(1.5)  # what the kernel still holds
    finally:
        if tshark.poll() is None:
            tshark.terminate()
        tshark.wait(20)


@pytest.fixture(scope="module")
def decode(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Captures a session; gives tshark's options to read it."""
    with platform("tshark", tmp_path_factory.mktemp("tshark")) as server:
        for camera, transport in ((OVER_UDP, "udp"), (OVER_TCP, "tcp-passive")):
            server.add_device(camera, transport)
        ports = server.media_ports
        wanted = f"port {server.sip_port} or portrange {ports.start}-{ports[-1]}"
        with capturing(wanted, CAPTURE):
            with (
                simulator("tshark-udp", server, "device", "--device-id", OVER_UDP),
                simulator(
                    *("tshark-tcp", server, "device", "--device-id", OVER_TCP),
                    *("--transport", "TCP", "--codec", "h265"),
                ),
            ):
                media = watch_both(server)
    udp_port, tcp_port = media
    rules = (
        f"udp.port=={server.sip_port},sip",
        f"tcp.port=={server.sip_port},sip",
        f"udp.port=={udp_port},rtp",
        f"udp.port=={udp_port + 1},rtcp",
        f"tcp.port=={tcp_port},rtp",
        "media_type==application/manscdp+xml,xml",
    )
    return [word for rule in rules for word in ("-d", rule)]


def watch_both(server: RunningPlatform) -> tuple[int, int]:
    """Play both for a while, RTCP included, then stop; returns the platform's media ports."""
    server.wait_until_online(OVER_UDP, OVER_TCP)
    plays = [server.play(camera, camera) for camera in (OVER_UDP, OVER_TCP)]
    watch(*(play["play"]["urls"]["flv"] for play in plays), frames=160)  # RTCP comes every 5 s
    sessions = [server.session(play["session"]["id"]) for play in plays]
    for session in sessions:
        server.stop_session(session["id"])
    udp, tcp = (int(session["media_port"]) for session in sessions)
    return udp, tcp


def tshark(options: list[str], shown: str, *fields: str) -> list[list[str]]:
    """The fields of every packet that the display filter shows."""
    command = ["tshark", "-r", str(CAPTURE), *options, "-Y", shown, "-T", "fields"]
    command += [word for field in fields for word in ("-e", field)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return [line.split("\t") for line in done.stdout.splitlines()]


def test_nothing_is_malformed(decode: list[str]) -> None:
    bad = tshark(
        decode,
        '(_ws.malformed || _ws.expert.severity == "Error") && (sip || sdp || rtp || rtcp || xml)',
        *("frame.number", "frame.protocols", "_ws.expert.message"),
    )
    assert bad == []


def test_every_dissector_had_something_to_read(decode: list[str]) -> None:
    """Else "nothing malformed" would mean nothing."""
    for shown, least in {
        "sip && udp": 20,
        "sip && tcp": 20,
        "sdp": 4,
        "xml": 8,
        "rtp && udp": 100,
        "rtp && tcp": 100,
        "rtcp": 1,
    }.items():
        found = len(tshark(decode, shown, "frame.number"))
        assert found >= least, f"{found} packets are {shown}"


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_rtp_is_one_stream_in_order(decode: list[str], transport: str) -> None:
    """On the loopback a capture may show several UDP packets of one call as one (GSO)."""
    rows = tshark(decode, f"rtp && {transport}", "rtp.seq", "rtp.ssrc", "rtp.p_type")
    numbers = [int(number) for row in rows for number in row[0].split(",")]
    assert len({ssrc for row in rows for ssrc in row[1].split(",")}) == 1
    assert {kind for row in rows for kind in row[2].split(",")} == {"96"}
    steps = {(later - earlier) % 65536 for earlier, later in pairwise(numbers)}
    assert max(steps) <= (64 if transport == "udp" else 1)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_the_messages_come_in_the_standard_s_order(decode: list[str], transport: str) -> None:
    """9.1.2.1, 9.5, 9.2.2, and REGISTER again at the end."""
    rows = tshark(decode, f"sip && {transport}", "sip.Method", "sip.CSeq.method", "sip.Status-Code")
    story = [
        part
        for methods, sequence_methods, statuses in rows
        for part in tell(methods.split(","), sequence_methods.split(","), statuses.split(","))
    ]
    wanted = [
        *("REGISTER", "401 REGISTER", "REGISTER", "200 REGISTER"),
        *("MESSAGE", "200 MESSAGE"),
        *("INVITE", "200 INVITE", "ACK", "BYE", "200 BYE"),
        *("REGISTER", "401 REGISTER", "REGISTER", "200 REGISTER"),
    ]
    rest = iter(story)
    missing = [step for step in wanted if step not in rest]
    assert missing == [], f"{missing[:1]} does not follow in {story}"


def tell(methods: list[str], sequence_methods: list[str], statuses: list[str]) -> list[str]:
    """Several messages may share a TCP segment: requests first, as tshark lists them."""
    requests = [method for method in methods if method]
    answers = sequence_methods[len(requests) :]
    return requests + [
        f"{status} {method}" for status, method in zip(statuses, answers, strict=False) if status
    ]
