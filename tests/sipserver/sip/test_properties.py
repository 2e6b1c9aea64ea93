"""What holds for every input: documented errors only, one reading of a stream, round trips."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sipserver.sip.auth import parse_authorization, verify
from sipserver.sip.endpoint import Endpoint, EndpointSettings
from sipserver.sip.errors import RemoteError
from sipserver.sip.events import ConnectionCondemned
from sipserver.sip.flow import TCP, UDP, Flow
from sipserver.sip.framing import StreamFramer
from sipserver.sip.headers import (
    parse_cseq,
    parse_name_addr,
    parse_parameters,
    parse_via,
    quick_tag,
    split_values,
    via_identity,
)
from sipserver.sip.message import Request, parse_message
from sipserver.sip.outgoing import OutgoingRequest
from sipserver.sip.uri import parse_uri
from sipserver.sip.writer import write_request, write_response

WIRE = Path(__file__).parents[2] / "wire/sip"
SEEDS = [path.read_bytes() for path in sorted(WIRE.rglob("*.sip"))]
LOCAL, REMOTE = ("198.51.100.10", 5060), ("198.51.100.20", 5060)


def read_everything(data: bytes) -> None:
    message = parse_message(data)
    if isinstance(message, Request):
        message.check()
        _ = message.uri
    _ = (message.via, message.vias, message.from_, message.to, message.call_id, message.cseq)
    _ = (message.contacts, message.expires, message.content_type, message.user_agent)
    _ = (message.fields, message.from_tag, message.to_tag, message.gb_version)


def authorise(data: bytes) -> None:
    verify(parse_authorization(data), password="p", method="REGISTER")


PARSERS: list[Callable[[bytes], object]] = [
    *(read_everything, parse_uri, parse_name_addr, parse_via, via_identity, quick_tag),
    *(parse_cseq, parse_parameters, split_values, authorise),
    lambda data: authorise(b"Digest " + data),
]


def mutated() -> st.SearchStrategy[bytes]:
    """A fixture with a few bytes replaced, removed or doubled."""
    piece = st.one_of(
        st.binary(max_size=4), st.sampled_from([b"\r\n", b";", b",", b'"', b"<", b" "])
    )

    def change(seed: bytes, cuts: list[tuple[float, int, bytes]]) -> bytes:
        for where, length, text in cuts:
            at = int(where * len(seed))
            seed = seed[:at] + text + seed[at + length :]
        return seed

    cut = st.tuples(st.floats(0, 1), st.integers(0, 8), piece)
    return st.builds(change, st.sampled_from(SEEDS), st.lists(cut, max_size=6))


def _survives(parse: Callable[[bytes], object], data: bytes) -> None:
    hint = 400
    try:
        parse(data)
    except RemoteError as error:
        hint = error.status_hint
    assert 400 <= hint < 700


@pytest.mark.parametrize("parse", PARSERS)
@given(data=st.one_of(st.binary(max_size=300), st.text('<>;,="\\ :@?%\t\r\nsipa1', max_size=60)))
def test_garbage_raises_documented_errors_only(
    parse: Callable[[bytes], object], data: bytes | str
) -> None:
    _survives(parse, data if isinstance(data, bytes) else data.encode())


@given(data=mutated())
@settings(max_examples=300)
def test_mutated_messages_raise_documented_errors_only(data: bytes) -> None:
    _survives(read_everything, data)


@given(datagrams=st.lists(mutated(), max_size=6))
@settings(max_examples=150, suppress_health_check=[HealthCheck.data_too_large])
def test_an_endpoint_survives_every_datagram_and_stream(datagrams: list[bytes]) -> None:
    tokens = count()
    endpoint = Endpoint(EndpointSettings(), new_token=lambda: f"t{next(tokens)}")
    flow = Flow(TCP, LOCAL, REMOTE, 1)
    condemned = False
    for now, data in enumerate(datagrams):
        endpoint.receive_datagram(data, Flow(UDP, LOCAL, REMOTE), float(now))
        if not condemned:
            endpoint.receive_stream(data, flow, float(now))
        while (event := endpoint.next_event()) is not None:
            condemned = condemned or isinstance(event, ConnectionCondemned)
        for answer, _, _ in endpoint.data_to_send():
            if answer != b"\r\n":
                parse_message(answer)
        endpoint.handle_timer(float(now) + 0.5)


@given(
    names=st.lists(st.sampled_from(["keepalive", "register", "lf_only"]), min_size=1, max_size=4),
    cuts=st.lists(st.integers(1, 60), min_size=1, max_size=40),
    noise=st.booleans(),
)
def test_a_stream_reads_the_same_however_it_is_cut(
    names: list[str], cuts: list[int], noise: bool
) -> None:
    messages = [(WIRE / f"{name}.sip").read_bytes() for name in names]
    stream = (b"\r\n\r\n" if noise else b"").join(messages)
    framer = StreamFramer()
    found = []
    position = turn = 0
    while position < len(stream):
        size = cuts[turn % len(cuts)]
        framer.receive_data(stream[position : position + size])
        while (message := framer.next_message()) is not None:
            found.append(message)
        position, turn = position + size, turn + 1
    assert found == messages


TEXT = st.text("abcXYZ019-._~", min_size=1, max_size=12)
BODIES = st.binary(max_size=200)


@given(user=TEXT, host=TEXT, tag=TEXT, call_id=TEXT, cseq=st.integers(1, 2**32 - 1), body=BODIES)
def test_a_written_request_reads_back(
    user: str, host: str, tag: str, call_id: str, cseq: int, body: bytes
) -> None:
    outgoing = OutgoingRequest(
        method="MESSAGE",
        uri=f"sip:{user}@{host}",
        from_uri=f"sip:{user}@{host}",
        to_uri=f"sip:{host}@",
        from_tag=tag,
        call_id=call_id,
        cseq=cseq,
        body=body,
        content_type="text/plain",
    )
    data = write_request(outgoing, flow=Flow(UDP, LOCAL, REMOTE), branch=b"z9hG4bK1")
    request = parse_message(data)
    assert isinstance(request, Request)
    request.check()
    assert (request.from_.uri.user, request.from_tag) == (user, tag)
    assert (request.call_id, request.cseq.number, request.body) == (call_id, cseq, body)
    assert request.to.uri.host == ""
    response = parse_message(write_response(request, Flow(UDP, LOCAL, REMOTE), 200, "", "x"))
    assert (response.from_tag, response.to_tag) == (tag, "x")
    assert (response.call_id, response.cseq) == (call_id, request.cseq)
    assert response.via.branch == b"z9hG4bK1"
