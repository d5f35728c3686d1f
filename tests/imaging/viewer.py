"""What a colour-managed viewer shows of a file: Pillow's own orientation, lcms for the colours, none of our code."""

from __future__ import annotations

import io
from typing import Final

from PIL import Image, ImageChops, ImageCms, ImageOps, ImageStat

_SRGB: Final = ImageCms.createProfile("sRGB")
_INTENT: Final = ImageCms.Intent.RELATIVE_COLORIMETRIC
_BLACK_POINT: Final = ImageCms.Flags.BLACKPOINTCOMPENSATION
_MODES: Final = {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK"}


def seen(data: bytes, frame: int = 0) -> Image.Image:
    """One frame as RGBA in sRGB, upright."""
    stored = Image.open(io.BytesIO(data))
    stored.seek(frame)
    image = ImageOps.exif_transpose(stored)
    if image.mode.startswith("I;16"):
        image = image.convert("I").point(lambda value: value * (1 / 257) + 0.5).convert("L")
    shown = _coloured(image)
    if "A" in image.getbands() or "transparency" in image.info:
        shown.putalpha(image.convert("RGBA").getchannel("A"))
    return shown.convert("RGBA")


def _coloured(image: Image.Image) -> Image.Image:
    if image.mode == "LAB":
        return _managed(image, ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")), "LAB")
    profile = image.info.get("icc_profile") or b""
    mode = _MODES.get(profile[16:20], "")
    is_grey = image.mode in {"1", "L", "LA"}
    own = "CMYK" if image.mode == "CMYK" else "L" if is_grey else "RGB"
    if mode != own:  # one that does not fit is nobody's
        gamma = 1 if "srgb" in image.info or profile else image.info.get("gamma", 1 / 2.2) * 2.2
        return image.convert("RGB").point(lambda value: round(255 * (value / 255) ** (1 / gamma)))
    return _managed(image.convert(mode), ImageCms.ImageCmsProfile(io.BytesIO(profile)), mode)


def _managed(image: Image.Image, profile: ImageCms.ImageCmsProfile, mode: str) -> Image.Image:
    transform = ImageCms.buildTransform(profile, _SRGB, mode, "RGB", _INTENT, _BLACK_POINT)
    shown = ImageCms.applyTransform(image, transform)
    assert shown is not None
    return shown


def laid(image: Image.Image, background: str) -> Image.Image:
    """What is seen of an RGBA image on a background."""
    return Image.alpha_composite(Image.new("RGBA", image.size, background), image).convert("RGB")


def differ(one: Image.Image, other: Image.Image) -> tuple[float, float]:
    """How far apart two RGBA images are on black and on white: in the mean, and where they differ most, coarsely."""
    assert one.size == other.size
    mean = most = 0.0
    for background in ("black", "white"):
        two = [laid(image, background) for image in (one, other)]
        means = ImageStat.Stat(ImageChops.difference(*two)).mean
        mean = max(mean, sum(means) / len(means))
        coarse = [image.resize((6, 5), Image.Resampling.BOX) for image in two]
        apart = ImageChops.difference(*coarse)
        most = max(most, *(high for _, high in ImageStat.Stat(apart).extrema))
    return mean, most
