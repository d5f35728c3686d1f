"""The fake: a storage in memory that passes the same contract suite as the real ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from imagemill.storage.base import checked

if TYPE_CHECKING:
    from collections.abc import Iterator


class MemoryStorage:
    """For tests (contract: `base.Storage`); it has no local files, so `path` knows none."""

    def __init__(self) -> None:
        self._files: dict[str, bytes] = {}

    def put(self, name: str, data: bytes | Path) -> None:
        """Keep the bytes."""
        self._files[checked(name)] = data.read_bytes() if isinstance(data, Path) else data

    def adopt(self, name: str, file: Path) -> None:
        """Keep the bytes of a file, and remove it."""
        self.put(name, file)
        file.unlink()

    def has(self, name: str) -> bool:
        """Say whether there are bytes of that name."""
        return checked(name) in self._files

    def path(self, name: str) -> Path | None:
        """Know no file."""
        checked(name)
        return None

    def delete(self, name: str) -> None:
        """Forget the bytes."""
        self._files.pop(checked(name), None)

    def names(self) -> Iterator[str]:
        """Return what is kept."""
        yield from list(self._files)
