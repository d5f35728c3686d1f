"""Opening and decoding, under limits that hold before anything is allocated. One plugin a format, no search."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from imagemill.core.errors import ImageCode, ImageError
from imagemill.core.recipe import Recipe
from imagemill.imaging import colour, ends, exif, sizes, sniff
from imagemill.imaging.protocol import Limits

PLUGINS: Final[dict[str, type[ImageFile.ImageFile]]] = {
    "jpeg": JpegImagePlugin.JpegImageFile,
    "png": PngImagePlugin.PngImageFile,
    "webp": WebPImagePlugin.WebPImageFile,
    "gif": GifImagePlugin.GifImageFile,
    "bmp": BmpImagePlugin.BmpImageFile,
    "tiff": TiffImagePlugin.TiffImageFile,
}
_ANIMATED: Final = frozenset({"png", "webp", "gif"})
_SWAPS_SIDES: Final = 5  # EXIF orientations from 5 on lie on their side
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
BROKEN: Final = (
    # What Pillow's plugins raise on bytes that make no sense; seen with its own collection of hostile files.
    OSError,
    SyntaxError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    EOFError,
    RuntimeError,
    struct.error,
    zlib.error,
)
_GREYS: Final[dict[str, int | tuple[int, ...]]] = {"L": 128, "RGB": (128, 128, 128), "YCbCr": (128, 128, 128)}
"""What is missing of an image; with alpha it stays transparent."""
_BOMBS: Final = (Image.DecompressionBombError, Image.DecompressionBombWarning)


class Source(NamedTuple):
    """A source whose header is read. Its sides are as displayed, the orientation in `tags` is still to be applied.

    `is_partial`: it lacks its end, and was accepted so.
    """

    format: str
    data: bytes
    image: ImageFile.ImageFile
    frames: int
    exif: bytes
    tags: exif.Tags
    width: int
    height: int
    is_partial: bool = False


class Picture(NamedTuple):
    """Decoded, upright pixels in L, LA, RGB or RGBA. `palette` is the same in 256 colours or fewer, if it came so."""

    image: Image.Image
    profile: bytes | None
    palette: Image.Image | None


def set_warnings() -> None:
    """Once a process: Pillow warns of what is odd in a file, which is no news here; a bomb is an error."""
    warnings.simplefilter("ignore")
    warnings.simplefilter("error", Image.DecompressionBombWarning)


def opened(data: bytes, limits: Limits) -> Source:
    """Sniff, read the header and check the limits; nothing is decoded yet."""
    form = sniff.sniff(data, limits.formats)
    Image.MAX_IMAGE_PIXELS = limits.max_pixels  # for what only plugins see: tiles, frames larger than their canvas
    with reading(form, data):
        image = PLUGINS[form](io.BytesIO(data))
        _check_pixels(image.size, 1, limits)
        frames = int(getattr(image, "n_frames", 1)) if form in _ANIMATED else 1
    _check_pixels(image.size, frames, limits)
    block = exif.block(image.info)
    tags = exif.read(block)
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        tags = _tiff_tags(image)
    width, height = image.size if tags.orientation < _SWAPS_SIDES else image.size[::-1]
    return Source(form, data, image, frames, block, tags, width, height)


def decoded(source: Source, recipe: Recipe, *, with_main: bool = True) -> Picture:
    """Decode once for all sizes: a JPEG no larger than the outputs need, which its format makes cheap (`draft`)."""
    image = source.image
    with reading(source.format, source.data):
        if source.format == "jpeg":
            wide, high = sizes.needed(source.width, source.height, recipe, with_main=with_main)
            if (wide, high) != (source.width, source.height):
                image.draft(None, (wide, high) if source.tags.orientation < _SWAPS_SIDES else (high, wide))
        if source.is_partial and image.mode in _GREYS:
            image.im = Image.new(image.mode, image.size, _GREYS[image.mode]).im  # what no bytes fill stays so
        image.load()
        upright = turned(image, source.tags.orientation)
        plain = colour.normalised(upright)
        shown = colour.without_gamma(plain, image.info)
    profile = colour.profile_to_keep(image.info.get("icc_profile"), plain.mode)
    has_palette = upright.mode in {"1", "P"} and shown is plain
    if profile is None:
        shown = colour.without_idle_colour(shown)
    return Picture(shown, profile, upright if has_palette else None)


def turned(image: Image.Image, orientation: int) -> Image.Image:
    """Apply an EXIF orientation; transpose() keeps `info`, which a palette's transparency needs."""
    turn = _TURNS.get(orientation)
    return image if turn is None else image.transpose(turn)


def resized(image: Image.Image, cut: sizes.Cut) -> Image.Image:
    """Resample the cut, given in the image's own pixels. Pillow premultiplies alpha itself, so edges do not darken."""
    is_whole = cut.box == sizes.whole(*image.size)
    if is_whole and image.size == (cut.width, cut.height):
        return image
    return image.resize((cut.width, cut.height), Image.Resampling.LANCZOS, cut.box, reducing_gap=2.0)


@contextmanager
def forgiving() -> Iterator[None]:
    """Let Pillow decode what there is of a source that lacks its end: a switch of the whole process."""
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False


@contextmanager
def reading(form: str, data: bytes) -> Iterator[None]:
    """Translate what Pillow raises on bad bytes: `truncated` where the end is missing, `decode_failed` otherwise."""
    try:
        yield
    except ImageError:
        raise
    except _BOMBS as error:
        detail = f"the {form} has more pixels than image.max_pixels"
        raise ImageError(ImageCode.TOO_MANY_PIXELS, detail, cause=str(error)) from error
    except BROKEN as error:
        cause = f"{type(error).__name__}: {error}"
        if "truncated" in cause.lower() or ends.is_cut_short(form, data):
            raise ImageError(ImageCode.TRUNCATED, f"the {form} ends too early", transient=False, cause=cause) from error
        raise ImageError(ImageCode.DECODE_FAILED, f"the {form} is broken and cannot be decoded", cause=cause) from error


def _tiff_tags(image: TiffImagePlugin.TiffImageFile) -> exif.Tags:
    """A TIFF is its own EXIF block. Its orientation is Pillow's business: it swaps the sides and turns the pixels."""
    texts = (image.tag_v2.get(tag) for tag in (exif.ARTIST, exif.COPYRIGHT))
    artist, rights = (text.encode("utf-8", "replace") if isinstance(text, str) else b"" for text in texts)
    return exif.Tags(1, artist, rights)


def _check_pixels(size: tuple[int, int], frames: int, limits: Limits) -> None:
    width, height = size
    if width * height * frames > limits.max_pixels:
        many = f"{width} × {height} pixels" + (f" × {frames} frames" if frames > 1 else "")
        raise ImageError(ImageCode.TOO_MANY_PIXELS, f"{many} are more than image.max_pixels, {limits.max_pixels}")


def check_scans(source: Source, limits: Limits) -> None:
    """Refuse a progressive bomb: a few hundred bytes more make a decoder walk over all pixels once more."""
    if source.format == "jpeg" and sniff.has_scans_beyond(limits.max_scans, source.data):
        raise ImageError(ImageCode.DECODE_FAILED, f"the jpeg has more scans than image.max_scans, {limits.max_scans}")


def header(form: str, data: bytes) -> tuple[int, int]:
    """Open an output again and return its sides as displayed: nothing is published that cannot be opened."""
    image: Any = PLUGINS[form](io.BytesIO(data))
    width, height = image.size
    is_lying = form == "jpeg" and exif.read(exif.block(image.info)).orientation >= _SWAPS_SIDES
    return (height, width) if is_lying else (width, height)
