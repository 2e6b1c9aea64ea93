"""A settings group as the configuration sees it: a frozen dataclass, its types and its texts.

The text of a field is its attribute docstring, or the comment on its line. A plain number is
finite and not negative; a range in its text, such as ``1..86400``, is enforced.
"""

import ast
import inspect
import math
import re
import textwrap
import types
from dataclasses import MISSING, dataclass, fields
from functools import cache
from typing import Annotated, Any, Final, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

_ROLE: Final = re.compile(r":\w+:`([^`]*)`")
_RANGE: Final = re.compile(r"(?<![\d.])(\d[\d,]*(?:\.\d+)?)\.\.(\d[\d,]*(?:\.\d+)?)(?![\d.]*\d)")


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a section."""

    name: str
    kind: Any
    """Its type, with msgspec constraints."""
    default: Any
    secret: bool
    """Its group keeps it out of its repr."""
    text: str


@cache
def keys_of(group: type[Any]) -> dict[str, Key]:
    """Name -> key, in the order of the fields."""
    hints = get_type_hints(group, include_extras=True)
    texts = _texts(group)
    return {
        item.name: Key(
            name=item.name,
            kind=_limited(item.name, hints[item.name], texts.get(item.name, "")),
            default=_default_of(item),
            secret=not item.repr,
            text=texts.get(item.name, ""),
        )
        for item in fields(group)
    }


def summary_of(group: type[Any]) -> str:
    """The first paragraph of its docstring; empty when the dataclass made one itself."""
    text = inspect.getdoc(group) or ""
    if text.startswith(f"{group.__name__}("):
        return ""
    return " ".join(text.partition("\n\n")[0].split())


def read_value(value: Any, kind: Any, *, textual: bool) -> Any:
    """``value`` as the type of its key.

    :param textual: it comes from the environment: numbers, booleans and lists are text
    :raises msgspec.ValidationError: with the reason
    """
    if textual and isinstance(value, str) and get_origin(kind) in (tuple, list, frozenset):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if value == "" and is_optional(kind):
        return None
    read = msgspec.convert(value, kind, strict=not textual)
    for number in read if isinstance(read, tuple) else (read,):
        if isinstance(number, float) and not (math.isfinite(number) and number >= 0):
            raise msgspec.ValidationError("Expected a finite number that is not negative")
    return read


def is_optional(kind: Any) -> bool:
    return get_origin(kind) in (Union, types.UnionType) and type(None) in get_args(kind)


def _limited(name: str, kind: Any, text: str) -> Any:
    if kind not in (int, float):
        return kind
    found = _RANGE.search(text)
    low, high = (_number(part) for part in found.groups()) if found else (0, None)
    if name == "port" and high is None:
        high = 65535
    return Annotated[kind, Meta(ge=low) if high is None else Meta(ge=low, le=high)]


def _number(text: str) -> float:
    plain = text.replace(",", "")
    return float(plain) if "." in plain else int(plain)


def _default_of(item: Any) -> Any:
    if item.default is not MISSING:
        return item.default
    if item.default_factory is not MISSING:
        return item.default_factory()
    return None


def _texts(group: type[Any]) -> dict[str, str]:
    try:
        source = textwrap.dedent(inspect.getsource(group))
    except OSError:  # only the byte code was installed
        return {}
    lines = source.splitlines()
    body = ast.parse(source).body[0]
    if not isinstance(body, ast.ClassDef):
        return {}
    texts: dict[str, str] = {}
    for node, after in zip(body.body, [*body.body[1:], None], strict=True):
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            texts[node.target.id] = _plain(str(after.value.value))
            continue
        _, sign, comment = lines[(node.end_lineno or node.lineno) - 1].partition("  # ")
        if sign and not comment.startswith("noqa"):
            texts[node.target.id] = _plain(comment)
    return texts


def _plain(text: str) -> str:
    """One line, and Markdown's code marks instead of reStructuredText's."""
    return _ROLE.sub(r"`\1`", " ".join(text.split())).replace("``", "`")
