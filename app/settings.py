"""The whole configuration: groups that stand beside their readers, composed and checked here.

Sources, later ones win: the defaults, a TOML file, the environment (``GB28181_SECTION__KEY``).
An unknown key is a mistake, with the nearest right name; all mistakes are reported at once.
"""

import difflib
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any, Final, get_type_hints

import msgspec

from api.login import LoginSettings
from api.settings import HttpSettings
from app.group import Key, keys_of, read_value
from app.logs import LogSettings
from app.media_node_settings import MediaNodeSettings
from app.platform import PlatformSettings
from catalog.assembly import AssemblySettings
from media_relay.settings import MediaSettings
from sipserver.device.accounts import CommonPassword
from sipserver.device.authentication import AuthenticationSettings
from sipserver.device.liveness import LivenessSettings
from sipserver.device.messenger import MessengerSettings
from sipserver.device.presence import PresenceSettings
from sipserver.device.queries import QuerySettings
from sipserver.device.registration import ExpiryPolicy
from sipserver.device.router import RouterSettings
from sipserver.device.sessions.settings import LiveSettings
from sipserver.device.sync import SyncSettings
from sipserver.device.throttle import ThrottleSettings
from sipserver.transport.settings import TransportSettings
from storage.sql.settings import StorageSettings

DEFAULT_FILE: Final = Path("gb28181.toml")
PREFIX: Final = "GB28181_"
MASK: Final = "********"


_DERIVED: Final[dict[str, dict[str, Any]]] = {
    "authentication": {"realm": ""},
    "messages": {"server_id": "", "domain": ""},
    "queries": {"catalog": AssemblySettings()},
}
"""Fields that are not the operator's: the wiring fills them in from other sections."""


def _authentication() -> AuthenticationSettings:
    return AuthenticationSettings(**_DERIVED["authentication"])


