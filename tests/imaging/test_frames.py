from __future__ import annotations

from typing import Any

import pytest
from PIL import Image

from imagemill.core.errors import ImageCode
from tests.imaging.pictures import apart, compressed, failure, opened, photo, quarters, written


def _frames(count: int = 4) -> list[Image.Image]:
    return [photo(120, 80).rotate(number * 30) for number in range(count)]


def _film(form: str, **how: Any) -> bytes:  # noqa: ANN401 — as Pillow has it
    first, *others = _frames()
    durations = [100, 200, 300, 400]
    return written(first, form, save_all=True, append_images=others, duration=durations, **how)


def _timing(data: bytes) -> tuple[int, list[int], object]:
    image = opened(data)
    durations = []
    for number in range(getattr(image, "n_frames", 1)):
        image.seek(number)
        image.load()
        durations.append(round(image.info.get("duration", 0)))
    return len(durations), durations, image.info.get("loop")


@pytest.mark.parametrize("form", ["gif", "webp", "png"])
@pytest.mark.parametrize("wanted", ["auto", "keep"])
@pytest.mark.parametrize("recipe", [{}, {"max_width": 60}], ids=["own size", "reduced"])
def test_an_animation_goes_on_moving(form: str, wanted: str, recipe: dict[str, Any]) -> None:
    data = _film(form, loop=0)
    piece = compressed(data, format=wanted, **recipe)
    assert piece.format == form
    assert _timing(piece.data) == (4, [100, 200, 300, 400], 0)
    assert opened(piece.data).size == ((60, 40) if recipe else (120, 80))
    assert len(piece.data) <= len(data)


@pytest.mark.parametrize("form", ["gif", "png"])
def test_a_lossless_animation_in_its_own_size_is_the_source(form: str) -> None:
    data = _film(form, loop=3)
    assert compressed(data).data == data


def test_frames_look_like_the_sources() -> None:
    made = opened(compressed(_film("png"), format="webp", quality=90).data)
    for number, frame in enumerate(_frames()):
        made.seek(number)
        assert apart(made.convert("RGB"), frame) < 8


@pytest.mark.parametrize("form", ["gif", "webp", "png"])
@pytest.mark.parametrize("wanted", ["jpeg", "png"])
def test_a_still_format_shows_the_first_frame(form: str, wanted: str) -> None:
    piece = compressed(_film(form), format=wanted, quality=90)
    image = opened(piece.data)
    assert (piece.format, getattr(image, "n_frames", 1)) == (wanted, 1)
    assert apart(image, _frames()[0]) < 12


def test_thumbnails_of_an_animation_are_its_first_frame() -> None:
    from imagemill.core.recipe import Recipe, Thumbnail
    from imagemill.imaging import ladder
    from tests.imaging.pictures import LIMITS

    result = ladder.compress(_film("webp"), Recipe(thumbnails=(Thumbnail(30, 20),)), LIMITS)
    thumbnail = opened(result.pieces[1].data)
    assert (thumbnail.size, getattr(thumbnail, "n_frames", 1)) == ((30, 20), 1)


def test_a_loop_of_one_stays_one() -> None:
    assert _timing(compressed(_film("gif"), max_width=60).data)[2] is None


def test_a_picture_that_stands_in_for_an_animation_is_no_frame() -> None:
    stand_in, others = quarters(120, 80), _frames()
    data = written(stand_in, "png", save_all=True, append_images=others, default_image=True, duration=50)
    reduced = opened(compressed(data, max_width=60).data)
    assert (getattr(reduced, "n_frames", 1), bool(reduced.info.get("default_image"))) == (5, True)
    assert _timing(compressed(data, format="webp").data)[0] == 4


def test_transparency_of_a_reduced_animation_is_kept() -> None:
    frames = [Image.new("RGBA", (80, 80)) for _ in range(3)]
    for number, frame in enumerate(frames):
        frame.paste((200, 0, 0, 255), (40, number * 10, 80, 80))
    for form in ("gif", "webp", "png"):
        data = written(frames[0], form, save_all=True, append_images=frames[1:], disposal=2 if form == "gif" else 0)
        image = opened(compressed(data, max_width=40).data).convert("RGBA")
        assert (form, image.getpixel((5, 30))[3]) == (form, 0)  # type: ignore[index]


@pytest.mark.parametrize("form", ["gif", "webp", "png"])
def test_an_animation_without_its_end(form: str) -> None:
    data = _film(form)
    assert failure(data[: len(data) * 3 // 4]).image_code in {ImageCode.TRUNCATED, ImageCode.DECODE_FAILED}
