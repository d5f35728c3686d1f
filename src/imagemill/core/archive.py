"""A ZIP file written front to back, entry by entry: PKWARE's APPNOTE 6.3.10, stored, with ZIP64 where it must be.

Pictures do not get smaller by deflating, so entries are stored. The libraries keep an object for each entry until the
end; here an entry leaves one record of bytes, which the caller may put on the disk: 100,000 pictures cost no memory.
"""

from __future__ import annotations

import struct
import zlib
from datetime import datetime
from typing import Final

_STORED: Final = 0
_UTF8: Final = 1 << 11
_VERSION, _VERSION_64, _UNIX = 20, 45, 3
_MODE: Final = 0o100644 << 16
_MOST_32, _MOST_16 = 0xFFFFFFFF, 0xFFFF
_EARLIEST_YEAR: Final = 1980


class Zip:
    """Where the file has come to. `entry` gives its bytes in order; `close` the end, after all records."""

    def __init__(self) -> None:
        self._at = 0
        self._count = 0
        self._record_bytes = 0

    def entry(self, name: str, data: bytes, moment: datetime) -> tuple[bytes, bytes]:
        """Return what precedes `data` in the file, and the record that is to be written before `close`."""
        encoded, stamp, crc = name.encode(), _stamp(moment), zlib.crc32(data)
        sizes = (crc, len(data), len(data), len(encoded))
        head = struct.pack("<4sHHHIIIIHH", b"PK\x03\x04", _VERSION, _UTF8, _STORED, stamp, *sizes, 0) + encoded
        is_far = self._at >= _MOST_32
        extra = struct.pack("<HHQ", 1, 8, self._at) if is_far else b""
        version = _VERSION_64 if is_far else _VERSION
        made_by = _UNIX << 8 | version
        fixed = struct.pack("<4sHHHHIIIIH", b"PK\x01\x02", made_by, version, _UTF8, _STORED, stamp, *sizes)
        rest = struct.pack("<HHHHII", len(extra), 0, 0, 0, _MODE, min(self._at, _MOST_32))
        record = fixed + rest + encoded + extra
        self._at += len(head) + len(data)
        self._count += 1
        self._record_bytes += len(record)
        return head, record

    def close(self) -> bytes:
        """Return what follows the records."""
        count, size, start = self._count, self._record_bytes, self._at
        is_large = count >= _MOST_16 or start >= _MOST_32 or size >= _MOST_32
        return (self._end_64() if is_large else b"") + struct.pack(
            "<4sHHHHIIH",
            b"PK\x05\x06",
            0,
            0,
            min(count, _MOST_16),
            min(count, _MOST_16),
            min(size, _MOST_32),
            min(start, _MOST_32),
            0,
        )

    def _end_64(self) -> bytes:
        count, size, start = self._count, self._record_bytes, self._at
        versions = (_UNIX << 8 | _VERSION_64, _VERSION_64)
        end = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, *versions, 0, 0, count, count, size, start)
        return end + struct.pack("<4sIQI", b"PK\x06\x07", 0, start + size, 1)


def entry_name(row: int, position: int, url: str, output: str, extension: str) -> str:
    """Return a name that sorts as the sheet does and harms nobody's disk: `00002-1-apple.jpg`."""
    last = url.partition("?")[0].partition("#")[0].rstrip("/").rpartition("/")[2]
    stem = last.rpartition(".")[0] or last
    kept = "".join(char if char.isascii() and (char.isalnum() or char in "-_") else "_" for char in stem).strip("_")
    suffix = "" if output == "image" else f"-{output}"
    return f"{row:05d}-{position}{'-' if kept else ''}{kept[:80]}{suffix}.{extension}"


def _stamp(moment: datetime) -> int:
    """MS-DOS date and time, in the low and high halves as the header has them: time first."""
    year = max(moment.year, _EARLIEST_YEAR) - _EARLIEST_YEAR
    date = year << 9 | moment.month << 5 | moment.day
    return date << 16 | moment.hour << 11 | moment.minute << 5 | moment.second // 2
