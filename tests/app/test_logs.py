import io
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import structlog

from app.logs import LogSettings, configure_logs, mask_text, request_at_hand
from sipserver.sip.message import Request, parse_message


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield io.StringIO()
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_json_lines_carry_device_and_call_id(stream: io.StringIO) -> None:
    configure_logs(LogSettings(format="json"), stream)
    with structlog.contextvars.bound_contextvars(device="3402", call_id="a@b"):
        logging.getLogger("sipserver.device").warning("silent for %d s", 180)
        structlog.get_logger("live").info("play", stage="invite_sent")
    first, second = lines(stream)
    assert first["event"] == "silent for 180 s"
    assert (first["device"], first["call_id"], first["level"]) == ("3402", "a@b", "warning")
    assert (second["logger"], second["stage"], second["device"]) == ("live", "invite_sent", "3402")
    assert str(first["timestamp"]).endswith("Z")


RAW = (
    b"MESSAGE sip:3402@3402000000 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK1\r\n"
    b"From: <sip:34020000001320000001@3402000000>;tag=1\r\nTo: <sip:3402@3402000000>\r\n"
    b"Call-ID: a@b\r\nCSeq: 1 MESSAGE\r\n\r\n"
)


@dataclass
class Incoming:
    request: Request


@pytest.mark.parametrize(
    ("raw", "device", "call_id"),
    [(RAW, "34020000001320000001", "a@b"), (RAW.replace(b"Call-ID", b"X"), None, None)],
    ids=["whole", "malformed"],
)
def test_the_request_at_hand_is_named(
    stream: io.StringIO, raw: bytes, device: str | None, call_id: str | None
) -> None:
    configure_logs(LogSettings(format="json"), stream)
    message = parse_message(raw)
    assert isinstance(message, Request)
    token = request_at_hand.set(Incoming(message))
    logging.getLogger("x").warning("inside")
    request_at_hand.reset(token)
    logging.getLogger("x").warning("outside")
    inside, outside = lines(stream)
    assert (inside.get("device"), inside.get("call_id")) == (device, call_id)
    assert "device" not in outside


def test_the_console_form_is_for_people(stream: io.StringIO) -> None:
    configure_logs(LogSettings(format="console"), stream)
    logging.getLogger("x").info("hello 你好")
    assert "hello 你好" in stream.getvalue()
    assert not stream.getvalue().startswith("{")


def test_lines_below_the_level_are_not_written(stream: io.StringIO) -> None:
    configure_logs(LogSettings(level="warning", format="json"), stream)
    logging.getLogger("x").info("no")
    logging.getLogger("x").warning("yes")
    assert [line["event"] for line in lines(stream)] == ["yes"]


SECRET = "s3cr3t-value"
REGISTER = (
    "REGISTER sip:a@b SIP/2.0\r\n"
    f'Authorization: Digest username="1", nonce="{SECRET}", response="{SECRET}"\r\n'
    "CSeq: 1 REGISTER\r\n"
)


@pytest.mark.parametrize(
    "text",
    [
        REGISTER,
        f'WWW-Authenticate: Digest realm="x",nonce="{SECRET}"',
        f'Digest username="1", response={SECRET}, uri="x"',
        f"GET /live/a.flv?token={SECRET}&x=1",
        f"password='{SECRET}' refused",
        f"password = {SECRET}",
        f'{{"password": "{SECRET}", "name": "x"}}',
        f"{{'token': '{SECRET}'}}",
        f"<Password>{SECRET}</Password>",
        f"Authorization: Bearer {SECRET}",
        f"used Bearer {SECRET}",
        f"Cookie: gb28181_session={SECRET}",
    ],
)
def test_credentials_inside_text_are_masked(text: str) -> None:
    assert SECRET not in mask_text(text)


def test_what_is_no_credential_stays() -> None:
    text = "device 34020000001320000001 answered 200 to REGISTER, response time 3 ms"
    assert mask_text(text) == text
    assert "CSeq: 1 REGISTER" in mask_text(REGISTER)


def test_no_line_holds_a_credential_whatever_the_way_it_came(stream: io.StringIO) -> None:
    configure_logs(LogSettings(format="json"), stream)
    log = structlog.get_logger("x")
    log.warning("raw", raw=REGISTER.encode(), password=SECRET, nested={"token": SECRET})
    log.warning("list", items=[f"password={SECRET}"], Authorization=SECRET)
    logging.getLogger("y").warning("said %s", REGISTER)
    try:
        raise ValueError(f"password={SECRET}")
    except ValueError:
        logging.getLogger("y").exception("failed")
    assert SECRET not in stream.getvalue()
    assert len(lines(stream)) == 4
