"""Pictures made for tests, and the few ways to look at an output."""

from __future__ import annotations

import io
from typing import Any, Final

from PIL import Image, ImageChops, ImageStat

from imagemill.core.errors import ImageCode, ImageError
from imagemill.core.recipe import Recipe
from imagemill.imaging import ladder
from imagemill.imaging.protocol import Limits

LIMITS: Final = Limits(100_000_000, ("jpeg", "png", "webp", "gif", "bmp", "tiff"))
CORNERS: Final = ((220, 30, 30), (30, 200, 30), (30, 30, 220), (240, 240, 40))
UNDO: Final = {
    # what a camera does to an upright picture before it writes the orientation
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def photo(width: int = 256, height: int = 256) -> Image.Image:
    """Many colours without noise, so that it compresses as a photograph does."""
    slope = Image.linear_gradient("L")
    mixed = Image.merge("RGB", (slope, slope.transpose(Image.Transpose.ROTATE_90), Image.radial_gradient("L")))
    return mixed.resize((width, height), Image.Resampling.BICUBIC)


def noise(width: int, height: int) -> Image.Image:
    return Image.merge("RGB", [Image.effect_noise((width, height), 90) for _ in range(3)])


def quarters(width: int = 96, height: int = 64) -> Image.Image:
    """Flat, and every orientation of it differs."""
    image = Image.new("RGB", (width, height))
    for number, colour in enumerate(CORNERS):
        left, top = number % 2 * width // 2, number // 2 * height // 2
        image.paste(colour, (left, top, left + width // 2, top + height // 2))
    return image


def cut_out(width: int = 80, height: int = 60) -> Image.Image:
    """A red picture whose left half is transparent; the hidden pixels are black, as editors leave them."""
    image = Image.new("RGBA", (width, height), (0, 0, 0, 0))
    image.paste((200, 20, 20, 255), (width // 2, 0, width, height))
    return image


def written(image: Image.Image, form: str, **how: Any) -> bytes:  # noqa: ANN401 — as Pillow has it
    out = io.BytesIO()
    image.save(out, form, **how)
    return out.getvalue()


def opened(data: bytes | None) -> Image.Image:
    assert data is not None
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def compressed(data: bytes, **recipe: Any) -> ladder.Piece:  # noqa: ANN401 — as Pillow has it
    return ladder.compress(data, Recipe(**recipe), LIMITS).pieces[0]


def failure(data: bytes, limits: Limits = LIMITS, **recipe: Any) -> ImageError:  # noqa: ANN401 — as Pillow has it
    try:
        ladder.compress(data, Recipe(**recipe), limits)
    except ImageError as error:
        return error
    message = "no error"
    raise AssertionError(message)


def code(data: bytes) -> ImageCode:
    return failure(data).image_code


def apart(one: Image.Image, other: Image.Image) -> float:
    """The mean difference of all samples, 0 to 255."""
    assert one.size == other.size
    mode = "RGBA" if "A" in one.mode + other.mode or "transparency" in one.info | other.info else "RGB"
    means = ImageStat.Stat(ImageChops.difference(one.convert(mode), other.convert(mode))).mean
    return sum(means) / len(means)
