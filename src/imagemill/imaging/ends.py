"""Whether a source that could not be decoded lacks its end: its error says so, and what there is of it may be taken.

A file that names a place behind its own end is cut short. It might also lie, but nobody can tell the two apart.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, TypeAlias

from imagemill.imaging import headers

_SIZES: Final = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""TIFF 6.0, section 2, and BigTIFF: bytes a value, by its type."""
_LETTERS: Final = {3: "H", 4: "I", 16: "Q"}
_PARTS: Final = ((273, 279), (324, 325))
"""Where strips or tiles begin, and how long they are."""
_MOST_ENTRIES: Final = 0xFFFF

_Entry: TypeAlias = tuple[int, int, int, int]
"""Tag, type, how many values, and where they are."""


def is_cut_short(form: str, data: bytes) -> bool:
    """Say whether bytes are missing at the end."""
    match form:
        case "jpeg":
            return b"\xff\xd9" not in data[-(len(data) // 2 + 2) :]
        case "png":
            return b"IEND" not in data[-64:]
        case "webp":
            return int.from_bytes(data[4:8], "little") + 8 > len(data)
        case "gif":
            return headers.gif_lacks_end(data)
        case "tiff":
            return _tiff_lacks_end(data)
        case _:
            head = 14 + int.from_bytes(data[14:18], "little")
            return max(head, int.from_bytes(data[10:14], "little")) > len(data)


def _tiff_lacks_end(data: bytes) -> bool:
    """Say whether the first directory, a value of it, or a strip or tile lies behind the end."""
    try:
        entries = list(_entries(data))
    except (struct.error, OverflowError):
        return True
    return any(end > len(data) for end in _ends(data, entries))


def _entries(data: bytes) -> Iterator[_Entry]:
    """Give the first directory; struct.error where it is not there."""
    order, is_big = _layout(data)
    (start,) = struct.unpack_from(order + ("Q" if is_big else "I"), data, 8 if is_big else 4)
    many, one, inline = ("Q", "HHQ", 8) if is_big else ("H", "HHI", 4)
    (count,) = struct.unpack_from(order + many, data, start)
    at, head = start + struct.calcsize("=" + many), struct.calcsize("=" + one)
    for _ in range(min(count, _MOST_ENTRIES)):
        tag, kind, values = struct.unpack_from(order + one, data, at)
        place = at + head
        if _SIZES.get(kind, 0) * values > inline:
            (place,) = struct.unpack_from(order + ("Q" if is_big else "I"), data, place)
        at += head + inline
        if at > len(data):
            raise struct.error
        yield tag, kind, values, place


def _layout(data: bytes) -> tuple[str, bool]:
    return "<" if data[:2] == b"II" else ">", b"+" in data[2:4]


def _ends(data: bytes, entries: list[_Entry]) -> Iterator[int]:
    """Give where values end, then where strips and tiles do."""
    order, _ = _layout(data)
    numbers: dict[int, tuple[int, ...]] = {}
    for tag, kind, values, place in entries:
        yield (end := place + _SIZES.get(kind, 0) * values)
        if kind in _LETTERS and end <= len(data) and any(tag in pair for pair in _PARTS):
            numbers[tag] = struct.unpack_from(f"{order}{values}{_LETTERS[kind]}", data, place)
    for starts, lengths in _PARTS:
        parts = zip(numbers.get(starts, ()), numbers.get(lengths, ()), strict=False)
        yield from (start + length for start, length in parts)
