"""Takes metadata out of a file without touching its pixels, for sources that are published as they are.

Kept is what a decoder needs or colours depend on; everything else goes, unknown parts too, and whatever follows the
image's end (motion photos, a multi-picture file's further pictures with their own EXIF). A file without any of that
comes back equal.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from typing import Final

_NEXT_MARKER: Final = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_APP: Final = range(0xE0, 0xF0)
_ADOBE, _EOI, _COM = 0xEE, 0xD9, 0xFE
_TRAILER, _IMAGE, _EXTENSION, _APPLICATION = 0x3B, 0x2C, 0x21, 0xFF  # GIF
_PNG_KEPT: Final = frozenset(
    {b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"cICP", b"mDCV", b"cLLI", b"sBIT", b"bKGD", b"pHYs"}
    | {b"acTL", b"fcTL", b"fdAT"}
)
_WEBP_KEPT: Final = frozenset({b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"ICCP"})
_GIF_APPLICATIONS: Final = (b"NETSCAPE2.0", b"ANIMEXTS1.0", b"ICCRGBG1012")


def stripped(form: str, data: bytes) -> bytes | None:
    """Return the file without metadata, or None where it cannot be walked through."""
    walk = _WALKS.get(form)
    if walk is None:
        return None
    try:
        return walk(data)
    except (IndexError, ValueError, struct.error):
        return None


def _jpeg(data: bytes) -> bytes:
    """Segments: ITU T.81, annex B. APP2 is kept for ICC, APP0 for JFIF, APP14 for how Adobe codes colours."""
    parts = [data[:2]]
    at = 2
    while True:
        marker = _NEXT_MARKER.search(data, at)
        if marker is None:
            return b"".join([*parts, data[at:]])
        parts.append(data[at : marker.start()])  # the scan's own bytes, or nothing between two segments
        at = marker.start()
        code = data[at + 1]
        if code == _EOI:
            return b"".join([*parts, data[at : at + 2]])
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if end > len(data) or end < at + 4:
            raise ValueError(code)
        if _is_kept_segment(code, data[at + 4 : end]):
            parts.append(data[at:end])
        at = end


def _is_kept_segment(code: int, payload: bytes) -> bool:
    if code not in _APP:
        return code != _COM
    match code:
        case 0xE0:
            return payload.startswith(b"JFIF\x00")
        case 0xE2:
            return payload.startswith(b"ICC_PROFILE\x00")
        case _:
            return code == _ADOBE and payload.startswith(b"Adobe")


def _png(data: bytes) -> bytes:
    """Chunks: PNG third edition, 5.3. Critical ones (capital letter first) and known harmless ones are kept."""
    parts = [data[:8]]
    at = 8
    while True:
        (length,) = struct.unpack_from(">I", data, at)
        kind, end = data[at + 4 : at + 8], at + 12 + length
        if end > len(data):
            raise ValueError(kind)
        if kind[:1].isupper() or kind in _PNG_KEPT:
            parts.append(data[at:end])
        if kind == b"IEND":
            return b"".join(parts)
        at = end


def _webp(data: bytes) -> bytes:
    """RIFF chunks: RFC 9649, 2.7. The extended header's flags for EXIF (0x08) and XMP (0x04) go with their chunks."""
    chunks = list(_riff_chunks(data))
    if all(kind in _WEBP_KEPT for kind, _ in chunks):
        return data
    body = b"".join(_without_flags(kind, chunk) for kind, chunk in chunks if kind in _WEBP_KEPT)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def _riff_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at, stop = 12, min(len(data), 8 + int.from_bytes(data[4:8], "little"))
    while at + 8 <= stop:
        (length,) = struct.unpack_from("<I", data, at + 4)
        end = at + 8 + length + (length & 1)
        if end > stop + 1:
            raise ValueError(at)
        yield data[at : at + 4], data[at:end]
        at = end


def _without_flags(kind: bytes, chunk: bytes) -> bytes:
    return chunk if kind != b"VP8X" else chunk[:8] + bytes([chunk[8] & ~0x0C]) + chunk[9:]


def _gif(data: bytes) -> bytes:
    """Blocks: GIF89a, 17 to 26. Comments and unknown application blocks (XMP) go."""
    at = 13 + _colour_table_bytes(data[10])
    parts = [data[:at]]
    while True:
        kind, start = data[at], at
        if kind == _TRAILER:
            return b"".join([*parts, b"\x3b"])
        if kind == _IMAGE:  # descriptor, its colours, the code size, then blocks
            at = _after_blocks(data, at + 11 + _colour_table_bytes(data[at + 9]))
            parts.append(data[start:at])
        elif kind == _EXTENSION:  # label, then blocks
            at = _after_blocks(data, at + 2)
            if _is_kept_extension(data[start + 1], data[start + 3 : start + 14]):
                parts.append(data[start:at])
        else:
            raise ValueError(kind)


def _colour_table_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _after_blocks(data: bytes, at: int) -> int:
    while data[at]:
        at += 1 + data[at]
    return at + 1


def _is_kept_extension(label: int, application: bytes) -> bool:
    return application in _GIF_APPLICATIONS if label == _APPLICATION else label != _COM


_WALKS: Final[dict[str, Callable[[bytes], bytes]]] = {"jpeg": _jpeg, "png": _png, "webp": _webp, "gif": _gif}
