"""The first rung: a JPEG becomes a smaller JPEG in its coefficients, without pixels (`_requant`, a native module).

What it declines, what libjpeg warns of, and everything where the module is missing goes the way through pixels.
"""

from __future__ import annotations

from typing import Final

from imagemill.core.recipe import Recipe
from imagemill.imaging import colour, exif
from imagemill.imaging.pixels import Source
from imagemill.imaging.protocol import Limits

try:
    from imagemill.imaging import _requant
except ImportError:  # `engine.describe` tells
    IS_BUILT = False
else:
    IS_BUILT = True

_MEMORY_BYTES: Final = 256 << 20
"""Of coefficients: a 4:2:0 image of 80 megapixels. Decoding such pixels takes less."""
_SEGMENT_BYTES: Final = 0xFFFF - 2
_APP1, _APP2 = b"\xff\xe1", b"\xff\xe2"
_ICC: Final = b"ICC_PROFILE\x00"
_XMP: Final = b"http://ns.adobe.com/xap/1.0/\x00"
_PROGRESSIVE: Final = {"auto": -1, "yes": 1, "no": 0}


def library() -> str:
    """Return which libjpeg the module was built with; empty where there is no module."""
    return _requant.LIBRARY if IS_BUILT else ""


def made(source: Source, recipe: Recipe, limits: Limits) -> bytes | None:
    """Return a JPEG of the same sides at the recipe's quality, or None: then it takes pixels."""
    if not IS_BUILT or source.format != "jpeg" or source.is_partial:
        return None
    orientation = source.tags.orientation
    result = _requantised(source, recipe, limits, orientation)
    if result == "edges":  # turning it would show what fills up its last blocks: the viewer turns it
        result = _requantised(source, recipe, limits, 1)
    return result if isinstance(result, bytes) else None


def _requantised(source: Source, recipe: Recipe, limits: Limits, undone: int) -> bytes | str:
    segments = _segments(source, recipe, is_upright=undone == source.tags.orientation)
    if segments is None:
        return "segments"
    try:
        return _requant.requantise(
            source.data,
            recipe.quality,
            max_pixels=limits.max_pixels,
            max_scans=limits.max_scans,
            memory_bytes=_MEMORY_BYTES,
            orientation=undone,
            progressive=_PROGRESSIVE[recipe.progressive],
            segments=segments,
        )
    except (_requant.RequantError, MemoryError) as error:
        return str(error)


def _segments(source: Source, recipe: Recipe, *, is_upright: bool) -> bytes | None:
    """Return what goes behind JFIF's segment, or None where a part does not fit into a segment."""
    block = exif.kept(source.exif, source.tags, recipe.metadata, is_upright=is_upright)
    parts = [(_APP1, block)] if block else []
    if recipe.metadata == "keep" and (packet := exif.packet(source.image.info, is_upright=is_upright)):
        parts.append((_APP1, _XMP + packet))
    profile = colour.profile_to_keep(source.image.info.get("icc_profile"), source.image.mode)
    parts += [(_APP2, chunk) for chunk in _icc_chunks(profile or b"")]
    if any(len(payload) > _SEGMENT_BYTES for _, payload in parts):
        return None
    return b"".join(marker + (len(payload) + 2).to_bytes(2, "big") + payload for marker, payload in parts)


def _icc_chunks(profile: bytes) -> list[bytes]:
    """ICC.1:2022, B.4: numbered from 1, and how many there are."""
    room = _SEGMENT_BYTES - len(_ICC) - 2
    cuts = [profile[at : at + room] for at in range(0, len(profile), room)]
    return [_ICC + bytes([number, len(cuts)]) + cut for number, cut in enumerate(cuts, start=1) if len(cuts) < 256]
