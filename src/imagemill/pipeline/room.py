"""Pressure, answered before it hurts: whether there is room on the disks we write to."""

from __future__ import annotations

import errno
import shutil
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from imagemill.core.errors import NoRoomError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_MIB = 1 << 20

FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
"""What a write says where there is no room."""

_NO_WRITE: Final = "disk: a file could not be written for want of room; free some space or raise the quota"

FULL_S: Final = 5.0
"""After a write found no room, work pauses so long: a quota, or another disk, does not show in the free bytes."""


class Room:
    """Free bytes against the reserve, on the disk of each folder."""

    def __init__(self, folders: Sequence[Path], reserve_mb: int) -> None:
        self._folders = folders
        self.reserve_bytes = reserve_mb * _MIB
        self._full_until = 0.0

    def shortage(self, more_bytes: int = 0) -> str | None:
        """Return what is short, also after `more_bytes` more, in words for an operator; None when there is room."""
        if time.monotonic() < self._full_until:
            return _NO_WRITE
        for folder in self._folders:
            free_bytes = shutil.disk_usage(folder).free
            if free_bytes < self.reserve_bytes + more_bytes:
                needed = f"{more_bytes // _MIB} MiB are needed and " if more_bytes else ""
                return (
                    f"disk: {free_bytes // _MIB} MiB free, {needed}{self.reserve_bytes // _MIB} MiB are kept in"
                    " reserve; free some space or lower disk_reserve_mb"
                )
        return None

    def fullest(self) -> tuple[int, int]:
        """Return the free bytes of the disk that has the fewest, and all its bytes."""
        return min((usage.free, usage.total) for usage in map(shutil.disk_usage, self._folders))

    def note_full(self) -> None:
        """Take a write's word for it that there is no room."""
        self._full_until = time.monotonic() + FULL_S

    def check(self, more_bytes: int = 0) -> None:
        """Refuse new work while there is none, or none for so many bytes more (NoRoomError)."""
        shortage = self.shortage(more_bytes)
        if shortage:
            raise NoRoomError(shortage)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Turn a write that found no room into a refusal (NoRoomError)."""
        try:
            yield
        except OSError as error:
            if error.errno not in FULL:
                raise
            self.note_full()
            raise NoRoomError(_NO_WRITE) from error
