"""Messages seen between real platforms and devices; runs where ``../shared/fixtures`` exists."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sipserver.sip.auth import parse_authorization
from sipserver.sip.framing import StreamFramer
from sipserver.sip.message import Message, Request, Response, parse_message

FOLDER = Path(__file__).parents[3].parent / "shared/fixtures/captures"
FILES = sorted(FOLDER.glob("*.txt"))
MARK = b"#--RAW--\n"

if not FILES:
    pytest.skip("../shared/fixtures/captures is not on this machine", allow_module_level=True)


def _load(path: Path) -> tuple[dict[str, Any], bytes]:
    comments, _, raw = path.read_bytes().partition(MARK)
    lines = [line for line in comments.splitlines() if line.startswith(b"# expected: ")]
    expected: dict[str, Any] = json.loads(lines[0].removeprefix(b"# expected: "))
    return expected, raw


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "replace")


def _seen(message: Message, expected: dict[str, Any]) -> dict[str, Any]:
    """Our reading, under the names the captures use, for what the capture expects."""
    contact = message.get(b"contact")
    seen: dict[str, Any] = {
        "body_bytes": len(message.body),
        "call_id": message.call_id,
        "contact": _text(contact),
        "content_length": int(message.get(b"content-length") or b"-1"),
        "content_type": _text(message.get(b"content-type")),
        "cseq": list(message.cseq),
        "event": _text(message.get(b"event")),
        "expires": _text(message.get(b"expires")),
        "from_id": message.from_.uri.user,
        "from_tag": message.from_tag,
        "kind": "request" if isinstance(message, Request) else "response",
        "subject": _text(message.get(b"subject")),
        "to_id": message.to.uri.user,
        "to_tag": message.to_tag,
        "user-agent": _text(message.get(b"user-agent")),
        "via_count": len(message.vias),
        "via_sent_by": message.via.sent_by.decode(),
        "via_transport": message.via.transport,
    }
    if isinstance(message, Request):
        seen |= {"method": message.method, "uri": message.uri_text.decode()}
    if isinstance(message, Response):
        seen |= {"status": message.status, "reason": message.reason}
    return {name: value for name, value in seen.items() if name in expected}


def test_all_captures_are_there() -> None:
    assert len(FILES) == 99


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_capture(path: Path) -> None:
    expected, raw = _load(path)
    message = parse_message(raw)
    if isinstance(message, Request):
        message.check()
    seen = _seen(message, expected)
    assert seen == {name: expected[name] for name in seen}
    if "auth" in expected:
        credentials = parse_authorization(message.first(b"authorization"))
        assert credentials.nonce == expected["auth"]["nonce"]
        assert credentials.username == expected["auth"]["username"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_capture_on_a_stream(path: Path) -> None:
    """Framed byte by byte between keep-alives, every capture comes out as it went in."""
    _, raw = _load(path)
    framer = StreamFramer()
    found = []
    for byte in b"\r\n\r\n" + raw + b"jaK\0" + raw:
        framer.receive_data(bytes([byte]))
        while (message := framer.next_message()) is not None:
            found.append(message)
    assert [parse_message(message).body for message in found] == [parse_message(raw).body] * 2
