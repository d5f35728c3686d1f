"""The interface of a storage, as small as it can be."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

CHUNK_BYTES: Final = 256 * 1024
"""About so much of a file is in memory while it is read."""

_OURS = re.compile(r"[0-9a-f]{2,64}\.[a-z]{1,8}")


class StorageError(OSError):
    """A storage elsewhere did not do what it was asked. The text is a sentence for the operator, without secrets.

    With `is_refusal` waiting does not help: the key, the bucket or the rights are wrong. With `is_busy` waiting does:
    it asked for patience, or did not answer in time.
    """

    def __init__(self, sentence: str, *, is_refusal: bool = False, is_busy: bool = False) -> None:
        super().__init__(sentence)
        self.is_refusal = is_refusal
        self.is_busy = is_busy


class Opened(NamedTuple):
    """What lies under a name: its whole size, and the bytes that were asked for, a chunk at a time.

    `chunks` may raise OSError on the way; letting go of it ends the reading.
    """

    size: int
    chunks: Iterator[bytes]


class Storage(Protocol):
    """Files by name. Names are made by us (`core.keys.file_name`): lower-case hex, a dot, an extension.

    Safe to use from many threads. ValueError for a name that is not ours; OSError when the storage cannot say or do it
    now, `StorageError` where it is elsewhere. Nothing is tried twice: that is `core.retry`'s.
    """

    is_durable: bool
    """Whether what was put stays, also when this machine loses its power right afterwards."""

    def put(self, name: str, data: bytes | Path) -> None:
        """Store the bytes, or the file's bytes, under a name; when this returns they are stored.

        Replaces whole or not at all, also when it fails in the middle. FileNotFoundError where there is no such file.
        """

    def adopt(self, name: str, file: Path) -> None:
        """Store a file that its writer has flushed, by moving it where possible; it is gone afterwards."""

    def settle(self) -> None:
        """Wait until what was adopted would be there after a power cut."""

    def has(self, name: str) -> bool:
        """Say whether something is stored under a name."""

    def missing(self, names: Iterable[str]) -> list[str]:
        """Return those of the names under which nothing is stored, each once: for many, cheaper than `has` for each."""

    def size(self, name: str) -> int:
        """Return the size of what is stored, in bytes; FileNotFoundError where there is nothing."""

    def open(self, name: str, span: range | None = None) -> Opened:
        """Begin to read all, or the bytes of `span`, which is not empty and lies inside; FileNotFoundError as above."""

    def path(self, name: str) -> Path | None:
        """Return the local file of a name; None when there is none, or it is elsewhere."""

    def url(self, name: str) -> str | None:
        """Return the address under which others reach it past us; None where they do not. Asks nobody."""

    def delete(self, *names: str) -> None:
        """Remove what is stored under the names, many at a time; nothing happens where there is nothing."""

    def names(self) -> Iterator[str]:
        """Return every stored name, in no order; what is no name of ours is left out."""

    def check(self) -> None:
        """Try whether it could store something now (OSError: it could not)."""


def is_ours(name: str) -> bool:
    """Say whether this is a name of ours."""
    return _OURS.fullmatch(name) is not None


def checked(name: str) -> str:
    """Return a name that is one of ours; ValueError for any other, so that none leads out of the storage."""
    if not is_ours(name):
        message = f"{name!r} is not a name of ours"
        raise ValueError(message)
    return name
