"""Bytes of a stream to messages: RFC 3261 18.3, keep-alives of RFC 5626 4.4.1.

A stream that lost its framing cannot be trusted again: every error here ends the connection,
and carries the head, as far as there is one, so that a 400 can be sent first.
"""

from __future__ import annotations

import re
from typing import Final

from sipserver.sip.errors import MalformedMessage, MessageTooLarge, RemoteError
from sipserver.sip.message import MAX_BODY_SIZE, MAX_HEAD_SIZE

_LENGTH: Final = re.compile(
    rb"\n(?:content-length|l)[ \t]*:[ \t]*(?:\r?\n[ \t]+)?([^\r\n]*)", re.IGNORECASE
)
_END_OF_HEAD: Final = re.compile(rb"\r?\n\r?\n")
_NOISE: Final = re.compile(rb"(?:[\r\n\0]|jaK\0?)+")
"""What stands between messages: CRLF, and the NUL and "jaK" that some stacks keep alive with."""
PING: Final = b"\r\n\r\n"
PONG: Final = b"\r\n"
NOISE_WORD: Final = b"jaK\0"
_HALVES: Final = (b"\r\n\r", b"\r\n", b"\r")


class StreamFramer:
    """Feed bytes, take whole messages."""

    def __init__(self, *, max_body_size: int = MAX_BODY_SIZE) -> None:
        self.pings = 0
        """Double CRLFs not yet answered; the owner sends :data:`PONG` for each and resets it."""
        self.rest = b""
        """After an error: the head of the message that broke the framing, if it was complete."""
        self._buffer = bytearray()
        self._max_body_size = max_body_size
        self._wanted = 0  # size of the message being collected, once its head is known
        self._searched = 0  # bytes that hold no end of head

    @property
    def pending(self) -> int:
        """Bytes of an unfinished message; what may be half a keep-alive is none."""
        return 0 if self._holds_noise() else len(self._buffer)

    def receive_data(self, data: bytes) -> None:
        self._buffer += data

    def next_message(self) -> bytes | None:
        """The next whole message, ``None`` when more bytes are needed.

        :raises MalformedMessage: no usable Content-Length
        :raises MessageTooLarge: head or body over its limit
        """
        if not self._wanted:
            if not self._searched and self._only_noise():
                return None
            self._wanted = self._measure()
        if not self._wanted or len(self._buffer) < self._wanted:
            return None
        message = bytes(self._buffer[: self._wanted])
        del self._buffer[: self._wanted]
        self._wanted = self._searched = 0
        return message

    def _only_noise(self) -> bool:
        """Drop noise in front of a message; whether nothing, or perhaps half a noise, is left."""
        noise = _NOISE.match(self._buffer)
        if noise is not None:
            pings = noise[0].count(PING)
            self.pings += pings
            # "\r\n" now and "\r\n" in the next segment is one ping: keep what may be half of it.
            whole = noise.end() == len(self._buffer)
            half = next((h for h in _HALVES if noise[0].endswith(h)), b"") if whole else b""
            del self._buffer[: noise.end() - (0 if pings else len(half))]
        return self._holds_noise()

    def _holds_noise(self) -> bool:
        left = bytes(self._buffer[: len(NOISE_WORD)])
        return len(left) == len(self._buffer) and (left in _HALVES or NOISE_WORD.startswith(left))

    def _measure(self) -> int:
        """Size of the message at the front, 0 while its head is not complete."""
        start = max(0, self._searched - 3)
        end = _END_OF_HEAD.search(self._buffer, start)
        if end is None:
            self._searched = len(self._buffer)
            if len(self._buffer) > MAX_HEAD_SIZE:
                raise MessageTooLarge("head too large", where=repr(bytes(self._buffer[:64])))
            return 0
        head = bytes(self._buffer[: end.end()])
        try:
            return end.end() + self._body_size(head)
        except RemoteError:
            self.rest = head
            raise

    def _body_size(self, head: bytes) -> int:
        if len(head) > MAX_HEAD_SIZE:
            raise MessageTooLarge("head too large", where=f"{len(head)} bytes")
        values = {value.strip() for value in _LENGTH.findall(head)}
        if len(values) != 1:
            reason = "several Content-Lengths" if values else "no Content-Length on a stream"
            raise MalformedMessage(reason, where=repr(head[:64]))
        value = values.pop()
        if not value.isdigit() or len(value) > 20:
            raise MalformedMessage("bad Content-Length", where=repr(value[:32]))
        if int(value) > self._max_body_size:
            raise MessageTooLarge("body too large", where=f"{int(value)} bytes")
        return int(value)
