"""Bytes to text and back: GB/T 28181-2022 6.10 says GB 18030, peers send anything.

Order of decision: byte order mark, the charset forced for the device, UTF-8 when the bytes are
valid UTF-8 with a multi-byte character, else GB 18030. Short GB 18030 strings are valid UTF-8 too
(two bytes in U+0080..U+07FF, where no Chinese character lives): there the charset remembered for
the device decides, then the declaration.
"""

import re
from dataclasses import dataclass
from typing import Final

from .errors import BodyTooLarge, LocalError

GB18030: Final = "gb18030"
UTF8: Final = "utf-8"

MAX_BODY_BYTES: Final = 16 * 1024 * 1024
"""10,000 catalogue items of 1.2 kB, the most that annex M allows in one message, and a margin."""

_NAMES: Final = {
    "gb18030": GB18030,
    "gb2312": GB18030,
    "gbk": GB18030,
    "cp936": GB18030,
    "utf-8": UTF8,
    "utf8": UTF8,
}
_DECLARATION = re.compile(rb"[ \t\r\n]*+<\?xml\b[^>]{0,200}+>")
_DECLARED = re.compile(rb"""encoding[ \t]*+=[ \t]*+["']([A-Za-z0-9._-]{1,20}+)""")
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_CONTROL_BYTES = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_THREE_BYTES = re.compile("[\u0800-\U0010ffff]")
_UTF16_MARKS: Final = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}

CONTROLS_REMOVED: Final = "control characters removed"
BYTES_REPLACED: Final = "undecodable bytes replaced"


@dataclass(frozen=True, slots=True)
class Decoded:
    text: str  # without XML declaration, byte order mark and control characters
    charset: str  # "utf-8" or "gb18030": what to answer in
    certain: bool  # the bytes proved the charset; False: pure ASCII, or a guess
    repaired: tuple[str, ...] = ()


def charset_name(name: str) -> str:
    """The name used inside for a configured or declared charset; raises :exc:`LocalError`."""
    try:
        return _NAMES[name.strip().lower()]
    except KeyError:
        raise LocalError(f"unknown charset {name!r}; use gb18030 or utf-8") from None


def decode(body: bytes, charset: str | None = None, *, remembered: str | None = None) -> Decoded:
    """Decode a MANSCDP body. ``charset`` is forced, ``remembered`` only settles doubt.

    Raises :exc:`BodyTooLarge`; never fails on content.
    """
    if len(body) > MAX_BODY_BYTES:
        raise BodyTooLarge(f"body of {len(body)} bytes")
    charset = charset_name(charset) if charset else None
    remembered = charset_name(remembered) if remembered else None
    marked = _decode_marked(body)
    if marked is not None:
        return marked
    declared, start = declaration(body)
    content = body[start:] if start else body
    if content.isascii():
        return _ascii(content, charset or remembered or declared or GB18030)
    return _decode_multibyte(content, charset, remembered or declared)


def declaration(body: bytes) -> tuple[str | None, int]:
    """The declared charset, if known, and where the content behind the declaration starts."""
    match = _DECLARATION.match(body)
    if match is None:
        return None, 0
    named = _DECLARED.search(match[0])
    known = _NAMES.get(named[1].decode("ascii").lower()) if named else None
    return known, match.end()


def _decode_marked(body: bytes) -> Decoded | None:
    """A byte order mark is the strongest word, unless the bytes behind it disprove it."""
    if body.startswith(b"\xef\xbb\xbf"):
        content = body[3:]
        content = content[declaration(content)[1] :]
        try:
            return _finish(content.decode(UTF8), UTF8, certain=True)
        except UnicodeDecodeError:
            return _decode_multibyte(content, None, UTF8)
    codec = _UTF16_MARKS.get(body[:2])
    if codec is None:
        return None
    text = body[2:].decode(codec, "replace")
    flags = (BYTES_REPLACED,) if "\ufffd" in text else ()
    text = re.sub(r"\A\s*+<\?xml\b[^>]{0,200}+>", "", text)
    return _finish(text, UTF8, certain=True, flags=flags)


def _ascii(content: bytes, charset: str) -> Decoded:
    if _CONTROL_BYTES.search(content) is None:
        return Decoded(content.decode("ascii"), charset, False)
    content = _CONTROL_BYTES.sub(b"", content)
    return Decoded(content.decode("ascii"), charset, False, (CONTROLS_REMOVED,))


def _decode_multibyte(content: bytes, forced: str | None, doubt: str | None) -> Decoded:
    if forced is not None:
        return _forced(content, forced)
    try:
        text = content.decode(UTF8)
    except UnicodeDecodeError:
        return _not_utf8(content)
    if _THREE_BYTES.search(text) is not None:
        return _finish(text, UTF8, certain=True)
    if doubt == GB18030:  # two-byte sequences only: Chinese never looks so in UTF-8
        return _finish(content.decode(GB18030, "replace"), GB18030, certain=False)
    return _finish(text, UTF8, certain=False)


def _forced(content: bytes, forced: str) -> Decoded:
    """Set by hand for the device; a body that can only be the other one is still read right."""
    other = GB18030 if forced == UTF8 else UTF8
    for charset in (forced, other):
        try:
            return _finish(content.decode(charset), charset, certain=charset == forced)
        except UnicodeDecodeError:
            continue
    text = content.decode(forced, "replace")
    return _finish(text, forced, certain=False, flags=(BYTES_REPLACED,))


def _not_utf8(content: bytes) -> Decoded:
    try:
        gb_text: str | None = content.decode(GB18030)
    except UnicodeDecodeError:
        gb_text = None
    cut = content.decode(UTF8, "replace")
    bad = cut.count("\ufffd")
    # UTF-8 with a name cut inside a character: nearly all other characters are good ones. Chinese
    # in GB 18030 gives a bad byte almost everywhere.
    if bad <= 4 and sum(map("\u0800".__le__, cut)) - bad >= 4 * bad:
        return _finish(cut, UTF8, certain=False, flags=(BYTES_REPLACED,))
    if gb_text is not None:
        return _finish(gb_text, GB18030, certain=True)
    gb_text = content.decode(GB18030, "replace")
    return _finish(gb_text, GB18030, certain=False, flags=(BYTES_REPLACED,))


def _finish(text: str, charset: str, *, certain: bool, flags: tuple[str, ...] = ()) -> Decoded:
    if _CONTROLS.search(text) is not None:
        return Decoded(_CONTROLS.sub("", text), charset, certain, (*flags, CONTROLS_REMOVED))
    return Decoded(text, charset, certain, flags)
