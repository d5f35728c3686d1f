"""Pixels to bytes, one function a format. What costs time and what it buys is measured; see the comments."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from PIL import Image

from imagemill.core.errors import ImageCode, ImageError
from imagemill.imaging import colour, palette

_OPTIMISED_FROM_PIXELS: Final = 250_000
"""Optimised Huffman tables cost 0.45 ms on a 0.12-MP photo and save 3 % (1.22 against 0.77 ms in all); on a shop's
1.7 MP they cost 2.4 ms and save 15 % (15.2 against 12.9 ms). So small ones go without."""

_MAX_SIDE: Final = {"jpeg": 65500, "webp": 16383, "gif": 65535}
_PALETTE_COLOURS: Final = 256
_EIGHT_BIT_HALF: Final = 127
_PNG_LEVEL: Final = 6
LOSSLESS_FROM_QUALITY: Final = 95
"""Who asks for that much wants a PNG as it was."""
_PLAIN_SHARE: Final = 20
_PLAIN_BYTES: Final = 4096
"""A palette may be larger than plain pixels where these follow from their neighbours (gradients) or are few. Both are
tried where it has less than a byte for twenty pixels, or 4 KB in all: there plain pixels are written quickly too."""
_CLEARS: Final = 2
"""GIF's way to put a frame away so that the next one's clear parts do not show it."""

_STANDARD_SUM: Final = 3688
"""All steps of the luminance table that libjpeg scales by quality (ITU T.81, annex K.1)."""
_STANDARD_FIRST_SUM: Final = 16 + 11 + 10 + 16
_LARGEST_STEP: Final = 255
_SCALE_AT_50: Final = 100


class Look(NamedTuple):
    """How an output is written. `exif` and `xmp` are what is left of the metadata after the recipe."""

    quality: int
    is_progressive: bool
    is_lossless: bool
    profile: bytes | None
    exif: bytes
    xmp: bytes


class Loop(NamedTuple):
    """An animation's timing: milliseconds a frame; `repeats` as its format counts (None: played once)."""

    durations: list[int]
    repeats: int | None
    has_default_image: bool


def fits(form: str, size: tuple[int, int]) -> bool:
    """Say whether a format can hold an image of these sides."""
    return max(size) <= _MAX_SIDE.get(form, max(size))


def still(image: Image.Image, form: str, look: Look) -> bytes:
    """Write one picture. The image's own `info` is not written: what is kept is in `look`."""
    if not fits(form, image.size):
        detail = f"{form} cannot hold {image.width} × {image.height} pixels: set max_width and max_height"
        raise ImageError(ImageCode.TOO_MANY_PIXELS, detail)
    out = io.BytesIO()
    _WRITERS[form](image, out, look)
    return out.getvalue()


def animation(frames: Sequence[Image.Image], form: str, look: Look, loop: Loop) -> bytes:
    """Write RGBA or RGB frames as GIF, WebP or APNG."""
    out = io.BytesIO()
    extra: dict[str, Any] = {} if loop.repeats is None else {"loop": loop.repeats}
    if form == "webp":
        extra |= {"quality": look.quality, "method": 4, "exif": look.exif, "xmp": look.xmp}
    if form == "png":
        extra |= {"default_image": loop.has_default_image, "exif": look.exif or None}
    if form != "gif":
        extra["icc_profile"] = look.profile
    if form == "gif":
        frames = [_clipped(frame) for frame in frames]
        extra["disposal"] = _CLEARS if any("transparency" in frame.info for frame in frames) else 0
    first, *others = frames
    first.save(out, form.upper(), save_all=True, append_images=others, duration=loop.durations, **extra)
    return out.getvalue()


def jpeg_quality(tables: Mapping[int, Sequence[int]]) -> int:
    """Estimate libjpeg's quality of a JPEG by its first quantisation table, as ImageMagick does; 100 without one."""
    table = tables.get(0)
    if not table:
        return 100
    # Baseline tables stop at 255, so at low qualities only the finest steps still tell.
    is_clipped = max(table) >= _LARGEST_STEP
    scale = sum(table[:4]) * 100 / _STANDARD_FIRST_SUM if is_clipped else sum(table) * 100 / _STANDARD_SUM
    quality = (200 - scale) / 2 if scale <= _SCALE_AT_50 else 5000 / scale
    return max(1, min(100, round(quality)))


