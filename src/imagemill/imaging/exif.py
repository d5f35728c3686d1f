"""The three EXIF tags that matter here, read without Pillow's parser: hostile files make it loop (CVE-2026-96643).

Only the first directory is looked at, each entry once. Layout: TIFF 6.0, section 2; Exif 2.32, 4.5.4.
"""

from __future__ import annotations

import binascii
import re
import struct
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

ORIENTATION: Final = 0x0112
ARTIST: Final = 0x013B
COPYRIGHT: Final = 0x8298
_ASCII: Final = 2
_SHORT: Final = 3
_INLINE: Final = 4
_PREFIX: Final = b"Exif\x00\x00"
_ORIENTATIONS: Final = range(1, 9)
_XMP_ORIENTATION: Final = re.compile(rb'tiff:Orientation="[0-9]"|<tiff:Orientation>[0-9]</tiff:Orientation>')


class Tags(NamedTuple):
    """`orientation` is 1 to 8, 1 when absent or senseless; the texts are raw bytes without their closing zero."""

    orientation: int = 1
    artist: bytes = b""
    copyright: bytes = b""


class _Entry(NamedTuple):
    tag: int
    kind: int
    number: int
    value_at: int


def block(info: dict[Any, Any]) -> bytes:
    """Return the EXIF block that Pillow found beside the pixels, with its prefix; empty when there is none."""
    raw = info.get("exif")
    if isinstance(raw, bytes):
        return raw if raw.startswith(_PREFIX) or not raw else _PREFIX + raw
    text = info.get("Raw profile type exif")  # ImageMagick's PNGs: name, length, then the block in hexadecimal
    return _unhexed(text) if isinstance(text, str) else b""


def read(blob: bytes) -> Tags:
    """Read the tags out of a block; whatever is malformed counts as absent."""
    tags = Tags()
    tiff = blob.removeprefix(_PREFIX)
    for order, entry in _entries(tiff):
        if entry.tag == ORIENTATION:
            tags = tags._replace(orientation=_short(tiff, order, entry))
        elif entry.tag == ARTIST:
            tags = tags._replace(artist=_text(tiff, order, entry))
        elif entry.tag == COPYRIGHT:
            tags = tags._replace(copyright=_text(tiff, order, entry))
    return tags


def upright(blob: bytes) -> bytes:
    """Return the same block saying orientation 1, every other byte as it was: maker notes have absolute offsets."""
    tiff = bytearray(blob.removeprefix(_PREFIX))
    for order, entry in _entries(bytes(tiff)):
        if entry.tag == ORIENTATION and len(tiff) >= entry.value_at + 2:
            struct.pack_into(order + "H", tiff, entry.value_at, 1)
    return _PREFIX + bytes(tiff) if blob else b""


def written(tags: Tags) -> bytes:
    """Return a new block with these tags alone; empty when they say nothing."""
    texts = [(tag, text + b"\x00") for tag, text in ((ARTIST, tags.artist), (COPYRIGHT, tags.copyright)) if text]
    is_turned = tags.orientation != 1
    number = len(texts) + is_turned
    if not number:
        return b""
    at = 8 + 2 + 12 * number + 4
    entries = struct.pack(">HHIHH", ORIENTATION, _SHORT, 1, tags.orientation, 0) if is_turned else b""
    values = b""
    for tag, text in texts:
        inline = len(text) <= _INLINE
        entries += struct.pack(">HHI", tag, _ASCII, len(text))
        entries += text.ljust(_INLINE, b"\x00") if inline else struct.pack(">I", at + len(values))
        values += b"" if inline else text
    return _PREFIX + b"MM\x00*" + struct.pack(">IH", 8, number) + entries + bytes(4) + values


def kept(blob: bytes, tags: Tags, metadata: str, *, is_upright: bool) -> bytes:
    """Return the block that a recipe's `metadata` leaves, for pixels that are upright or still have to be turned."""
    if metadata == "keep" and blob:
        return upright(blob) if is_upright else blob
    orientation = 1 if is_upright else tags.orientation
    return written(tags._replace(orientation=orientation) if metadata != "strip" else Tags(orientation))


def packet(info: dict[Any, Any], *, is_upright: bool) -> bytes:
    """Return the XMP beside the pixels; its own orientation goes where they are upright now."""
    raw = info.get("xmp") or b""
    if not isinstance(raw, bytes):
        return b""
    return _XMP_ORIENTATION.sub(b"", raw) if is_upright else raw


def _entries(tiff: bytes) -> Iterator[tuple[str, _Entry]]:
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None or len(tiff) < 10:
        return
    (start,) = struct.unpack_from(order + "I", tiff, 4)
    if start + 2 > len(tiff):
        return
    (count,) = struct.unpack_from(order + "H", tiff, start)
    last = min(start + 2 + 12 * count, len(tiff) - 11)
    for at in range(start + 2, last, 12):
        tag, kind, number = struct.unpack_from(order + "HHI", tiff, at)
        yield order, _Entry(tag, kind, number, at + 8)


def _short(tiff: bytes, order: str, entry: _Entry) -> int:
    if entry.kind != _SHORT or entry.number != 1:
        return 1
    (value,) = struct.unpack_from(order + "H", tiff, entry.value_at)
    return value if value in _ORIENTATIONS else 1


def _text(tiff: bytes, order: str, entry: _Entry) -> bytes:
    if entry.kind != _ASCII:
        return b""
    at = entry.value_at
    if entry.number > _INLINE:
        (at,) = struct.unpack_from(order + "I", tiff, at)
    return tiff[at : at + entry.number].rstrip(b"\x00")[:1000]


def _unhexed(text: str) -> bytes:
    lines = text.split("\n")
    try:
        raw = binascii.unhexlify("".join(lines[3:]))
    except ValueError:
        return b""
    return raw if raw.startswith(_PREFIX) else _PREFIX + raw
