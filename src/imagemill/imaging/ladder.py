"""Which way an image goes: coefficients (JPEG), pixels, or the source itself when nothing got smaller. Each is checked.

`format` means: jpeg, png, webp: that. keep: the source's own if it is one of jpeg png webp gif, else as auto.
auto: JPEG, WebP and animations stay; real transparency becomes PNG; of the rest photographs become JPEG, flat
graphics PNG.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from PIL import Image

from imagemill.core.errors import ImageCode, ImageError
from imagemill.core.recipe import Recipe, Thumbnail
from imagemill.imaging import coefficients, colour, encode, exif, frames, palette, pixels, sizes, strip
from imagemill.imaging.protocol import Limits

_WEB: Final = frozenset({"jpeg", "png", "webp", "gif"})


class Piece(NamedTuple):
    """One output: `image`, or a thumbnail by its name. `is_source`: it is the source itself, nothing was lost."""

    name: str
    data: bytes
    format: str
    width: int
    height: int
    is_source: bool = False


class Result(NamedTuple):
    """The source's format and displayed sides, and all outputs in the recipe's order, the main one first."""

    format: str
    width: int
    height: int
    pieces: list[Piece]


def compress(data: bytes, recipe: Recipe, limits: Limits) -> Result:
    """Compress one source by a recipe; ImageError says why it cannot be.

    A source is taken as truncated only after it was refused as that, so `accept_truncated` changes nothing else.
    """
    try:
        return _compressed(pixels.opened(data, limits), recipe, limits)
    except ImageError as error:
        if not recipe.accept_truncated or error.image_code is not ImageCode.TRUNCATED:
            raise
    with pixels.forgiving():
        return _compressed(pixels.opened(data, limits)._replace(is_partial=True), recipe, limits)


def _compressed(source: pixels.Source, recipe: Recipe, limits: Limits) -> Result:
    requantised = _requantised(source, recipe, limits)
    if requantised is None:
        pixels.check_scans(source, limits)
    if requantised is not None:
        pieces = [requantised, *_thumbnails_alone(source, recipe)]
    elif frames.is_kept(source, recipe):
        picture, made = _moving(source, recipe)
        pieces = [made, *_thumbnails(source, picture, recipe)]
    else:
        picture = pixels.decoded(source, recipe)
        pieces = [_still(source, picture, recipe), *_thumbnails(source, picture, recipe)]
    return Result(source.format, source.width, source.height, [_checked(piece) for piece in pieces])


def _requantised(source: pixels.Source, recipe: Recipe, limits: Limits) -> Piece | None:
    """Return the main output if it can be had without pixels."""
    size = source.width, source.height
    if recipe.format not in {"auto", "keep", "jpeg"} or sizes.main(*size, recipe) != size:
        return None
    data = coefficients.made(source, recipe, limits)
    return None if data is None else _smaller(source, recipe, Piece("image", data, "jpeg", *size))


def _thumbnails_alone(source: pixels.Source, recipe: Recipe) -> list[Piece]:
    """Decode for the thumbnails no more than they need, for the main output is there already."""
    if not recipe.thumbnails:
        return []
    return _thumbnails(source, pixels.decoded(source, recipe, with_main=False), recipe)


def _thumbnails(source: pixels.Source, picture: pixels.Picture, recipe: Recipe) -> list[Piece]:
    return [_thumbnail(source, picture, recipe, each) for each in recipe.thumbnails]


def _still(source: pixels.Source, picture: pixels.Picture, recipe: Recipe) -> Piece:
    form = _format(source, picture.image, recipe, is_flat=picture.palette is not None)
    size = sizes.main(source.width, source.height, recipe)
    if picture.palette is not None and form in {"png", "gif"} and size == picture.image.size:
        image: Image.Image = picture.palette
    else:
        image = _cut(picture, form, recipe, sizes.Cut(*size, sizes.whole(*picture.image.size)))
    data = encode.still(image, form, _look(source, picture, recipe, form))
    return _smaller(source, recipe, Piece("image", data, form, *size))


def _moving(source: pixels.Source, recipe: Recipe) -> tuple[pixels.Picture, Piece]:
    form = "webp" if recipe.format == "webp" else source.format
    size = sizes.main(source.width, source.height, recipe)
    is_rewritten = frames.is_rewritten(source, form, size) or _clean(source, recipe) is None
    film = frames.read(source, size, with_frames=is_rewritten)
    look = _look(source, film.first, recipe, form)
    data = frames.written(film, form, look) if is_rewritten else source.data
    return film.first, _smaller(source, recipe, Piece("image", data, form, *size))


def _thumbnail(source: pixels.Source, picture: pixels.Picture, recipe: Recipe, thumbnail: Thumbnail) -> Piece:
    form = _format(source, picture.image, recipe, is_flat=picture.palette is not None)
    cut = sizes.cut(*picture.image.size, thumbnail)
    data = encode.still(_cut(picture, form, recipe, cut), form, _look(source, picture, recipe, form))
    return Piece(thumbnail.name, data, form, cut.width, cut.height)


def _format(source: pixels.Source, image: Image.Image, recipe: Recipe, *, is_flat: bool) -> str:
    wanted = recipe.format
    if wanted not in {"auto", "keep"}:
        return wanted
    stays = _WEB if wanted == "keep" else {"jpeg", "webp"}
    if source.format in stays and encode.fits(source.format, image.size):
        return source.format
    if image.mode.endswith("A") or is_flat or not encode.fits("jpeg", image.size):
        return "png"
    return "jpeg" if encode.is_photographic(image) else "png"


def _cut(picture: pixels.Picture, form: str, recipe: Recipe, cut: sizes.Cut) -> Image.Image:
    """Return the cut as the format can hold it; what came in 256 colours goes in 256, resampling makes thousands."""
    image = pixels.resized(picture.image, cut)
    if picture.profile and not colour.can_carry(form, image.mode):
        image = colour.in_srgb(image, picture.profile)
    if form == "jpeg":
        return colour.flattened(image, recipe.background)
    is_few = form == "png" and picture.palette is not None and image.mode != "L"
    return palette.nearest(image) if is_few else image


def _look(source: pixels.Source, picture: pixels.Picture, recipe: Recipe, form: str) -> encode.Look:
    quality = recipe.quality
    if source.format == "jpeg":  # a quality above the source's own adds bytes and no detail
        quality = min(quality, encode.jpeg_quality(source.image.quantization))  # type: ignore[attr-defined]
    return encode.Look(
        quality=quality,
        # auto is no: progressive takes 27.6 ms for 17.3 on a shop's picture, to save 1.2 of 66.5 KB of optimised tables
        is_progressive=recipe.progressive == "yes",
        is_lossless=form == "webp" and _is_lossless(source) and not encode.is_photographic(picture.image),
        profile=picture.profile if colour.can_carry(form, picture.image.mode) else None,
        exif=exif.kept(source.exif, source.tags, recipe.metadata, is_upright=True),
        xmp=exif.packet(source.image.info, is_upright=True) if recipe.metadata == "keep" else b"",
    )


def _is_lossless(source: pixels.Source) -> bool:
    return source.format not in {"jpeg", "webp"} or b"VP8L" in source.data[12:64]


def _smaller(source: pixels.Source, recipe: Recipe, made: Piece) -> Piece:
    """Publish the source itself when nothing smaller came out, in its format or where the format is ours to choose."""
    is_free = made.format == source.format or (recipe.format == "auto" and source.format in _WEB)
    is_resized = (made.width, made.height) != (source.width, source.height)
    if not is_free or is_resized or len(made.data) < len(source.data):
        return made
    clean = _clean(source, recipe)
    return made if clean is None else made._replace(data=clean, format=source.format, is_source=True)


def _clean(source: pixels.Source, recipe: Recipe) -> bytes | None:
    """Return the source as it may be published, or None where a promise would break and the larger output stays.

    A picture that lies on its side must be turned, inks must become colours that every viewer shows right, what has
    no end must get one, and copyright alone cannot be cut out of a block.
    """
    if source.tags.orientation != 1 or source.image.mode == "CMYK" or source.is_partial:
        return None
    if recipe.metadata == "keep":
        return source.data
    if recipe.metadata == "copyright" and (source.tags.artist or source.tags.copyright):
        return None
    return strip.stripped(source.format, source.data)


def _checked(piece: Piece) -> Piece:
    """Open an output again before it is published (SECURITY.md, "Decoding")."""
    try:
        is_right = pixels.header(piece.format, piece.data) == (piece.width, piece.height)
    except (OSError, SyntaxError) as error:
        detail = "the output cannot be opened"
        raise ImageError(ImageCode.INTERNAL, detail, transient=False, cause=str(error)) from error
    if not is_right:
        raise ImageError(ImageCode.INTERNAL, "the output has a wrong size", transient=False)
    return piece
