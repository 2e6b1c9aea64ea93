"""Bytes <-> MANSCDP message: one command of annex A in one SIP body.

Strict parse first; the repairs of :mod:`manscdp.repair` only when it fails, and flagged.
Namespaces are ignored, a DOCTYPE is refused, depth and size are bounded.
"""

import re
from typing import Final, Literal, cast

from lxml import etree

from . import repair
from .charset import GB18030, UTF8, Decoded, charset_name, decode
from .edition import Edition
from .errors import LocalError, MalformedXml

__all__ = [
    "MAX_DEPTH",
    "Decoded",
    "Kind",
    "ManscdpMessage",
    "append",
    "child_text",
    "decode",
    "encode",
    "envelope",
    "find_child",
    "local_name",
    "parse",
    "parse_document",
    "require_kind",
    "serialize",
]

Kind = Literal["Control", "Query", "Notify", "Response"]

MAX_DEPTH: Final = 16
"""Levels of elements. The deepest message of annex A has 6."""

MAX_REPAIR_CHARACTERS: Final = 1024 * 1024
"""Larger broken bodies are refused: up to five more parses would cost seconds."""

_KINDS: Final[dict[str, Kind]] = {kind.lower(): kind for kind in repair.KINDS}
_CMD_TYPES: Final = {
    name.lower(): name
    for name in (
        "Alarm", "Broadcast", "Catalog", "ConfigDownload", "CruiseTrackListQuery",
        "CruiseTrackQuery", "DeviceConfig", "DeviceControl", "DeviceInfo", "DeviceStatus",
        "DeviceUpgradeResult", "HomePositionQuery", "Keepalive", "MediaStatus", "MobilePosition",
        "PTZPosition", "PresetQuery", "RecordInfo", "SDCardStatus", "UploadSnapShotFinished",
        "VideoUploadNotify",
    )
} | {"persetquery": "PresetQuery"}  # fmt: skip

_DOCTYPE = re.compile(r"<!\s*+(?:DOCTYPE|ENTITY)", re.IGNORECASE)
_SERIAL = re.compile(r"\+?\d{1,10}", re.ASCII)
_TOO_DEEP = etree.XPath("boolean(" + "/*" * (MAX_DEPTH + 1) + ")")
_W: Final = rb"[ \t\r\n]*+"
_KEEPALIVE = re.compile(
    _W + rb'(?:<\?xml version="1\.0"(?: encoding="(GB2312|GB18030|GBK|UTF-8|gb2312|utf-8)")?'
    rb"(?: standalone=\"(?:yes|no)\")? ?\?>)?" + _W + rb"<Notify>" + _W
    + rb"<CmdType>Keepalive</CmdType>" + _W
    + rb"<SN>(\d{1,10})</SN>" + _W
    + rb"<DeviceID>([0-9A-Za-z]{1,32})</DeviceID>" + _W
    + rb"<Status>(OK|ERROR)</Status>" + _W
    + rb"(?:<Info ?/>|<Info>" + _W + rb"</Info>)?+" + _W + rb"</Notify>" + _W
)  # fmt: skip


def _hardened(*, recover: bool) -> etree.XMLParser:
    return etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
        remove_blank_text=True,
        collect_ids=False,
        recover=recover,
    )


_STRICT = _hardened(recover=False)
_RECOVERING = _hardened(recover=True)


class ManscdpMessage:
    """A parsed body: the envelope as values, the rest as an lxml element."""

    __slots__ = (
        "_body", "_element", "charset", "charset_certain", "cmd_type", "device_id", "kind",
        "plain_keepalive", "repaired", "sn",
    )  # fmt: skip

    def __init__(
        self,
        kind: Kind,
        cmd_type: str,
        sn: int,
        device_id: str,
        charset: str,
        *,
        charset_certain: bool = False,
        repaired: tuple[str, ...] = (),
        element: etree._Element | None = None,
        plain_keepalive: str = "",
        body: bytes = b"",
    ) -> None:
        self.kind: Final[Kind] = kind
        self.cmd_type: Final = cmd_type  # in the standard's spelling when it is known there
        self.sn: Final = sn  # 0: missing or no number
        self.device_id: Final = device_id  # "": missing
        self.charset: Final = charset  # "utf-8" or "gb18030": answer in it
        self.charset_certain: Final = charset_certain  # worth remembering for the device
        self.repaired: Final = repaired  # what a strict parser would have refused
        self.plain_keepalive: Final = plain_keepalive  # Status of a Keepalive that has no more
        self._element = element
        self._body = body

    @property
    def element(self) -> etree._Element:
        if self._element is None:
            self._element = etree.fromstring(decode(self._body).text.encode(), _STRICT)
        return self._element

    def text(self, tag: str) -> str | None:
        """The stripped text of the first child ``tag``; ``None`` when missing or empty."""
        return child_text(self.element, tag)

    def __repr__(self) -> str:
        return f"<ManscdpMessage {self.kind} {self.cmd_type} SN={self.sn} {self.device_id!r}>"


def parse(
    body: bytes, charset: str | None = None, *, remembered: str | None = None
) -> ManscdpMessage:
    """Parse one body. Raises :exc:`MalformedXml` and :exc:`BodyTooLarge`, nothing else.

    ``charset`` is the device's configured one, ``remembered`` the one it proved before.
    """
    match = _KEEPALIVE.fullmatch(body)
    if match is None:
        return parse_document(body, charset, remembered=remembered)
    declared, serial, device_id, status = match.groups()
    used = charset or remembered or (declared.decode() if declared else GB18030)
    return ManscdpMessage(
        "Notify",
        "Keepalive",
        int(serial),
        device_id.decode(),
        charset_name(used),
        plain_keepalive=status.decode(),
        body=body,
    )


