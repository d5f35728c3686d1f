"""A picture in 256 colours or fewer, where nobody sees the difference: the whole gain of PNG (`_palette`, native).

Without the module a palette is taken only where it loses nothing.
"""

from __future__ import annotations

from typing import Final

from PIL import Image, ImageChops

try:
    from imagemill.imaging import _palette
except ImportError:  # `engine.describe` tells
    IS_BUILT = False
else:
    IS_BUILT = True

COLOURS: Final = 256
_MEAN: Final = 1.5
_COARSE: Final = 1.0
_WORST: Final = 8.0
"""Bounds found by looking at shop pictures, cut-outs, drawings and gradients beside their originals: what passes cannot
be told apart, what has twice as much shows grain or a tint when the two are seen in turn."""
_FEW_GREYS: Final = 16
_BYTES: Final = 4


def invisible(image: Image.Image, *, is_exact: bool) -> Image.Image | None:
    """Return the picture in a palette, if that is not seen (or, `is_exact`, loses nothing); else None."""
    if image.mode == "L":
        return _few_greys(image)
    if is_exact and image.getcolors(COLOURS) is None:
        return None
    if not IS_BUILT:
        return _exact(image)
    few, mean, coarse, worst = _made(image)
    if is_exact:
        return few if mean == 0 else None
    return few if mean <= _MEAN and coarse <= _COARSE and worst <= _WORST else None


def nearest(image: Image.Image) -> Image.Image:
    """Return an L, LA, RGB or RGBA image in the 256 colours that suit it best, whatever that loses."""
    if IS_BUILT:
        return _made(image)[0]
    if image.mode.endswith("A"):
        return image
    return image.convert("RGB").quantize(COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)


def _made(image: Image.Image) -> tuple[Image.Image, float, float, float]:
    indices, colours, mean, coarse, worst = _palette.palettised(image.convert("RGBA").tobytes(), *image.size)
    few = Image.frombytes("P", image.size, indices)
    few.putpalette(b"".join(colours[at : at + 3] for at in range(0, len(colours), _BYTES)))
    alphas = colours[3::_BYTES].rstrip(b"\xff")  # the clearest are first
    if alphas:
        few.info["transparency"] = alphas
    return few, mean, coarse, worst


def _exact(image: Image.Image) -> Image.Image | None:
    if image.mode != "RGB" or image.getcolors(COLOURS) is None:
        return None
    few = nearest(image)
    return few if ImageChops.difference(few.convert("RGB"), image).getbbox() is None else None


def _few_greys(image: Image.Image) -> Image.Image | None:
    """A palette of 16 greys takes four bits a pixel; more would take eight, as without."""
    colours = image.getcolors(_FEW_GREYS)
    if colours is None:
        return None
    greys = sorted(grey for _, grey in colours if isinstance(grey, int))
    few = image.point([greys.index(value) if value in greys else 0 for value in range(256)])
    few.putpalette(bytes(grey for grey in greys for _ in range(3)))
    return few
