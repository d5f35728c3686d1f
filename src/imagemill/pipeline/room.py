"""Pressure, answered before it hurts: whether there is room on the disks we write to."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING, Final

from imagemill.core.errors import NoRoomError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_MIB = 1 << 20

FULL_S: Final = 5.0
"""After a write found no room, work pauses so long: a quota, or another disk, does not show in the free bytes."""


class Room:
    """Free bytes against the reserve, on the disk of each folder."""

    def __init__(self, folders: Sequence[Path], reserve_mb: int) -> None:
        self._folders = folders
        self._reserve_bytes = reserve_mb * _MIB
        self._full_until = 0.0

    def shortage(self) -> str | None:
        """Return what is short, in words for an operator; None when there is room."""
        if time.monotonic() < self._full_until:
            return "disk: a file could not be written for want of room; free some space or raise the quota"
        for folder in self._folders:
            free_bytes = shutil.disk_usage(folder).free
            if free_bytes < self._reserve_bytes:
                return (
                    f"disk: {free_bytes // _MIB} MiB free, {self._reserve_bytes // _MIB} MiB are kept in reserve;"
                    " free some space or lower disk_reserve_mb"
                )
        return None

    def note_full(self) -> None:
        """Take a write's word for it that there is no room."""
        self._full_until = time.monotonic() + FULL_S

    def check(self) -> None:
        """Refuse new work while there is none (NoRoomError)."""
        shortage = self.shortage()
        if shortage:
            raise NoRoomError(shortage)
