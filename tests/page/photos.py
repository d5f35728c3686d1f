"""Product photographs of our own, drawn: shaded shapes on paper, with a camera's noise, as large as a shop's are."""

from __future__ import annotations

import colorsys
import io
import random
from functools import cache
from typing import Final

from PIL import Image, ImageChops, ImageDraw, ImageFilter

SIDE: Final = 1200
SHAPES: Final = ("vase", "bowl", "bottle", "lamp", "box", "cup")

_SMALL: Final = 300
_WALLS: Final = {
    "vase": [(0.36, 0.2), (0.38, 0.32), (0.24, 0.55), (0.3, 0.8), (0.7, 0.8), (0.76, 0.55), (0.62, 0.32), (0.64, 0.2)],
    "bowl": [(0.16, 0.42), (0.22, 0.62), (0.36, 0.78), (0.64, 0.78), (0.78, 0.62), (0.84, 0.42)],
    "bottle": [
        (0.45, 0.1),
        (0.45, 0.3),
        (0.34, 0.42),
        (0.34, 0.84),
        (0.66, 0.84),
        (0.66, 0.42),
        (0.55, 0.3),
        (0.55, 0.1),
    ],
    "lamp": [
        (0.36, 0.14),
        (0.2, 0.5),
        (0.47, 0.5),
        (0.47, 0.78),
        (0.34, 0.84),
        (0.66, 0.84),
        (0.53, 0.78),
        (0.53, 0.5),
        (0.8, 0.5),
        (0.64, 0.14),
    ],
    "box": [(0.22, 0.34), (0.22, 0.8), (0.78, 0.8), (0.78, 0.34)],
    "cup": [(0.26, 0.3), (0.3, 0.78), (0.62, 0.78), (0.66, 0.3)],
}


@cache
def photo(number: int, side: int = SIDE) -> bytes:
    """Return a JPEG at quality 95: the same for the same number."""
    dice = random.Random(number)
    shape = SHAPES[number % len(SHAPES)]
    mask = _mask(shape).resize((side, side), Image.Resampling.BICUBIC)
    picture = _paper(dice, side)
    shadow = ImageChops.offset(mask, side // 40, side // 30).filter(ImageFilter.GaussianBlur(side / 30))
    picture.paste(Image.new("RGB", (side, side), (70, 66, 60)), mask=shadow.point(lambda value: value // 3))
    picture.paste(_glaze(dice, side), mask=mask)
    grain = Image.effect_noise((side, side), 22).convert("RGB")
    out = io.BytesIO()
    Image.blend(picture, grain, 0.06).save(out, "jpeg", quality=95, subsampling=0)
    return out.getvalue()


def _mask(shape: str) -> Image.Image:
    mask = Image.new("L", (_SMALL, _SMALL))
    draw = ImageDraw.Draw(mask)
    draw.polygon([(x * _SMALL, y * _SMALL) for x, y in _WALLS[shape]], fill=255)
    if shape == "cup":
        draw.ellipse([0.58 * _SMALL, 0.38 * _SMALL, 0.84 * _SMALL, 0.66 * _SMALL], outline=255, width=_SMALL // 22)
    return mask.filter(ImageFilter.GaussianBlur(4)).point(lambda value: max(0, min(255, (value - 100) * 5)))


def _paper(dice: random.Random, side: int) -> Image.Image:
    warm = dice.randint(-8, 8)
    light = Image.linear_gradient("L").resize((side, side)).point(lambda value: 246 - value // 7)
    bands = [light.point(lambda value, shift=shift: value + shift) for shift in (warm, 0, -warm)]
    return Image.merge("RGB", bands)


def _glaze(dice: random.Random, side: int) -> Image.Image:
    """Return a coloured surface, lit from the left, with a pattern."""
    hue, depth = dice.random(), dice.uniform(0.35, 0.6)
    red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(hue, depth, dice.uniform(0.6, 0.9)))
    glaze = Image.new("RGB", (side, side), (red, green, blue))
    draw = ImageDraw.Draw(glaze)
    step = side // dice.randint(9, 16)
    for y in range(side // 3, side * 3 // 4, step):
        draw.line(
            [(0, y), (side, y + dice.randint(-step, step))],
            fill=(red // 2 + 110, green // 2 + 110, blue // 2 + 110),
            width=step // 5,
        )
    light = (
        Image.radial_gradient("L")
        .resize((side * 2, side * 2))
        .crop((side * 5 // 8, side // 2, side * 13 // 8, side * 3 // 2))
    )
    return ImageChops.multiply(
        glaze, ImageChops.invert(light).point(lambda value: 90 + value * 165 // 255).convert("RGB")
    )
