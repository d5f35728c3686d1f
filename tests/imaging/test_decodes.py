"""One decode for all sizes of an image, no larger than they need, and thumbnails as good as by the long way."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import pytest
from PIL import Image, ImageFile, ImageOps

from imagemill.core.recipe import Recipe, Thumbnail
from imagemill.imaging import coefficients, ladder, pixels
from tests.imaging.pictures import LIMITS, apart, opened, photo, written
from tests.places import SHARED, needs_shared

SIZES: Final = (Thumbnail(100, 100), Thumbnail(60, 60, "contain"), Thumbnail(150, 90))
SHOP: Final = sorted((SHARED / "corpus" / "shop" / "images").rglob("*.jpg"))[::150] if SHARED.is_dir() else []
Decoded = list[tuple[int, int]]


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Decoded:
    """The sides of whatever is decoded, as Pillow makes room for it."""
    sides: Decoded = []

    def counting(plugin: type[ImageFile.ImageFile]) -> type[ImageFile.ImageFile]:
        def prepare(self: ImageFile.ImageFile) -> None:
            sides.append(self.size)
            plugin.load_prepare(self)

        return type(plugin.__name__, (plugin,), {"load_prepare": prepare})

    for form, plugin in pixels.PLUGINS.items():
        monkeypatch.setitem(pixels.PLUGINS, form, counting(plugin))
    return sides


def _made(source: Image.Image, form: str, how: dict[str, Any], **recipe: Any) -> list[ladder.Piece]:  # noqa: ANN401
    result = ladder.compress(written(source, form, **how), Recipe(thumbnails=SIZES, **recipe), LIMITS)
    assert len(result.pieces) == 1 + len(SIZES)
    return result.pieces


@pytest.mark.parametrize("form", ["jpeg", "png", "webp", "gif", "bmp", "tiff"])
@pytest.mark.parametrize("recipe", [{"max_width": 300}, {"format": "png"}, {"format": "webp"}])
def test_all_sizes_come_from_one_decode(form: str, recipe: dict[str, Any], decoded: Decoded) -> None:
    _made(photo(800, 600), form, {}, **recipe)
    assert len(decoded) == 1


@pytest.mark.skipif(not coefficients.IS_BUILT, reason="the native module is not built")
def test_beside_coefficients_the_decode_is_as_small_as_the_thumbnails(decoded: Decoded) -> None:
    _made(photo(1600, 1200), "jpeg", {"quality": 92})
    assert decoded == [(400, 300)]


@pytest.mark.parametrize(("max_width", "sides"), [(1200, (1600, 1200)), (400, (800, 600)), (150, (400, 300))])
def test_a_jpeg_is_decoded_no_larger_than_twice_what_is_wanted(
    max_width: int, sides: tuple[int, int], decoded: Decoded
) -> None:
    _made(photo(1600, 1200), "jpeg", {"quality": 92}, max_width=max_width)
    assert decoded == [sides]


@pytest.mark.parametrize("form", ["gif", "webp", "png"])
def test_each_frame_of_an_animation_is_decoded_once(form: str, decoded: Decoded) -> None:
    frames = [photo(200, 160).rotate(number * 40) for number in range(3)]
    _made(frames[0], form, {"save_all": True, "append_images": frames[1:]}, max_width=100)
    assert len(decoded) == len(frames)


def _rings(width: int, height: int) -> Image.Image:
    """Rings that get finer outwards: a resize that skips pixels shows rings that are not there."""
    values = bytes(
        round(127.5 + 127.5 * math.cos((x * x + y * y) * math.pi / (3 * width)))
        for y in range(height)
        for x in range(width)
    )
    return Image.frombytes("L", (width, height), values).convert("RGB")


def _by_the_long_way(image: Image.Image, size: Thumbnail, piece: ladder.Piece) -> Image.Image:
    if size.fit == "cover":
        return ImageOps.fit(image, (size.width, size.height), Image.Resampling.LANCZOS)
    return image.resize((piece.width, piece.height), Image.Resampling.LANCZOS)


def _check_thumbnails(data: bytes, most: float) -> None:
    whole = opened(data).convert("RGB")
    recipe = Recipe(format="png", quality=100, max_width=400, thumbnails=SIZES)
    for size, piece in zip(SIZES, ladder.compress(data, recipe, LIMITS).pieces[1:], strict=True):
        assert apart(opened(piece.data), _by_the_long_way(whole, size, piece)) < most


@pytest.mark.parametrize(("picture", "most"), [(_rings, 2.5), (photo, 1.0)])
@pytest.mark.parametrize("form", ["jpeg", "png", "webp"])
def test_thumbnails_are_as_good_as_by_the_long_way(
    picture: Callable[[int, int], Image.Image], most: float, form: str
) -> None:
    """Skipping pixels instead of weighing them is 77 of 255 apart on the rings."""
    _check_thumbnails(written(picture(820, 610), form, quality=95), most)


@needs_shared
@pytest.mark.parametrize("file", SHOP, ids=lambda file: str(file.stem))
def test_thumbnails_of_a_shops_pictures_too(file: Any) -> None:  # noqa: ANN401 — a Path, to parametrize
    _check_thumbnails(file.read_bytes(), 1.0)
