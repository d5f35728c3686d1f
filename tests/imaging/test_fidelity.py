"""Each kind of source × each kind of recipe: a colour-managed viewer shows the output as it shows the source."""

from __future__ import annotations

import functools
import io
from typing import Any, Final

import pytest
from PIL import Image, ImageOps

from imagemill.core.recipe import Recipe, Thumbnail
from imagemill.imaging import ladder
from tests.imaging.pictures import LIMITS
from tests.imaging.sources import DURATIONS, MAKERS, Source, made
from tests.imaging.viewer import differ, laid, seen

RECIPES: Final[dict[str, dict[str, Any]]] = {
    "default": {},
    "keep": {"format": "keep"},
    "jpeg": {"format": "jpeg"},
    "png": {"format": "png"},
    "exact png": {"format": "png", "quality": 100},
    "webp": {"format": "webp"},
    "reduced": {"max_width": 40},
    "reduced webp": {"max_height": 30, "format": "webp"},
    "reduced png": {"max_height": 30, "format": "png"},
    "copyright": {"metadata": "copyright"},
    "metadata kept": {"metadata": "keep", "format": "keep"},
    "on blue": {"format": "jpeg", "background": "#2040c0"},
    "progressive": {"format": "jpeg", "progressive": "yes", "metadata": "copyright"},
    "thumbnails": {"thumbnails": (Thumbnail(24, 24), Thumbnail(30, 30, "contain"), Thumbnail(90, 30))},
    "thumbnails png": {"format": "png", "thumbnails": (Thumbnail(24, 24), Thumbnail(30, 30, "contain"))},
}
EXACT: Final = (0.3, 2)
"""How far a lossless output may be from its source: rounding between colour spaces."""
UNSEEN: Final = (1.8, 9)
LOSSY: Final = (3.5, 9)
EDGED: Final = (6.0, 20)
"""Each is the mean difference, and that of the worst thirtieth, of 255. UNSEEN is a palette's. EDGED is for what is
resized, where a pixel is much of so small a picture, or laid on a background, where a JPEG smears what was clear."""
MOVES: Final = {"auto", "keep", "webp"}


@pytest.mark.parametrize("name", MAKERS)
def test_the_source_is_what_it_is_called(name: str) -> None:
    source = made(name)
    mean, _ = differ(seen(source.data), source.picture.convert("RGBA"))
    is_recoloured = "profile" in name or "adobe" in name or "p3" in name or "other gamma" in name
    assert mean < (60 if is_recoloured else 4)
    assert Image.open(io.BytesIO(source.data)).size in {source.picture.size, source.picture.size[::-1]}


@pytest.mark.parametrize("recipe_name", RECIPES)
@pytest.mark.parametrize("name", MAKERS)
def test_the_output_is_seen_as_the_source_is(name: str, recipe_name: str) -> None:
    source, recipe = made(name), Recipe(**({"quality": 80} | RECIPES[recipe_name]))
    result = ladder.compress(source.data, recipe, LIMITS)
    shown = _shown(name)
    assert (result.format, (result.width, result.height)) == (source.format, shown.size)
    for piece in result.pieces:
        image = Image.open(io.BytesIO(piece.data))
        assert (image.format or "").lower() == piece.format
        _check_pixels(source, recipe, piece, _wanted(shown, recipe, piece))
        _check_modes(source, image, piece)
        _check_frames(source, recipe, image, piece)
        _check_metadata(source, recipe, image, piece)


@functools.cache
def _shown(name: str) -> Image.Image:
    return seen(made(name).data)


def _wanted(shown: Image.Image, recipe: Recipe, piece: ladder.Piece) -> Image.Image:
    """The picture of the source in the piece's size, by another way than ours."""
    cover = next((each for each in recipe.thumbnails if each.name == piece.name and each.fit == "cover"), None)
    wide, high = piece.width, piece.height
    if cover is not None:
        assert (wide, high) == (cover.width, cover.height)
        return ImageOps.fit(shown, (wide, high), Image.Resampling.LANCZOS)
    width, height = shown.size
    assert abs(wide * height - high * width) <= max(width, height)
    contain = next((each for each in recipe.thumbnails if each.name == piece.name), None)
    most_wide = contain.width if contain else recipe.max_width or width
    most_high = contain.height if contain else recipe.max_height or height
    assert wide == min(width, most_wide) or high == min(height, most_high)
    return shown if shown.size == (wide, high) else shown.resize((wide, high), Image.Resampling.LANCZOS)


def _check_pixels(source: Source, recipe: Recipe, piece: ladder.Piece, wanted: Image.Image) -> None:
    if piece.format == "jpeg":
        wanted = laid(wanted, recipe.background).convert("RGBA")
    is_resized = piece.name != "image" or bool(recipe.max_width or recipe.max_height)
    is_exact = piece.format == "png" and not is_resized and recipe.quality == 100
    mean, most = differ(seen(piece.data), wanted)
    is_edged = is_resized or (piece.format == "jpeg" and source.has_alpha)
    most_mean, most_most = EDGED if is_edged else EXACT if is_exact else UNSEEN if piece.format == "png" else LOSSY
    assert mean <= most_mean, f"{piece.name} {piece.format} is {mean:.1f} apart in the mean"
    assert most <= most_most, f"{piece.name} {piece.format} is {most} apart somewhere"


def _check_modes(source: Source, image: Image.Image, piece: ladder.Piece) -> None:
    """A grey picture is not blown up to three channels, and only what may be transparent has alpha."""
    has_alpha = "A" in image.getbands() or "transparency" in image.info
    assert has_alpha is (source.has_alpha and piece.format != "jpeg")
    is_one_channel = image.mode in {"1", "L", "LA", "P"}
    is_coloured = piece.format == "webp" or (piece.format == "jpeg" and source.has_alpha)
    assert is_one_channel or is_coloured or not source.is_grey
    assert image.mode != "CMYK"


def _check_frames(source: Source, recipe: Recipe, image: Image.Image, piece: ladder.Piece) -> None:
    is_moving = source.frames > 1 and piece.name == "image" and recipe.format in MOVES
    assert getattr(image, "n_frames", 1) == (source.frames if is_moving else 1)
    if not is_moving:
        return
    durations = []
    for number in range(source.frames):
        image.seek(number)
        image.load()
        durations.append(round(image.info["duration"]))
        wanted = seen(source.data, number)
        mean, _ = differ(seen(piece.data, number), wanted.resize(image.size, Image.Resampling.LANCZOS))
        assert mean < EDGED[0], f"frame {number} is {mean:.1f} apart"
    assert durations == DURATIONS
    assert image.info["loop"] == 2


def _check_metadata(source: Source, recipe: Recipe, image: Image.Image, piece: ladder.Piece) -> None:
    image.seek(0)
    tags = image.getexif()
    if recipe.metadata != "keep":
        assert b"SECRET" not in piece.data
        assert not {"exif", "xmp", "comment", "Comment", "XML:com.adobe.xmp"} & set(image.info) or tags
    if source.has_exif and piece.format != "gif":
        is_named = recipe.metadata in {"copyright", "keep"}
        assert (tags.get(0x013B), tags.get(0x010F)) == (
            "Ann" if is_named else None,
            "SECRET" if recipe.metadata == "keep" else None,
        )
