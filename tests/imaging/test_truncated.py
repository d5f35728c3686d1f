"""A source without its end: refused as such, or taken for what there is of it."""

from __future__ import annotations

from typing import Final

import pytest
from PIL import Image, ImageFile

from imagemill.core.errors import ImageCode
from imagemill.core.recipe import Recipe, Thumbnail
from imagemill.imaging import ladder
from tests.imaging.pictures import LIMITS, apart, compressed, failure, noise, opened, photo, written

SIDES: Final = (120, 96)
GREY: Final = (128, 128, 128)


def _cut(image: Image.Image, form: str, part: float = 0.6, **how: object) -> bytes:
    data = written(image, form, **how)
    return data[: int(len(data) * part)]


def _stripes(image: Image.Image) -> tuple[Image.Image, Image.Image]:
    """The first and the last quarter of the rows."""
    high = image.height // 4
    return image.crop((0, 0, image.width, high)), image.crop((0, image.height - high, *image.size))


@pytest.mark.parametrize("form", ["jpeg", "png", "tiff"])
@pytest.mark.parametrize("wanted", ["jpeg", "png", "webp"])
def test_what_there_is_is_shown_and_the_rest_is_grey(form: str, wanted: str) -> None:
    source = photo(*SIDES)
    data = _cut(source, form, quality=95)
    made = opened(compressed(data, format=wanted, quality=95, accept_truncated=True).data)
    (first, last), (expected, _) = _stripes(made), _stripes(source)
    assert apart(first, expected) < 12
    assert apart(last, Image.new("RGB", last.size, GREY)) < 6


def test_a_progressive_jpeg_is_whole_and_coarse() -> None:
    source = photo(*SIDES)
    data = _cut(source, "jpeg", quality=95, progressive=True)
    assert failure(data).image_code is ImageCode.TRUNCATED
    assert apart(opened(compressed(data, accept_truncated=True).data), source) < 25


def test_what_is_missing_of_a_transparent_picture_is_transparent() -> None:
    source = noise(*SIDES)
    source.putalpha(200)
    last = _stripes(opened(compressed(_cut(source, "png"), accept_truncated=True).data).convert("RGBA"))[1]
    assert last.getchannel("A").getextrema() == (0, 0)


@pytest.mark.parametrize("form", ["gif", "bmp"])
def test_further_formats_are_taken(form: str) -> None:
    data = _cut(noise(*SIDES), form)
    assert opened(compressed(data, accept_truncated=True).data).size == SIDES


@pytest.mark.parametrize("form", ["gif", "png"])
@pytest.mark.parametrize("wanted", ["keep", "webp"])
def test_an_animation_has_the_frames_that_are_there(form: str, wanted: str) -> None:
    frames = [photo(*SIDES).rotate(number * 30) for number in range(5)]
    data = _cut(frames[0], form, save_all=True, append_images=frames[1:], duration=100)
    assert failure(data).image_code is ImageCode.TRUNCATED
    made = compressed(data, format=wanted, accept_truncated=True)
    assert 1 < getattr(opened(made.data), "n_frames", 1) < 5
    assert made.data != data


def test_an_output_is_whole_though_its_source_is_not() -> None:
    data = _cut(photo(*SIDES), "jpeg", 0.9, quality=5)
    recipe = Recipe(quality=95, accept_truncated=True, thumbnails=(Thumbnail(30, 30),))
    for piece in ladder.compress(data, recipe, LIMITS).pieces:
        assert opened(piece.data).size == (piece.width, piece.height)


@pytest.mark.parametrize(("form", "keep"), [("webp", 20_000), ("jpeg", 100), ("png", 40)])
def test_too_little_is_truncated_all_the_same(form: str, keep: int) -> None:
    """libwebp decodes a file as a whole, and a head alone has no pixels."""
    assert failure(written(noise(400, 300), form)[:keep], accept_truncated=True).image_code is ImageCode.TRUNCATED


def test_accepting_changes_nothing_of_whole_sources_and_does_not_last() -> None:
    whole = written(photo(*SIDES), "png")
    assert compressed(whole, accept_truncated=True) == compressed(whole)
    compressed(_cut(noise(*SIDES), "png"), accept_truncated=True)
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False
    assert failure(_cut(noise(*SIDES), "png")).image_code is ImageCode.TRUNCATED
