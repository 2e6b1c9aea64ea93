"""One declaration per element, read and written from it: the fields of a dataclass are the schema.

The order of the fields is the order of the schema's ``sequence``, so it is the order on the wire.
"""

from collections.abc import Callable
from dataclasses import Field, dataclass, field, fields
from typing import Any, Final

from lxml import etree

from .edition import Edition
from .xml import append

MAX_TEXT: Final = 4096
"""Characters of one value; the standard's longest is 1024 (ExtraInfo). The rest is cut off."""

ITEM: Final = "item"
INFO: Final = "info"

Reader = Callable[[str], Any]


def element(
    tag: str,
    default: Any,
    parse: Reader = str,
    *,
    since: Edition = Edition.GB2011,
    until: Edition = Edition.GB2022,
    place: str = ITEM,
) -> Any:
    """A field that stands in the XML as ``<tag>``; ``None`` is an element that is not there.

    ``parse`` gives ``None`` for a value that is not worth keeping. ``since`` and ``until`` are the
    first and last edition that write the element; reading takes it from any.
    """
    metadata = {"tag": tag, "parse": parse, "since": since, "until": until, "place": place}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    tag: str
    place: str


class ElementTable:
    """The declared elements of one dataclass, indexed for reading and for writing."""

    def __init__(self, declared: type, aliases: dict[str, str] | None = None) -> None:
        entries: list[Field[Any]] = [f for f in fields(declared) if "tag" in f.metadata]
        self._readers: dict[str, tuple[str, Reader]] = {}
        for f in entries:
            reader = (f.name, f.metadata["parse"])
            self._readers[f.metadata["tag"]] = reader
            self._readers[f.metadata["tag"].lower()] = reader
        for alias, tag in (aliases or {}).items():
            self._readers[alias.lower()] = self._readers[tag]
        self._writers = {edition: _writers(entries, edition) for edition in Edition}

    def read(self, parent: etree._Element, values: dict[str, Any]) -> None:
        """Collect the values of the known children; a value already there is kept."""
        readers = self._readers
        for child in parent:
            text = child.text
            if text is None:
                continue
            tag = child.tag
            known = readers.get(tag) or readers.get(tag.rpartition("}")[2].lower())
            if known is None or known[0] in values:
                continue
            text = text.strip()[:MAX_TEXT]
            if text and (value := known[1](text)) is not None:
                values[known[0]] = value

    def write(self, source: object, parent: etree._Element, edition: Edition, place: str) -> None:
        for entry in self._writers[edition][place]:
            value = getattr(source, entry.name)
            if value is not None:
                append(parent, entry.tag, value if type(value) is str else as_text(value))

    def has_any(self, source: object, edition: Edition, place: str) -> bool:
        entries = self._writers[edition][place]
        return any(getattr(source, entry.name) is not None for entry in entries)


def _writers(entries: list[Field[Any]], edition: Edition) -> dict[str, tuple[_Entry, ...]]:
    written: dict[str, list[_Entry]] = {ITEM: [], INFO: []}
    for f in entries:
        if f.metadata["since"] <= edition <= f.metadata["until"]:
            place = f.metadata["place"]
            written[place].append(_Entry(f.name, f.metadata["tag"], place))
    return {place: tuple(found) for place, found in written.items()}


def as_text(value: object) -> str:
    """How a value stands on the wire: a float without exponent, nine decimals at most."""
    if isinstance(value, float):
        return f"{value:.9f}".rstrip("0").rstrip(".")
    return str(value)
