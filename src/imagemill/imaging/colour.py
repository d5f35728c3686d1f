"""Every mode that Pillow can open becomes L, LA, RGB or RGBA here, with the colours a viewer would show."""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from PIL import Image, ImageChops, ImageCms, ImageColor

_PLAIN: Final = frozenset({"L", "RGB"})
_ALPHA_MODES: Final = frozenset({"LA", "RGBA"})
_SIXTEEN_TO_EIGHT: Final = 1 / 257
_SIXTEEN_MAX: Final = 0xFFFF
_EIGHT_MAX: Final = 0xFF
_SPACES: Final = {"L": b"GRAY", "RGB": b"RGB "}
"""Colour space field of an ICC profile (ICC.1:2022, 7.2.8) that fits a mode."""
_SRGB_GAMMA: Final = 1 / 2.2
_SAME_GAMMA: Final = 0.05
_STRAIGHT: Final = range(256)
_SAMPLE: Final = 64
_HEADER_BYTES: Final = 128


def normalised(image: Image.Image) -> Image.Image:
    """Return the image in L, LA, RGB or RGBA; an alpha channel only if something is really transparent."""
    if image.mode in _PLAIN and "transparency" not in image.info:
        return image
    converted = _converted(image)
    return without_idle_alpha(converted) if converted.mode in _ALPHA_MODES else converted


def without_gamma(image: Image.Image, info: Mapping[Any, Any]) -> Image.Image:
    """Return an L, LA, RGB or RGBA image as its PNG's gAMA means it; outputs have none, which means sRGB's.

    A profile or an sRGB chunk is stronger (PNG third edition, 4.3); senseless values and sRGB's own change nothing.
    """
    gamma = info.get("gamma")
    if not isinstance(gamma, float) or not 0.1 < gamma < 10 or info.keys() & {"icc_profile", "srgb"}:
        return image
    power = _SRGB_GAMMA / gamma
    if abs(power - 1) < _SAME_GAMMA:
        return image
    curve = [round(_EIGHT_MAX * (value / _EIGHT_MAX) ** power) for value in range(_EIGHT_MAX + 1)]
    return image.point([entry for band in image.getbands() for entry in (_STRAIGHT if band == "A" else curve)])


def without_idle_alpha(image: Image.Image) -> Image.Image:
    """Drop an alpha channel that is opaque everywhere."""
    low, _ = image.getchannel("A").getextrema()
    if low != _EIGHT_MAX:
        return image
    return image.convert("L" if image.mode == "LA" else "RGB")


def without_idle_colour(image: Image.Image) -> Image.Image:
    """Return an image without colours in L or LA; one with colours is told by a few of its pixels."""
    if image.mode not in {"RGB", "RGBA"}:
        return image
    sides = min(image.width, _SAMPLE), min(image.height, _SAMPLE)
    if not _is_grey(image.resize(sides, Image.Resampling.NEAREST)) or not _is_grey(image):
        return image
    grey = image.getchannel("G")
    return grey if image.mode == "RGB" else Image.merge("LA", (grey, image.getchannel("A")))


def without_hidden_colours(image: Image.Image) -> Image.Image:
    """Return the image with nothing behind what is clear: a cut-out's whole background may be there, unseen."""
    if image.mode not in _ALPHA_MODES:
        return image
    clear = image.getchannel("A").point(lambda value: 0 if value else _EIGHT_MAX)
    if not clear.getbbox():
        return image
    bare = image.copy()
    bare.paste((0,) * len(image.getbands()), mask=clear)
    return bare


def flattened(image: Image.Image, background: str) -> Image.Image:
    """Lay the image on the background colour, so that transparency never turns black."""
    if image.mode not in _ALPHA_MODES:
        return image
    colour = ImageColor.getrgb(background)
    mode = "L" if image.mode == "LA" and len(set(colour)) == 1 else "RGB"
    flat = Image.new(mode, image.size, background)
    flat.paste(image.convert(mode), mask=image.getchannel("A"))
    return flat


