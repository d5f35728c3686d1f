"""How like its source an output is: the mean structural similarity (SSIM) of the two in luma, at the output's size.

Of an animation the first picture is looked at. Both are looked at on the recipe's background and in the output's
colours: samples are compared as they are where the profile is kept, in sRGB where it is not.
"""

from __future__ import annotations

from typing import Final

from PIL import Image

from imagemill.core.errors import ImageError
from imagemill.core.recipe import Recipe
from imagemill.imaging import colour, pixels, sizes
from imagemill.imaging.coefficients import IS_BUILT
from imagemill.imaging.ladder import Piece
from imagemill.imaging.protocol import Limits

if IS_BUILT:
    from imagemill.imaging import _requant

_DIGITS: Final = 5
_ROWS: Final = 64
"""About so many rows of an image are measured, or all: decoding the two then costs more than comparing them."""


def measured(data: bytes, piece: Piece, recipe: Recipe, limits: Limits) -> float | None:
    """Return the SSIM of a source and its main output: 1 for equal, near 0 for unlike.

    None where it cannot be had: without the native module, of a source that lacks its end, for want of memory. A
    measure that fails costs no image.
    """
    if not IS_BUILT:
        return None
    try:
        output = _output(piece, recipe, limits)
        source = _source(data, piece, recipe, limits)
        step = output.height // _ROWS | 1  # odd: ssim.c says why
        return min(1.0, round(_requant.ssim(source.tobytes(), output.tobytes(), *output.size, step), _DIGITS))
    except (ImageError, MemoryError):
        return None


def _output(piece: Piece, recipe: Recipe, limits: Limits) -> Image.Image:
    output = pixels.opened(piece.data, Limits(limits.max_pixels, tuple(pixels.PLUGINS), limits.max_scans))
    return _luma(output, recipe) if piece.format == "jpeg" else _on_background(pixels.decoded(output, recipe), recipe)


def _source(data: bytes, piece: Piece, recipe: Recipe, limits: Limits) -> Image.Image:
    source = pixels.opened(data, limits)
    if source.format == piece.format == "jpeg" and (source.width, source.height) == (piece.width, piece.height):
        return _luma(source, recipe)
    if (
        source.frames > 1
        and piece.format != "png"
        and recipe.format != "jpeg"
        and source.image.info.get("default_image")
    ):
        source.image.seek(1)  # what only stands in for the animation was left out
    picture = pixels.decoded(source, recipe)
    if picture.profile and not colour.can_carry(piece.format, picture.image.mode):
        picture = picture._replace(image=colour.in_srgb(picture.image, picture.profile))
    cut = sizes.Cut(piece.width, piece.height, sizes.whole(*picture.image.size))
    return pixels.resized(_on_background(picture, recipe), cut)


def _luma(source: pixels.Source, recipe: Recipe) -> Image.Image:
    """Return what a JPEG has as its luma, upright: its colours need not be decoded."""
    source.image.draft("L", source.image.size)
    return _on_background(pixels.decoded(source, recipe), recipe)


def _on_background(picture: pixels.Picture, recipe: Recipe) -> Image.Image:
    return colour.flattened(picture.image, recipe.background).convert("L")
