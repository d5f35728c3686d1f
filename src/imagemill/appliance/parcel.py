"""What is in a backup: one ZIP file of names that we gave, and a manifest with the size and SHA-256 of each."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Final, TypeAlias

import msgspec

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
DATABASE: Final = "imagemill.db"
TOKEN: Final = "token"  # noqa: S105  a file's name
SETTINGS: Final = "imagemill.toml"
OUTPUTS: Final = "outputs"

_UID: Final = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_NAMES: Final = re.compile(
    rf"imagemill\.db|token|imagemill\.toml|sources/sheets/{_UID}|sources/uploads/{_UID}/[0-9a-f]{{64}}"
    r"|(sources/images|outputs)/(?P<shard>[0-9a-f]{2})/(?P=shard)[0-9a-f]{0,62}\.[a-z]{1,8}"
)


Tell: TypeAlias = Callable[[int, int], object]
"""Is told how many files are packed or unpacked, and of how many bytes, after each."""


def silent(files: int, file_bytes: int) -> None:
    """Tell nobody."""


class Entry(msgspec.Struct, frozen=True):
    """One file of it."""

    name: str
    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What is in a backup. `jobs` and `unfinished` count jobs; `has_outputs` says whether pictures were asked for."""

    format: int
    version: str
    schema: int
    created_at: datetime
    jobs: int
    unfinished: int
    has_outputs: bool
    files: list[Entry]

    @property
    def file_bytes(self) -> int:
        """What it takes when it is unpacked."""
        return sum(entry.bytes for entry in self.files)

    def named(self, folder: str) -> int:
        """Return how many files there are of a folder."""
        return sum(entry.name.startswith(f"{folder}/") for entry in self.files)


def is_ours(name: str) -> bool:
    """Say whether a backup of ours may have a file of this name: none leads out of the folder it is restored to."""
    return _NAMES.fullmatch(name) is not None