def in_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Return an L, LA, RGB or RGBA image with the colours that its profile means."""
    has_alpha = image.mode in _ALPHA_MODES
    mode = image.mode.removesuffix("A")
    shown = _by_profile(image.convert(mode) if has_alpha else image, profile, _SPACES[mode])
    if shown is None:
        return image
    shown = shown.convert(mode)
    if has_alpha:
        shown.putalpha(image.getchannel("A"))
    return shown


def profile_to_keep(profile: bytes | None, mode: str) -> bytes | None:
    """Return the ICC profile if the output needs it: it fits the mode and is not sRGB, which is what none means."""
    if not profile or _SPACES.get(mode.removesuffix("A")) != profile[16:20] or _is_srgb(profile):
        return None
    return profile


def can_carry(form: str, mode: str) -> bool:
    """Say whether a format holds pixels of a mode as they are, with their profile.

    GIF has no profiles, WebP only colours; and a viewer lays what is transparent on the background in its own colours.
    """
    match form:
        case "gif":
            return False
        case "webp":
            return mode in {"RGB", "RGBA"}
        case "jpeg":
            return mode not in _ALPHA_MODES
        case _:
            return True


def _is_grey(image: Image.Image) -> bool:
    red, green, blue = image.split()[:3]
    return not ImageChops.difference(red, green).getbbox() and not ImageChops.difference(green, blue).getbbox()


def _converted(image: Image.Image) -> Image.Image:
    mode = image.mode
    if mode == "CMYK":
        return _by_profile(image, image.info.get("icc_profile"), b"CMYK") or image.convert("RGB")
    if mode == "LAB":
        return ImageCms.applyTransform(image, _lab_transform()) or image.convert("L")
    if mode == "F" or mode.startswith("I"):
        return _eight_bit(image)
    if mode in {"1", "L", "La"}:
        return image.convert("LA" if "transparency" in image.info or mode == "La" else "L")
    return image.convert("RGBA" if _may_be_transparent(image) else "RGB")


def _may_be_transparent(image: Image.Image) -> bool:
    return "transparency" in image.info or image.mode in {"LA", "RGBA", "RGBa", "PA"}


def _eight_bit(image: Image.Image) -> Image.Image:
    """Scale deeper greys to 8 bits: converting alone clips, and turns a 16-bit picture white."""
    if image.mode.startswith("I;16"):
        return image.convert("I").point(lambda value: value * _SIXTEEN_TO_EIGHT + 0.5).convert("L")
    low, high = image.getextrema()
    scale, offset = _range(float(low), float(high), is_float=image.mode == "F")  # type: ignore[arg-type]
    return image.point(lambda value: value * scale + offset).convert("L")


def _range(low: float, high: float, *, is_float: bool) -> tuple[float, float]:
    """Return (scale, offset) to 0…255: by a usual range that holds all values, else from darkest to lightest."""
    tops = (1.0, _EIGHT_MAX, _SIXTEEN_MAX) if is_float else (_EIGHT_MAX, _SIXTEEN_MAX)
    top = next((top for top in tops if high <= top), 0)
    if low >= 0 and top:
        return _EIGHT_MAX / top, 0.5
    span = high - low
    return (_EIGHT_MAX / span, -low * _EIGHT_MAX / span) if 0 < span < float("inf") else (1.0, 0.0)


def _by_profile(image: Image.Image, profile: bytes | None, space: bytes) -> Image.Image | None:
    if not profile or profile[16:20] != space:
        return None
    try:
        return ImageCms.applyTransform(image, _transform_to_srgb(profile, image.mode))
    except (ImageCms.PyCMSError, OSError):
        return None


@lru_cache(maxsize=8)
def _transform_to_srgb(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform:
    """Build a transform once for many images of one shop; black point compensation is what picture editors do."""
    return ImageCms.buildTransform(
        io.BytesIO(profile),
        _srgb(),
        mode,
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )


@lru_cache(maxsize=1)
def _lab_transform() -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(ImageCms.createProfile("LAB"), _srgb(), "LAB", "RGB")


@lru_cache(maxsize=1)
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


@lru_cache(maxsize=32)
def _is_srgb(profile: bytes) -> bool:
    if len(profile) <= _HEADER_BYTES:
        return True
    try:
        name = ImageCms.getProfileDescription(ImageCms.getOpenProfile(io.BytesIO(profile))).lower()
    except (ImageCms.PyCMSError, OSError):
        return True  # broken: nobody could use it
    return ("srgb" in name or "61966-2" in name) and "linear" not in name
