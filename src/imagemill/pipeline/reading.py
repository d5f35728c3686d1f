"""A sheet as it is read: addresses go to a staging file, faults are collected, some rows are kept to be shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from imagemill.core.sheet import Glance, Glimpse, Rules, SheetError, SheetReader, duplicate_serial_fault, unrecognised
from imagemill.db import Staging

if TYPE_CHECKING:
    from pathlib import Path

    from imagemill.core.sheet import Row

READ_BYTES: Final = 256 * 1024
_MAX_FAULTS: Final = 1_000


class Reading:
    """`feed` … `feed`, then `close`; `check` refuses what has faults. The staging file is `discard`ed at last."""

    def __init__(self, rules: Rules, staging: Path) -> None:
        self.rules = rules
        self.reader = SheetReader(rules)
        self.staging = Staging(staging)
        self._glimpse = Glimpse(self.reader)

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        self._stage(self.reader.feed(data))

    def close(self) -> None:
        """Say that the sheet has ended: now all of its faults are known."""
        self._stage(self.reader.close())
        header = self.reader.header
        if header is not None and "serial" in self.rules.unique:
            for row, first, value in self.staging.repeated_serials(_MAX_FAULTS):
                self.reader.faults.add(duplicate_serial_fault(row, first, header, value))

    def check(self) -> None:
        """Refuse a sheet with faults (SheetError)."""
        if self.reader.faults.total:
            raise SheetError(self.reader.faults, self.reader.names)

    def glance(self, sheet: Path) -> Glance:
        """Return what to show of it; `sheet` is looked at again where no input column was recognised."""
        if self.reader.header is not None:
            return self._glimpse.glance()
        with sheet.open("rb") as file:
            return unrecognised(file.read(READ_BYTES), self.rules)

    def discard(self) -> None:
        """Let go of the staging file."""
        self.staging.close()

    def _stage(self, rows: list[Row]) -> None:
        self._glimpse.take(rows)
        # Without a serial column the row number stands in, which cannot repeat.
        has_serial = self.reader.header is not None and self.reader.header.serial is not None
        for row in rows:
            self.staging.add(row.number, row.urls, row.serial if has_serial else "")


def read_again(sheet: Path, rules: Rules, staging: Path) -> Reading:
    """Read a sheet that lies here already; return it closed."""
    reading = Reading(rules, staging)
    try:
        with sheet.open("rb") as file:
            while data := file.read(READ_BYTES):
                reading.feed(data)
        reading.close()
    except BaseException:
        reading.discard()
        raise
    return reading
