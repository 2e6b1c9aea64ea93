"""Second tries for XML that a strict parser refuses, each with a flag that tells what was done.

Every step is linear in the length of the text.
"""

import re
from collections.abc import Callable
from typing import Final

Step = Callable[[str], str]

KINDS: Final = ("Control", "Query", "Notify", "Response")

_ROOT_START = re.compile(
    r"<((?:[A-Za-z_][\w.-]{0,30}+:)?(?:Control|Query|Notify|Response))(?=[\s/>])", re.IGNORECASE
)
_BARE_AMPERSAND = re.compile(r"&(?!(?:amp|lt|gt|quot|apos|#\d{1,7}|#x[0-9A-Fa-f]{1,6});)")
_CHARACTER_REFERENCE = re.compile(r"&#(?:(\d{1,7})|x([0-9A-Fa-f]{1,6}));")
_STRAY_LESS = re.compile(r"<(?![A-Za-z_/!?])")
_PREFIX = re.compile(r"<(/?)[A-Za-z_][\w.-]{0,30}+:(?=[A-Za-z_])")
_FREE_TEXT = ("Address", "Name")  # the elements a person types into; Hikvision sends `<` in Address


def cut_to_root(text: str) -> str:
    """Keep the first complete root element: no text around it, no second root."""
    start = _ROOT_START.search(text)
    if start is None:
        return text
    closing = re.compile(rf"</{re.escape(start[1])}\s*+>", re.IGNORECASE)
    end = closing.search(text, start.end())
    return text[start.start() : end.end() if end else len(text)]


def escape_ampersands(text: str) -> str:
    """Escape each ``&`` that starts no entity, drop references to characters XML forbids."""
    return _CHARACTER_REFERENCE.sub(_allowed_reference, _BARE_AMPERSAND.sub("&amp;", text))


def _allowed_reference(match: re.Match[str]) -> str:
    code = int(match[1]) if match[1] else int(match[2], 16)
    allowed = code in (9, 10, 13) or 0x20 <= code < 0xD800 or 0xE000 <= code < 0xFFFE
    return match[0] if allowed or 0x10000 <= code <= 0x10FFFF else ""


def escape_free_text(text: str) -> str:
    """Escape ``<`` and ``>`` inside Address and Name, and a ``<`` that starts no tag anywhere."""
    for tag in _FREE_TEXT:
        text = _escape_inside(text, f"<{tag}>", f"</{tag}>")
    return _STRAY_LESS.sub("&lt;", text)


def _escape_inside(text: str, opening: str, closing: str) -> str:
    parts: list[str] = []
    done = 0
    while (start := text.find(opening, done)) >= 0:
        start += len(opening)
        end = text.find(closing, start)
        if end < 0:
            break
        inner = text[start:end]
        if "<" in inner and not inner.startswith("<![CDATA["):
            inner = inner.replace("<", "&lt;").replace(">", "&gt;")
        parts += (text[done:start], inner, closing)
        done = end + len(closing)
    parts.append(text[done:])
    return "".join(parts)


def drop_prefixes(text: str) -> str:
    """Namespaces carry no meaning in MANSCDP, so an undeclared prefix is only in the way."""
    return _PREFIX.sub(r"<\1", text)


STEPS: Final[tuple[tuple[str, Step], ...]] = (
    ("text around the root element cut", cut_to_root),
    ("ampersand escaped", escape_ampersands),
    ("markup in free text escaped", escape_free_text),
    ("namespace prefix dropped", drop_prefixes),
)
RECOVERED: Final = "recovered, parts may be missing"