def is_photographic(image: Image.Image) -> bool:
    """Tell photographs from flat graphics by the number of colours in a sample of the pixels."""
    step = max(1, max(image.size) // 512)
    sample = image.resize((max(1, image.width // step), max(1, image.height // step)), Image.Resampling.NEAREST)
    if sample.mode == "L":
        return len(sample.getcolors() or ()) > _PALETTE_COLOURS // 2
    threshold = min(1024, max(_PALETTE_COLOURS, sample.width * sample.height // 8))
    return sample.convert("RGB").getcolors(threshold) is None


def _jpeg(image: Image.Image, out: io.BytesIO, look: Look) -> None:
    is_large = image.width * image.height >= _OPTIMISED_FROM_PIXELS
    image.save(
        out,
        "JPEG",
        quality=look.quality,
        subsampling="4:2:0",
        optimize=is_large,
        progressive=look.is_progressive,
        icc_profile=look.profile,
        exif=look.exif,
        xmp=look.xmp,
        comment=None,  # Pillow would copy the source's
    )


def _png(image: Image.Image, out: io.BytesIO, look: Look) -> None:
    """Write a palette where that is invisible, and smaller."""
    if image.mode in {"1", "P"}:
        out.write(_png_bytes(image, look))
        return
    plain = colour.without_hidden_colours(image)
    few = None
    if look.profile is None or image.mode in {"RGB", "RGBA"}:  # a palette has colours, a profile of greys would not fit
        few = palette.invisible(plain, is_exact=look.quality >= LOSSLESS_FROM_QUALITY)
    if few is None:
        out.write(_png_bytes(plain, look))
        return
    small = _png_bytes(few, look)
    pixels = image.width * image.height
    may_be_larger = len(small) < max(pixels // _PLAIN_SHARE, _PLAIN_BYTES)
    out.write(min(small, _png_bytes(plain, look), key=len) if may_be_larger else small)


def _png_bytes(image: Image.Image, look: Look) -> bytes:
    """Level 9 (`optimize`) takes three times as long as 6 for a percent, and of a palette 0.7 % less than 7."""
    out = io.BytesIO()
    transparency = image.info.get("transparency") if image.mode == "P" else None
    extra = {} if transparency is None else {"transparency": transparency}
    image.info.pop("icc_profile", None)
    is_palette = image.mode in {"1", "P"}
    exif = look.exif or None
    image.save(out, "PNG", icc_profile=look.profile, exif=exif, compress_level=_PNG_LEVEL, optimize=is_palette, **extra)
    return out.getvalue()


def _webp(image: Image.Image, out: io.BytesIO, look: Look) -> None:
    image.save(
        out,
        "WEBP",
        quality=look.quality,
        method=4,
        lossless=look.is_lossless,
        icc_profile=look.profile,
        exif=look.exif,
        xmp=look.xmp,
    )


def _gif(image: Image.Image, out: io.BytesIO, look: Look) -> None:
    del look  # GIF holds no quality, profile or EXIF
    still_image = _clipped(image).copy()
    still_image.info = {key: value for key, value in still_image.info.items() if key == "transparency"}
    still_image.save(out, "GIF", optimize=True)


def _clipped(image: Image.Image) -> Image.Image:
    """Return an image with alpha in a palette with one clear colour, as GIF has it. What is faint is clear."""
    if image.mode not in {"LA", "RGBA"}:
        return image
    clear = image.getchannel("A").point(lambda value: 0 if value > _EIGHT_BIT_HALF else 255)
    if not clear.getbbox():
        return image.convert("RGB")
    small = image.convert("RGB").quantize(_PALETTE_COLOURS - 1, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    small.paste(_PALETTE_COLOURS - 1, mask=clear)
    small.info["transparency"] = _PALETTE_COLOURS - 1
    return small


_WRITERS: Final[dict[str, Callable[[Image.Image, io.BytesIO, Look], None]]] = {
    "jpeg": _jpeg,
    "png": _png,
    "webp": _webp,
    "gif": _gif,
}
