"""The fake: a storage in memory that passes the same contract suite as the real ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from imagemill.storage.base import CHUNK_BYTES, Opened, checked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class MemoryStorage:
    """For tests (contract: `base.Storage`); it has no local files, so `path` knows none."""

    is_durable = True

    def __init__(self) -> None:
        self._files: dict[str, bytes] = {}

    def put(self, name: str, data: bytes | Path) -> None:
        """Keep the bytes."""
        self._files[checked(name)] = data.read_bytes() if isinstance(data, Path) else data

    def adopt(self, name: str, file: Path) -> None:
        """Keep the bytes of a file, and remove it."""
        self.put(name, file)
        file.unlink()

    def settle(self) -> None:
        """Have nothing to wait for."""

    def has(self, name: str) -> bool:
        """Say whether there are bytes of that name."""
        return checked(name) in self._files

    def missing(self, names: Iterable[str]) -> list[str]:
        """Look for each."""
        return [name for name in dict.fromkeys(names) if not self.has(name)]

    def size(self, name: str) -> int:
        """Return the number of bytes."""
        return len(self._found(name))

    def open(self, name: str, span: range | None = None) -> Opened:
        """Give the bytes that there are now."""
        data = self._found(name)
        asked = range(len(data)) if span is None else span
        starts = range(asked.start, asked.stop, CHUNK_BYTES)
        return Opened(len(data), (data[start : min(start + CHUNK_BYTES, asked.stop)] for start in starts))

    def path(self, name: str) -> Path | None:
        """Know no file."""
        checked(name)
        return None

    def url(self, name: str) -> str | None:
        """Know no address."""
        checked(name)
        return None

    def delete(self, *names: str) -> None:
        """Forget the bytes."""
        for name in [checked(name) for name in names]:
            self._files.pop(name, None)

    def names(self) -> Iterator[str]:
        """Return what is kept."""
        yield from list(self._files)

    def check(self) -> None:
        """Find it in order."""

    def _found(self, name: str) -> bytes:
        try:
            return self._files[checked(name)]
        except KeyError:
            raise FileNotFoundError(name) from None
