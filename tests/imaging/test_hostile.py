"""Every hostile file ends as outputs that open or as a named error, and leaves the pool as it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from imagemill.core.errors import ImageCode, ImageError
from imagemill.core.recipe import Recipe, Thumbnail
from imagemill.imaging.protocol import Compressed, Limits
from imagemill.pool import Pool
from imagemill.settings import ImageSettings
from tests.imaging.pictures import LIMITS, failure, opened, photo, written
from tests.places import SHARED, needs_shared

FILES = sorted((SHARED / "corpus" / "hostile").glob("*")) if SHARED.is_dir() else []
EXPECTED = {
    ".avif": ImageCode.UNSUPPORTED_FORMAT,
    ".jp2": ImageCode.UNSUPPORTED_FORMAT,
    ".psd": ImageCode.UNSUPPORTED_FORMAT,
    ".ico": ImageCode.UNSUPPORTED_FORMAT,
    ".eps": ImageCode.UNSUPPORTED_FORMAT,
    ".sgi": ImageCode.UNSUPPORTED_FORMAT,
    ".pcx": ImageCode.UNSUPPORTED_FORMAT,
    ".tga": ImageCode.UNSUPPORTED_FORMAT,
    ".fits": ImageCode.UNSUPPORTED_FORMAT,
    "LICENSE": ImageCode.NOT_AN_IMAGE,
    "decompression_bomb.gif": ImageCode.TOO_MANY_PIXELS,
    "decompression_bomb_extents.gif": ImageCode.TOO_MANY_PIXELS,
    "broken.png": ImageCode.TRUNCATED,
    "truncated_image.png": ImageCode.TRUNCATED,
    "truncated_end_chunk.png": ImageCode.TRUNCATED,
}
BROKEN = {"bmp_b_badbitcount.bmp", "bmp_b_badpalettesize.bmp", "bmp_q_rgba16-4444.bmp", "bmp_q_rgba32abf.bmp"} | {
    "apng_syntax_num_frames_zero.png",
    "hopper_unknown_pixel_mode.tif",
}
BEHIND_THEIR_END = {
    "crash-2020-10-test.tif",
    "seek_too_large.tif",
    "oom-225817ca0f8c663be7ab4b9e717b02c661e66834.tif",
} | {
    f"crash-{digest}.tif"
    for digest in (
        "1152ec2d1a1a71395b6f2ce6721c38924d025bf3",
        "63b1dffefc8c075ddc606c0a2f5fdc15ece78863",
        "f46f5b2f43c370fe65706c11449f567ecc345e74",
    )
}
"""Their directories speak of bytes that are not there."""
RECIPES = {
    "plain": Recipe(thumbnails=(Thumbnail(100, 100), Thumbnail(40, 20, "contain"))),
    "webp": Recipe(format="webp", max_width=50, metadata="keep"),
    "jpeg": Recipe(format="jpeg", progressive="yes", metadata="copyright", thumbnails=(Thumbnail(30, 60),)),
    "keep": Recipe(format="keep", max_height=40),
}


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    with Pool(ImageSettings(timeout_s=30), 2, tmp_path_factory.mktemp("spool")) as pool:
        yield pool


def _outcome(pool: Pool, file: Path, recipe: Recipe) -> Compressed | ImageError:
    try:
        return pool.compress(file.read_bytes(), recipe)
    except ImageError as error:
        return error


def _expected(file: Path, recipe: Recipe) -> ImageCode | None:
    if file.name == "decompression_bomb_extents.gif" and recipe.format == "jpeg":
        return None  # its first frame is harmless
    if file.name in BEHIND_THEIR_END:
        return ImageCode.TRUNCATED
    if file.name.startswith(("crash-", "oom-")) and file.suffix == ".tif":
        return ImageCode.DECODE_FAILED
    if file.name in BROKEN:
        return ImageCode.DECODE_FAILED
    return EXPECTED.get(file.name, EXPECTED.get(file.suffix))


@needs_shared
@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES.keys())
def test_every_file_is_done_or_has_a_named_error(pool: Pool, recipe: Recipe) -> None:
    for file in FILES:
        outcome = _outcome(pool, file, recipe)
        if isinstance(outcome, ImageError):
            assert (file.name, outcome.image_code) == (file.name, _expected(file, recipe))
            continue
        assert (file.name, _expected(file, recipe)) == (file.name, None)
        assert [made.name for made in outcome.outputs] == ["image", *(each.name for each in recipe.thumbnails)]
        for made in outcome.outputs:
            image = opened(Path(made.path).read_bytes())
            assert (file.name, image.size, (image.format or "").lower()) == (
                file.name,
                (made.width, made.height),
                made.format,
            )
    assert pool.restarts == 0
    assert len(pool.pids()) == 2


@pytest.mark.parametrize("recipe", [{}, {"format": "webp"}, {"max_width": 20}, {"accept_truncated": True}])
def test_scans_are_limited_whichever_way_it_goes(recipe: dict[str, Any]) -> None:
    data = written(photo(), "jpeg", progressive=True)
    assert data.count(b"\xff\xda") > 9
    error = failure(data, Limits(LIMITS.max_pixels, LIMITS.formats, max_scans=9), **recipe)
    assert error.image_code is ImageCode.DECODE_FAILED
    assert "image.max_scans, 9" in error.detail
    many = data.replace(b"\xff\xd9", (data[data.rindex(b"\xff\xda") : -2]) * 60 + b"\xff\xd9")
    assert failure(many, **recipe).image_code is ImageCode.DECODE_FAILED
