"""docs/configuration.md, generated from the groups' fields, types and attribute docstrings."""

import types
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from msgspec import Meta

from app.group import Key, summary_of
from app.settings import sections

_HEAD: Final = """\
# Configuration

<!-- Generated from the code by `gb28181 export-configuration`; do not edit. -->

The platform reads `gb28181.toml` in the working directory if it is there, or the file given with
`--config`. Every key can also be set by an environment variable `GB28181_SECTION__KEY`, which wins:
`GB28181_HTTP__PORT=9000`. Lists are separated by commas there, and an empty text unsets an optional
key. `gb28181 check-config` prints the values in effect, secrets masked, and names every mistake.
No key is needed for a first start.

```toml
[platform]
domain = "3402000000"

[http]
port = 8080
```
"""


def configuration_page() -> str:
    parts = [_HEAD]
    for section in sections().values():
        parts.append(f"\n## [{section.name}]\n")
        if summary := summary_of(section.group):
            parts.append(f"{summary}\n")
        parts.append("| key | type | default | meaning |\n|---|---|---|---|")
        parts += [_row(key) for key in section.keys.values()]
    return "\n".join(parts) + "\n"


def _row(key: Key) -> str:
    text = key.text.replace("|", "\\|")
    return f"| `{key.name}` | {_type_text(key.kind)} | {_default_text(key)} | {text} |"


def _type_text(kind: Any) -> str:
    origin = get_origin(kind)
    if origin is Annotated:
        inner, *extras = get_args(kind)
        limits = [_range_text(extra) for extra in extras if isinstance(extra, Meta)]
        return " ".join([_type_text(inner), *filter(None, limits)])
    if origin is Literal:
        return " \\| ".join(f"`{value}`" for value in get_args(kind))
    if origin in (Union, types.UnionType):
        parts = [part for part in get_args(kind) if part is not type(None)]
        return " \\| ".join(_type_text(part) for part in parts) + ", optional"
    if origin in (tuple, list, frozenset, set):
        return f"list of {_type_text(get_args(kind)[0])}"
    names = {str: "text", int: "integer", float: "number", bool: "true \\| false"}
    if kind in names:
        return names[kind]
    return " \\| ".join(f"`{member.value}`" for member in kind)


def _range_text(meta: Meta) -> str:
    low = meta.ge if meta.ge is not None else meta.gt
    high = meta.le if meta.le is not None else meta.lt
    if low is not None and high is not None:
        return f"{low:g}..{high:g}" if isinstance(high, float) else f"{low}..{high}"
    if low is not None:
        return f"≥ {low}"
    return f"pattern `{meta.pattern}`" if meta.pattern is not None else ""


def _default_text(key: Key) -> str:
    value = key.default
    if value is None:
        return "not set"
    if value == "":
        return "empty"
    if key.secret:
        return "not shown"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple | list | frozenset):
        return f"`[{', '.join(repr(item) for item in value)}]`"
    return f"`{value}`"