def _messages() -> MessengerSettings:
    return MessengerSettings(**_DERIVED["messages"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One field per section of the file."""

    platform: PlatformSettings = field(default_factory=PlatformSettings)
    sip: TransportSettings = field(default_factory=TransportSettings)
    registration: ExpiryPolicy = field(default_factory=ExpiryPolicy)
    authentication: AuthenticationSettings = field(default_factory=_authentication)
    common_password: CommonPassword = field(default_factory=CommonPassword)
    throttle: ThrottleSettings = field(default_factory=ThrottleSettings)
    presence: PresenceSettings = field(default_factory=PresenceSettings)
    liveness: LivenessSettings = field(default_factory=LivenessSettings)
    requests: RouterSettings = field(default_factory=RouterSettings)
    messages: MessengerSettings = field(default_factory=_messages)
    queries: QuerySettings = field(default_factory=QuerySettings)
    catalogue: AssemblySettings = field(default_factory=AssemblySettings)
    sync: SyncSettings = field(default_factory=SyncSettings)
    live: LiveSettings = field(default_factory=LiveSettings)
    media: MediaSettings = field(default_factory=MediaSettings)
    media_node: MediaNodeSettings = field(default_factory=MediaNodeSettings)
    http: HttpSettings = field(default_factory=HttpSettings)
    login: LoginSettings = field(default_factory=LoginSettings)
    storage: StorageSettings = field(default_factory=StorageSettings)
    log: LogSettings = field(default_factory=LogSettings)


class SettingsError(Exception):
    """The configuration is wrong; ``mistakes`` has one sentence for each."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__(" ".join(mistakes))
        self.mistakes = mistakes


@dataclass(frozen=True, slots=True)
class _Entry:
    """One value with the place it came from."""

    section: str
    key: str
    value: Any
    source: str
    textual: bool
    """From the environment: numbers, booleans and lists are text."""


def load(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Read file and environment.

    :param path: ``None``: the default file if it is there
    :raises SettingsError: with every mistake found
    """
    mistakes: list[str] = []
    entries = [*_from_file(path, mistakes), *_from_environment(environ)]
    return _compose(entries, mistakes)


def from_mapping(values: Mapping[str, Any]) -> Settings:
    """Settings from nested values, as a TOML file holds them.

    :raises SettingsError: with every mistake found
    """
    mistakes: list[str] = []
    return _compose(list(_entries(values, "the values", mistakes)), mistakes)


@dataclass(frozen=True, slots=True)
class Section:
    """One section of the file."""

    name: str
    group: type[Any]
    keys: dict[str, Key]
    """What an operator may set."""
    derived: dict[str, Any]


@cache
def sections() -> dict[str, Section]:
    """Name -> section, in the order of the page."""
    groups = get_type_hints(Settings)
    found: dict[str, Section] = {}
    for item in fields(Settings):
        derived = _DERIVED.get(item.name, {})
        keys = keys_of(groups[item.name])
        own = {name: key for name, key in keys.items() if name not in derived}
        found[item.name] = Section(item.name, groups[item.name], own, derived)
    return found


def effective(settings: Settings) -> dict[str, dict[str, Any]]:
    """Every value, secrets masked."""
    return {
        section.name: {
            key.name: _shown(getattr(getattr(settings, section.name), key.name), key.secret)
            for key in section.keys.values()
        }
        for section in sections().values()
    }


def as_toml(values: Mapping[str, Mapping[str, Any]]) -> str:
    lines: list[str] = []
    for section, group in values.items():
        lines += [f"[{section}]", *(f"{key} = {_toml(value)}" for key, value in group.items()), ""]
    return "\n".join(lines)


def _shown(value: Any, secret: bool) -> Any:
    if secret:
        return MASK if value else ""
    return value


def _toml(value: Any) -> str:
    if value is None:
        return '""  # not set'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list | tuple | set | frozenset):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def _from_file(path: Path | None, mistakes: list[str]) -> Iterator[_Entry]:
    chosen = path or DEFAULT_FILE
    if path is None and not chosen.exists():
        return
    try:
        values = tomllib.loads(chosen.read_text(encoding="utf-8"))
    except FileNotFoundError:
        mistakes.append(f"There is no file {chosen}; give the right path with --config.")
        return
    except OSError as error:
        mistakes.append(f"{chosen} cannot be read ({error.strerror}); check its permissions.")
        return
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        mistakes.append(f"{chosen} is not valid TOML: {error}.")
        return
    yield from _entries(values, str(chosen), mistakes)


def _entries(values: Mapping[str, Any], source: str, mistakes: list[str]) -> Iterator[_Entry]:
    for section, group in values.items():
        if not isinstance(group, Mapping):
            mistakes.append(
                f"{source}: {section!r} stands outside of a section; write it below a line such"
                f" as [{next(iter(sections()))}]."
            )
            continue
        for key, value in group.items():
            yield _Entry(section, key, value, source, textual=False)


def _from_environment(environ: Mapping[str, str]) -> Iterator[_Entry]:
    for name, value in sorted(environ.items()):
        if not name.startswith(PREFIX):
            continue
        section, separator, key = name[len(PREFIX) :].lower().partition("__")
        if separator:
            yield _Entry(section, key, value, f"environment variable {name}", textual=True)


def _compose(entries: list[_Entry], mistakes: list[str]) -> Settings:
    values: dict[str, dict[str, Any]] = {name: {} for name in sections()}
    for entry in entries:
        _place(entry, values, mistakes)
    built: dict[str, Any] = {}
    for name, section in sections().items():
        try:
            built[name] = section.group(**values[name], **section.derived)
        except (ValueError, TypeError) as error:
            mistakes.append(f"[{name}] {error}.")
    if mistakes:
        raise SettingsError(mistakes)
    return Settings(**built)


def _place(entry: _Entry, values: dict[str, dict[str, Any]], mistakes: list[str]) -> None:
    section = sections().get(entry.section)
    if section is None:
        hint = _nearest(entry.section, sections())
        mistakes.append(f"{entry.source}: there is no section [{entry.section}]{hint}.")
        return
    key = section.keys.get(entry.key)
    if key is None:
        hint = _nearest(entry.key, section.keys)
        mistakes.append(f"{entry.source}: [{entry.section}] has no key {entry.key!r}{hint}.")
        return
    try:
        values[section.name][key.name] = read_value(entry.value, key.kind, textual=entry.textual)
    except msgspec.ValidationError as error:
        reason = str(error).partition(" - at ")[0]
        shown = MASK if key.secret else repr(entry.value)
        mistakes.append(
            f"{entry.source}: [{section.name}] {key.name} = {shown} is not valid:"
            f" {reason[:1].lower()}{reason[1:]}."
        )


def _nearest(name: str, known: Iterable[str]) -> str:
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if close:
        return f"; the nearest is {close[0]!r}"
    return f"; it may be one of {', '.join(names)}"
