"""The settings in force, for people: each with its value, origin and help; secrets masked."""

from __future__ import annotations

import json
import math
from collections.abc import Collection
from typing import Any, Final

import msgspec

from imagemill.settings.catalogue import Entry, catalogue
from imagemill.settings.loading import Loaded, masked_url
from imagemill.settings.sections import Settings

MASK: Final = "***"

_HALVES: Final = {"storage.access_key": "storage.secret_key"}
"""Settings that are refused alone: they wait for one that is secret, and so is not written."""


class Described(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `imagemill settings`; `value` is masked where it is a secret."""

    name: str
    value: Any
    origin: str
    help: str
    accepts: str
    environment: str
    is_masked: bool


def describe(loaded: Loaded, *, is_masked: bool = True) -> list[Described]:
    """Return every setting in the order of the sections."""
    return [_described(loaded, entry, is_masked=is_masked) for entry in catalogue().values()]


def _described(loaded: Loaded, entry: Entry, *, is_masked: bool) -> Described:
    value = _value(loaded.settings, entry.name)
    shown = _shown(entry, value) if is_masked else value
    return Described(
        name=entry.name,
        value=list(shown) if isinstance(shown, tuple) else shown,
        origin=loaded.origins.get(entry.name, "default"),
        help=entry.help,
        accepts=entry.accepts,
        environment=entry.environment_name,
        is_masked=shown != value,
    )


def as_toml(loaded: Loaded, *, is_masked: bool = True, left_out: Collection[str] = ()) -> str:
    """Return a commented imagemill.toml: what differs from the default is in force, the rest waits behind `#`.

    Only a file that nobody else can read may have the secrets too, with `is_masked` false.
    """
    lines = [
        "# imagemill.toml: take the # away to change a line. The environment and the flags have the last word.",
        "# A list in the environment has commas between its parts.",
    ]
    section = ""
    rows = [row for row in describe(loaded, is_masked=is_masked) if row.name not in left_out]
    masked = {row.name for row in rows if row.is_masked}
    for row in rows:
        head, _, rest = row.name.rpartition(".")
        if head != section:
            section = head
            lines += ["", f"[{head}]"]
        lines += [
            "",
            f"# {row.help}",
            f"# {row.environment}: {row.accepts}",
            _line(row, rest, waits=_HALVES.get(row.name) in masked),
        ]
    return "\n".join(lines) + "\n"


def _line(row: Described, key: str, *, waits: bool) -> str:
    if row.is_masked:
        return f"# {key} is set by {row.origin} and not written here, because it is secret"
    text = f"{key} = {_toml(row.value)}"
    return f"# {text}" if waits or row.origin == "default" else text


def _value(settings: Settings, name: str) -> Any:  # noqa: ANN401 - the type is the setting's
    value: Any = settings
    for part in name.split("."):
        value = getattr(value, part)
    return value


def _shown(entry: Entry, value: Any) -> Any:  # noqa: ANN401
    if entry.is_secret and value:
        return MASK
    return masked_url(value) if isinstance(value, str) else value


def _toml(value: Any) -> str:  # noqa: ANN401
    # JSON's numbers, truths, lists and strings are TOML's too, once DEL is written as an escape (TOML 1.0, "String").
    # What has no end is `inf` (ibid., "Float"), and in JSON nothing.
    if isinstance(value, float) and math.isinf(value):
        return "inf"
    return '""' if value is None else json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
