"""Every setting as one entry: its dotted name, type, default, help, and what it accepts in words."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Final

import msgspec
from msgspec import inspect

from imagemill.settings.sections import Settings


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One setting. `is_list` and `is_text` decide how a word of the environment is read."""

    name: str
    annotation: Any
    default: Any
    help: str
    accepts: str
    is_secret: bool
    is_list: bool
    is_text: bool
    is_optional: bool

    @property
    def environment_name(self) -> str:
        """`fetch.allow` is IMAGEMILL_FETCH_ALLOW."""
        return "IMAGEMILL_" + self.name.replace(".", "_").upper()

    @property
    def flag(self) -> str:
        """`data_dir` is --data-dir."""
        return "--" + self.name.replace(".", "-").replace("_", "-")


@cache
def catalogue() -> dict[str, Entry]:
    """Return every setting by its dotted name, in the order of the sections."""
    return {entry.name: entry for entry in _entries(Settings, "")}


@cache
def sections() -> frozenset[str]:
    """Return the names of the sections."""
    return frozenset(name.split(".")[0] for name in catalogue() if "." in name)


def _entries(struct: type[msgspec.Struct], prefix: str) -> list[Entry]:
    found = []
    for field in msgspec.structs.fields(struct):
        if isinstance(field.default, msgspec.Struct):
            found += _entries(type(field.default), f"{field.name}.")
        else:
            found.append(_entry(prefix + field.name, field))
    return found


def _entry(name: str, field: msgspec.structs.FieldInfo) -> Entry:
    outer = inspect.type_info(field.type)
    extra, schema = _notes(outer)
    bare = _bare(outer)
    return Entry(
        name=name,
        annotation=field.type,
        default=field.default,
        help=str(schema.get("description", "")),
        accepts=accepts(outer),
        is_secret=bool(extra.get("secret")),
        is_list=isinstance(bare, inspect.VarTupleType),
        is_text=isinstance(bare, inspect.StrType | inspect.LiteralType),
        is_optional=bare is not _plain(outer),
    )


def accepts(kind: inspect.Type) -> str:
    """Say in words what a type takes: its own words where it has some, else its kind and bounds."""
    own = _notes(kind)[0].get("accepts")
    return str(own) if own else _WORDS[type(_plain(kind))](_plain(kind))


# A type that is missing here is a KeyError the first time anything is loaded: no setting can be without words.
_WORDS: Final[dict[type, Callable[[Any], str]]] = {
    inspect.BoolType: lambda _: "true or false",
    inspect.IntType: lambda kind: "a whole number" + _bounds(kind.ge, kind.le),
    inspect.FloatType: lambda kind: "a number" + _float_bounds(kind),
    inspect.LiteralType: lambda kind: "one of " + ", ".join(map(str, kind.values)),
    inspect.StrType: lambda kind: "text that is not empty" if kind.min_length else "text",
    inspect.UnionType: lambda kind: f"{accepts(kind.types[0])}, or nothing",
    inspect.VarTupleType: lambda kind: f"a list of: {accepts(kind.item_type)}",
}


def _float_bounds(kind: inspect.FloatType) -> str:
    return _bounds(kind.ge, kind.le) if kind.gt is None else f" above {kind.gt}, at most {kind.le}"


def _bounds(low: float | None, high: float | None) -> str:
    lower = "" if low is None else f" from {low}"
    return lower if high is None else f"{lower} to {high}"


def _notes(kind: inspect.Type) -> tuple[dict[str, Any], dict[str, Any]]:
    if not isinstance(kind, inspect.Metadata):
        return {}, {}
    return kind.extra or {}, kind.extra_json_schema or {}


def _plain(kind: inspect.Type) -> inspect.Type:
    return kind.type if isinstance(kind, inspect.Metadata) else kind


def _bare(kind: inspect.Type) -> inspect.Type:
    plain = _plain(kind)
    return _plain(plain.types[0]) if isinstance(plain, inspect.UnionType) else plain
