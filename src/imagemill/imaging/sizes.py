"""How large the outputs are: arithmetic on sides, in pixels as displayed."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from imagemill.core.recipe import Recipe, Thumbnail

_GAP: Final = 2.0
"""A JPEG is decoded at no less than this times the size wanted: Pillow's own choice for a good resampling after it."""

Box = tuple[float, float, float, float]


class Cut(NamedTuple):
    """A resampling: the part of the source (left, top, right, bottom) that becomes width × height."""

    width: int
    height: int
    box: Box


def main(width: int, height: int, recipe: Recipe) -> tuple[int, int]:
    """Return the main output's sides: inside the recipe's maxima, in proportion, never enlarged."""
    return _inside(width, height, recipe.max_width or width, recipe.max_height or height)


def cut(width: int, height: int, thumbnail: Thumbnail) -> Cut:
    """Return how a thumbnail is cut. Cover is exactly its size, even from a smaller source; contain never enlarges."""
    if thumbnail.fit == "contain":
        return Cut(*_inside(width, height, thumbnail.width, thumbnail.height), whole(width, height))
    scale = max(thumbnail.width / width, thumbnail.height / height)
    across, down = thumbnail.width / scale, thumbnail.height / scale
    left, top = max(0.0, (width - across) / 2), max(0.0, (height - down) / 2)
    return Cut(thumbnail.width, thumbnail.height, (left, top, min(width, left + across), min(height, top + down)))


def whole(width: int, height: int) -> Box:
    """Return the box that cuts nothing away."""
    return 0.0, 0.0, float(width), float(height)


def needed(width: int, height: int, recipe: Recipe, *, with_main: bool = True) -> tuple[int, int]:
    """Return the smallest sides that a decoder may deliver for all outputs together, or for the thumbnails alone."""
    wide, high = main(width, height, recipe)
    if with_main and (wide, high) == (width, height):
        return width, height
    scales = [_scale(width, height, each) for each in recipe.thumbnails]
    scale = max([*scales, wide / width, high / height] if with_main else scales) * _GAP
    return _at_most(width, scale), _at_most(height, scale)


def _at_most(side: int, scale: float) -> int:
    return max(1, min(side, math.ceil(side * scale)))


def _scale(width: int, height: int, thumbnail: Thumbnail) -> float:
    wanted = cut(width, height, thumbnail)
    left, top, right, bottom = wanted.box
    return max(wanted.width / (right - left), wanted.height / (bottom - top))


def _inside(width: int, height: int, max_width: int, max_height: int) -> tuple[int, int]:
    scale = min(1.0, max_width / width, max_height / height)
    return max(1, round(width * scale)), max(1, round(height * scale))