def parse_document(
    body: bytes, charset: str | None = None, *, remembered: str | None = None
) -> ManscdpMessage:
    """The whole way through the XML parser; :func:`parse` gives the same, faster for Keepalive."""
    decoded = decode(body, charset, remembered=remembered)
    if _DOCTYPE.search(decoded.text) is not None:
        raise MalformedXml("DOCTYPE or ENTITY in a MANSCDP body", where=_excerpt(decoded.text))
    element, flags = _root(decoded.text)
    if _TOO_DEEP(element):
        raise MalformedXml(f"more than {MAX_DEPTH} levels of elements")
    kind = _KINDS.get(local_name(element).lower())
    if kind is None:
        raise MalformedXml("root is not Control, Query, Notify or Response", where=str(element.tag))
    cmd_type, serial, device_id = _envelope_texts(element)
    if not cmd_type:
        raise MalformedXml("no CmdType", where=_excerpt(decoded.text))
    return ManscdpMessage(
        kind,
        _CMD_TYPES.get(cmd_type.lower(), cmd_type),
        int(serial) if _SERIAL.fullmatch(serial) else 0,
        device_id,
        decoded.charset,
        charset_certain=decoded.certain,
        repaired=decoded.repaired + flags,
        element=element,
    )


def _root(text: str) -> tuple[etree._Element, tuple[str, ...]]:
    text = text.strip()
    try:
        return etree.fromstring(text.encode(), _STRICT), ()
    except (etree.XMLSyntaxError, ValueError) as error:
        problem = str(error)
    if len(text) > MAX_REPAIR_CHARACTERS:
        raise MalformedXml(f"no XML, and too large to repair: {problem}", where=_excerpt(text))
    flags: list[str] = []
    for flag, step in repair.STEPS:
        changed = step(text)
        if changed == text:
            continue
        text = changed
        flags.append(flag)
        try:
            return etree.fromstring(text.encode(), _STRICT), tuple(flags)
        except (etree.XMLSyntaxError, ValueError):
            continue
    return _recovered(text, problem), (*flags, repair.RECOVERED)


def _recovered(text: str, problem: str) -> etree._Element:
    """The last resort: lxml drops what it does not understand, silently, so the flag matters."""
    try:
        element = cast("etree._Element | None", etree.fromstring(text.encode(), _RECOVERING))
    except (etree.XMLSyntaxError, ValueError):
        element = None
    if element is None or not isinstance(element.tag, str):
        raise MalformedXml(f"no XML: {problem}", where=_excerpt(text))
    return element


def _excerpt(text: str) -> str:
    return ascii(text[:64])


def _envelope_texts(element: etree._Element) -> tuple[str, str, str]:
    texts = {"cmdtype": "", "sn": "", "deviceid": ""}
    for child in element:
        name = local_name(child).lower()
        if texts.get(name) == "" and child.text is not None:
            texts[name] = child.text.strip()
    return texts["cmdtype"], texts["sn"], texts["deviceid"]


def local_name(element: etree._Element) -> str:
    """The tag without its namespace; "" for what is no element."""
    tag = element.tag
    if not isinstance(tag, str):
        return ""
    return tag.rpartition("}")[2] if tag[0] == "{" else tag


def find_child(element: etree._Element, tag: str) -> etree._Element | None:
    """The first child of that name, whatever its namespace and case."""
    wanted = tag.lower()
    for child in element:
        if local_name(child).lower() == wanted:
            return child
    return None


def child_text(element: etree._Element, tag: str) -> str | None:
    wanted = tag.lower()
    for child in element:
        if child.text is not None and local_name(child).lower() == wanted:
            text = child.text.strip()
            if text:
                return text
    return None


def envelope(kind: Kind, cmd_type: str, sn: int, device_id: str) -> etree._Element:
    """A root with the three elements every message begins with."""
    root = etree.Element(kind)
    root.text = "\n"
    append(root, "CmdType", cmd_type)
    append(root, "SN", str(sn))
    append(root, "DeviceID", device_id)
    return root


def append(parent: etree._Element, tag: str, text: str | None = None) -> etree._Element:
    """Add a child on its own line; without text it is a container."""
    child = etree.SubElement(parent, tag)
    child.tail = "\n"
    try:
        child.text = "\n" if text is None else text
    except ValueError:  # a control character or half a surrogate pair, typed by someone
        child.text = _writable(text or "")
    return child


def _writable(text: str) -> str:
    kept = (c for c in text if c in "\t\n\r" or (c >= " " and not "\ud800" <= c <= "\udfff"))
    return "".join(c for c in kept if c not in "\ufffe\uffff")


def encode(root: etree._Element, charset: str) -> bytes:
    """Serialise with declaration and CRLF, as the standard's examples do.

    ``charset`` is "gb18030", "gb2312" (only declared so: the tables are GB 18030) or "utf-8".
    """
    declared = charset.upper()
    codec = charset_name(charset)
    if codec == UTF8:
        declared = "UTF-8"
    text = etree.tostring(root, encoding="unicode")
    document = f'<?xml version="1.0" encoding="{declared}"?>\n{text}\n'
    return document.replace("\n", "\r\n").encode(codec)


def serialize(root: etree._Element, charset: str, edition: Edition) -> bytes:
    """:func:`encode` with the declaration that a peer of that edition knows (6.10)."""
    if charset_name(charset) == GB18030:
        charset = "gb18030" if edition >= Edition.GB2022 else "gb2312"
    return encode(root, charset)


def require_kind(message: ManscdpMessage, kind: Kind, cmd_type: str) -> None:
    """Guard of ``from_message``: reading another message is a bug of the caller."""
    if (message.kind, message.cmd_type) != (kind, cmd_type):
        raise LocalError(f"{message!r} is no {kind} {cmd_type}")
