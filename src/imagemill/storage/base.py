"""The interface of a storage, as small as it can be."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_OURS = re.compile(r"[0-9a-f]{2,64}\.[a-z]{1,8}")


class Storage(Protocol):
    """Files by name. Names are made by us (`core.keys.file_name`): lower-case hex, a dot, an extension."""

    def put(self, name: str, data: bytes | Path) -> None:
        """Store the bytes, or the file's bytes, under a name; when this returns they are on the disk.

        Replaces whole or not at all. OSError where there is no room or no disk; ValueError for a name that is not ours.
        """

    def adopt(self, name: str, file: Path) -> None:
        """Store a file that its writer has flushed, by moving it where possible; it is gone afterwards."""

    def has(self, name: str) -> bool:
        """Say whether something is stored under a name."""

    def path(self, name: str) -> Path | None:
        """Return the local file of a name; None when there is none."""

    def delete(self, name: str) -> None:
        """Remove what is stored under a name; nothing happens when there is nothing."""

    def names(self) -> Iterator[str]:
        """Return every stored name, in no order."""


def checked(name: str) -> str:
    """Return a name that is one of ours; ValueError for any other, so that none leads out of the storage."""
    if _OURS.fullmatch(name) is None:
        message = f"{name!r} is not a name of ours"
        raise ValueError(message)
    return name
