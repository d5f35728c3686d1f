"""How many pixels a source says it has, read from its header in the parent: nothing is decoded, no PIL is loaded.

What is said here only decides how much is compressed at a time: the child reads the header again, with Pillow, and
judges. So a header that makes no sense is no error: `pixels` is None, and the worst is to be assumed.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeAlias

Data: TypeAlias = bytes | mmap.mmap

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_FRAME_HEADERS: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_START_OF_SCAN: Final = 0xDA
_BARE: Final = frozenset({0x01, *range(0xD0, 0xD9)})
_WIDTH, _HEIGHT = 256, 257
_SHORT: Final = 3
_FRAME, _TRAILER = 0x2C, 0x3B
_MOST_STEPS: Final = 10_000
"""Segments, chunks or blocks walked over: more is no picture that anybody made in earnest."""

_BROKEN: Final = (struct.error, IndexError, ValueError)


def pixels(source: bytes | Path) -> int | None:
    """Return width × height × frames as the header says; None where it does not, 0 for what no child will decode."""
    try:
        if isinstance(source, bytes):
            return _pixels(source)
        with source.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _pixels(data)
    except (*_BROKEN, OSError):
        return None


def _pixels(data: Data) -> int | None:
    head = data[:16]
    if head.startswith(b"\xff\xd8"):
        return _jpeg(data)
    if head.startswith(_PNG):
        return _png(data)
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return _webp(data)
    if head.startswith(b"GIF8"):
        return _gif(data)
    if head.startswith((b"II*\0", b"MM\0*")):
        return _tiff(data)
    return _bmp(data) if head.startswith(b"BM") else 0


def _jpeg(data: Data) -> int | None:
    """Of several frame headers the largest counts: which one a decoder believes is its own business."""
    found, at = 0, 2
    for _ in range(_MOST_STEPS):
        at = data.find(b"\xff", at)
        if at < 0:
            break
        marker = data[at + 1]
        if marker == _START_OF_SCAN:
            break
        if marker == 0xFF or marker in _BARE:
            at += 1 if marker == 0xFF else 2
            continue
        if marker in _FRAME_HEADERS:
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            found = max(found, width * height)
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return found or None


def _png(data: Data) -> int:
    width, height = struct.unpack(">II", data[16:24])
    at, frames = 33, 1
    for _ in range(_MOST_STEPS):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        if kind == b"acTL":
            frames = max(1, int.from_bytes(data[at + 8 : at + 12], "big"))
        if kind in {b"acTL", b"IDAT"}:
            break
        at += 12 + length
    return int(width * height * frames)


def _webp(data: Data) -> int | None:
    kind = data[12:16]
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", data[26:30])
        return int((width & 0x3FFF) * (height & 0x3FFF))
    if kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return ((bits & 0x3FFF) + 1) * ((bits >> 14 & 0x3FFF) + 1)
    if kind != b"VP8X":
        return None
    width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
    return width * height * max(1, _webp_frames(data))


def _webp_frames(data: Data) -> int:
    at, frames = 30, 0
    for _ in range(_MOST_STEPS):
        if at + 8 > len(data):
            break
        frames += data[at : at + 4] == b"ANMF"
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8 + length + (length & 1)
    return frames


def gif_lacks_end(data: bytes) -> bool:
    """Say whether a GIF ends before its trailer."""
    try:
        return all(kind != _TRAILER for kind in _gif_blocks(data))
    except IndexError:
        return True
    except ValueError:
        return False  # too many to tell


def _gif(data: Data) -> int | None:
    """Count the frames; None for so many blocks that counting them would cost more than it tells."""
    width, height = struct.unpack("<HH", data[6:10])
    frames = sum(kind == _FRAME for kind in _gif_blocks(data))
    return int(width * height) * max(1, frames)


def _gif_blocks(data: Data) -> Iterator[int]:
    """Give the kind of each block, the trailer's too; ValueError for too many, IndexError where one breaks off."""
    at = 13 + _colours_bytes(data[10])
    for _ in range(_MOST_STEPS):
        if at >= len(data):
            return
        kind = data[at]
        yield kind
        if kind == _TRAILER:
            return
        at += 11 + _colours_bytes(data[at + 9]) if kind == _FRAME else 2
        at = _behind_blocks(data, at)
    raise ValueError


def _behind_blocks(data: Data, at: int) -> int:
    for _ in range(_MOST_STEPS):
        if not data[at]:
            return at + 1
        at += data[at] + 1
    raise ValueError


def _colours_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _tiff(data: Data) -> int | None:
    order = "<" if data[:2] == b"II" else ">"
    (start,) = struct.unpack(order + "I", data[4:8])
    (count,) = struct.unpack(order + "H", data[start : start + 2])
    sides = {_WIDTH: 0, _HEIGHT: 0}
    for at in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind = struct.unpack(order + "HH", data[at : at + 4])
        if tag in sides:
            form, size = ("H", 2) if kind == _SHORT else ("I", 4)
            (sides[tag],) = struct.unpack(order + form, data[at + 8 : at + 8 + size])
    return sides[_WIDTH] * sides[_HEIGHT] or None


def _bmp(data: Data) -> int:
    if int.from_bytes(data[14:18], "little") == 12:
        width, height = struct.unpack("<HH", data[18:22])
    else:
        width, height = struct.unpack("<ii", data[18:26])
    return int(abs(width * height))
