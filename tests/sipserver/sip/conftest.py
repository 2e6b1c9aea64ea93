"""What the tests of the SIP core share."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from sipserver.sip.endpoint import Endpoint, EndpointSettings
from sipserver.sip.flow import TCP, UDP, Flow
from sipserver.sip.message import Request, Response, parse_message

WIRE = Path(__file__).parents[2] / "wire/sip"

UDP_FLOW = Flow(UDP, ("198.51.100.10", 5060), ("198.51.100.20", 5060))
TCP_FLOW = Flow(TCP, ("198.51.100.10", 5060), ("198.51.100.20", 40001), connection=7)

WriteRequest = Callable[..., bytes]


def write_request(
    method: str = "MESSAGE",
    *,
    number: int = 1,
    to_tag: str = "",
    from_tag: str = "dev",
    call_id: str = "",
    branch: str = "",
    uri: str = "sip:34020000002000000001@3402000000",
    headers: str = "",
    body: bytes = b"",
    content_type: str = "",
) -> bytes:
    """A request of a device; ``headers`` are whole lines."""
    tag = f";tag={to_tag}" if to_tag else ""
    branch = branch or f"z9hG4bK-{method}-{number}"
    lines = [
        f"{method} {uri} SIP/2.0",
        f"Via: SIP/2.0/UDP 198.51.100.20:5060;rport;branch={branch}",
        "Max-Forwards: 70",
        f"From: <sip:34020000001180000001@3402000000>;tag={from_tag}",
        f"To: <sip:34020000002000000001@3402000000>{tag}",
        f"Call-ID: {call_id or f'call-{number}'}",
        f"CSeq: {number} {method}",
        *([f"Content-Type: {content_type}"] if content_type else []),
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join(lines).encode() + b"\r\n" + headers.encode() + b"\r\n" + body


def read_response(data: bytes) -> Response:
    message = parse_message(data)
    assert isinstance(message, Response)
    return message


def read_request(data: bytes) -> Request:
    message = parse_message(data)
    assert isinstance(message, Request)
    message.check()
    return message


def answer_to(
    request: bytes,
    status: int,
    *,
    to_tag: str = "dev",
    headers: str = "Contact: <sip:34020000001320000001@198.51.100.20:5060>\r\n",
    body: bytes = b"",
) -> bytes:
    """The device's answer to a request of ours."""
    message = parse_message(request)
    tag = f";tag={to_tag}" if to_tag and not message.to_tag and status > 100 else ""
    lines = [
        f"SIP/2.0 {status} Reason",
        *(f"Via: {value.decode()}" for value in message.via_values),
        f"From: {message.first(b'from').decode()}",
        f"To: {message.first(b'to').decode()}{tag}",
        f"Call-ID: {message.call_id}",
        f"CSeq: {message.cseq.number} {message.cseq.method}",
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join(lines).encode() + b"\r\n" + headers.encode() + b"\r\n" + body


@pytest.fixture
def wire() -> Callable[[str], bytes]:
    """Bytes of a fixture of ``tests/wire/sip``."""
    return lambda name: (WIRE / f"{name}.sip").read_bytes()


@pytest.fixture
def udp_flow() -> Flow:
    return UDP_FLOW


@pytest.fixture
def tcp_flow() -> Flow:
    return TCP_FLOW


@pytest.fixture
def device_request() -> WriteRequest:
    return write_request


@pytest.fixture
def device_answer() -> WriteRequest:
    return answer_to


@pytest.fixture
def response_of() -> Callable[[bytes], Response]:
    return read_response


@pytest.fixture
def request_of() -> Callable[[bytes], Request]:
    return read_request


@pytest.fixture
def new_token() -> Callable[[], str]:
    """Tokens that say in which order they were taken."""
    numbers = count(1)
    return lambda: f"token{next(numbers):04}"


@pytest.fixture
def endpoint(new_token: Callable[[], str]) -> Endpoint:
    return Endpoint(EndpointSettings(user_agent="test"), new_token=new_token)
