"""SSIM against a reference of plain Python, and what is compared with what: the same picture as a viewer sees it."""

from __future__ import annotations

import math
from typing import Any

import pytest
from PIL import Image

from imagemill.core.recipe import Recipe
from imagemill.imaging import _requant, ladder, likeness, pixels
from imagemill.imaging.ladder import Piece
from imagemill.imaging.protocol import Limits
from tests.imaging.pictures import LIMITS, UNDO, cut_out, noise, photo, quarters, written
from tests.imaging.profiles import ADOBE_RGB, GREY

WINDOW, SIGMA, C1, C2 = 11, 1.5, (0.01 * 255) ** 2, (0.03 * 255) ** 2


def reference(one: bytes, other: bytes, width: int, height: int) -> float:
    """The paper's formula, window by window."""
    line = [math.exp(-((at - WINDOW // 2) ** 2) / (2 * SIGMA**2)) for at in range(WINDOW)]
    weights = [(x, y, line[x] * line[y] / sum(line) ** 2) for x in range(WINDOW) for y in range(WINDOW)]
    found = []
    for top in range(height - WINDOW + 1):
        for left in range(width - WINDOW + 1):
            pairs = [(w, (top + y) * width + left + x) for x, y, w in weights]
            a, b = (sum(w * image[at] for w, at in pairs) for image in (one, other))
            aa, bb = (sum(w * (image[at] - mean) ** 2 for w, at in pairs) for image, mean in ((one, a), (other, b)))
            ab = sum(w * (one[at] - a) * (other[at] - b) for w, at in pairs)
            found.append((2 * a * b + C1) * (2 * ab + C2) / ((a * a + b * b + C1) * (aa + bb + C2)))
    return sum(found) / len(found)


@pytest.mark.parametrize(("width", "height"), [(24, 20), (11, 30), (37, 11), (19, 17)])
def test_it_is_what_the_paper_says(width: int, height: int) -> None:
    one = noise(width, height).convert("L")
    for other in (noise(width, height).convert("L"), one.point(lambda value: value // 40 * 40), photo(width, height)):
        pair = one.tobytes(), other.convert("L").tobytes()
        assert _requant.ssim(*pair, width, height) == pytest.approx(reference(*pair, width, height), abs=1e-4)


def test_a_seventh_of_the_rows_tell_what_all_do() -> None:
    one = Image.effect_noise((300, 301), 40).resize((600, 602), Image.Resampling.BICUBIC)
    other = one.quantize(12).convert("L")
    whole, sample = (_requant.ssim(one.tobytes(), other.tobytes(), 600, 602, step) for step in (1, 7))
    assert whole < 0.99
    assert sample == pytest.approx(whole, abs=0.003)
    assert _requant.ssim(one.tobytes(), other.tobytes(), 600, 602, 10_000) == pytest.approx(whole, abs=0.1)
    with pytest.raises(ValueError, match="step be positive"):
        _requant.ssim(b"1", b"1", 1, 1, 0)


def measured(data: bytes, limits: Limits = LIMITS, **recipe: Any) -> tuple[Piece, float | None]:  # noqa: ANN401
    asked = Recipe(**recipe)
    piece = ladder.compress(data, asked, limits).pieces[0]
    return piece, likeness.measured(data, piece, asked, limits)


def animated(form: str, **how: Any) -> bytes:  # noqa: ANN401
    frames = [photo(96, 64).transpose(Image.Transpose(turn)) for turn in range(3)]
    return written(frames[0], form, save_all=True, append_images=frames[1:], duration=40, **how)


@pytest.mark.parametrize(
    ("data", "recipe"),
    [
        (written(photo(), "jpeg", quality=95), {"quality": 90}),
        (written(photo(), "jpeg", quality=95), {"quality": 90, "format": "webp"}),
        (written(photo(400, 300), "jpeg", quality=95), {"quality": 90, "max_width": 100}),
        (written(photo(400, 300), "png"), {"quality": 90, "max_width": 100, "format": "jpeg"}),
        (written(photo(), "png"), {"quality": 90, "format": "png"}),
        (written(photo().convert("CMYK"), "jpeg", quality=95), {"quality": 90}),
        (written(photo(), "png", icc_profile=ADOBE_RGB), {"quality": 90, "format": "jpeg"}),
        (written(photo().convert("L"), "png", icc_profile=GREY), {"quality": 90, "format": "webp"}),
        (written(quarters(), "gif"), {"quality": 90, "format": "keep"}),
        (written(cut_out(), "png"), {"quality": 90, "format": "jpeg", "background": "#30c0f0"}),
        (written(cut_out(), "png"), {"quality": 90, "format": "webp"}),
        (animated("gif"), {"format": "webp", "quality": 90}),
        (animated("gif"), {"max_width": 60}),
        (animated("png", default_image=True), {"format": "webp", "quality": 90}),
        (animated("png", default_image=True), {"format": "jpeg", "quality": 90}),
        (animated("png"), {"format": "png", "quality": 90}),
    ],
)
def test_a_good_output_is_like_its_source(data: bytes, recipe: dict[str, Any]) -> None:
    _, ssim = measured(data, **recipe)
    assert ssim is not None
    assert 0.93 < ssim <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("sides", [(256, 160), (250, 157)])
def test_a_source_that_lies_is_compared_upright(orientation: int, sides: tuple[int, int]) -> None:
    image, exif = photo(*sides), Image.Exif()
    exif[0x0112] = orientation
    undo = UNDO[orientation]
    lying = written(image if undo is None else image.transpose(undo), "jpeg", quality=95, exif=exif)
    for form in ("jpeg", "webp"):
        _, ssim = measured(lying, format=form, quality=90)
        assert ssim is not None
        assert ssim > 0.97


def test_a_bad_output_has_a_low_number() -> None:
    data = written(Image.effect_noise((200, 200), 60), "jpeg", quality=95)
    found = [measured(data, quality=quality)[1] for quality in (90, 50, 10, 1)]
    assert found == sorted(found, key=lambda ssim: -(ssim or 0))
    assert found[-1] is not None
    assert found[-1] < 0.7
    stranger = Piece("image", written(photo(200, 200).rotate(90), "jpeg"), "jpeg", 200, 200)
    other = likeness.measured(data, stranger, Recipe(), LIMITS)
    assert other is not None
    assert other < 0.3


def test_what_is_not_lossy_is_one() -> None:
    piece, ssim = measured(written(photo(), "webp", lossless=True), format="png")
    assert (piece.is_source, ssim) == (False, 1.0)


def test_the_source_itself_is_known_by_its_piece() -> None:
    assert ladder.compress(animated("gif"), Recipe(), LIMITS).pieces[0].is_source
    assert not ladder.compress(written(photo(), "jpeg", quality=95), Recipe(), LIMITS).pieces[0].is_source


def test_what_cannot_be_measured_costs_no_image(monkeypatch: pytest.MonkeyPatch) -> None:
    data = written(photo(), "jpeg", quality=95)
    assert measured(data[: len(data) // 2], accept_truncated=True)[1] is None
    piece = measured(data)[0]
    assert likeness.measured(data, piece, Recipe(), Limits(10, LIMITS.formats)) is None
    with monkeypatch.context() as patch:
        patch.setattr(pixels, "decoded", _no_memory)
        assert likeness.measured(data, piece, Recipe(), LIMITS) is None
    monkeypatch.setattr(likeness, "IS_BUILT", False)
    assert likeness.measured(data, piece, Recipe(), LIMITS) is None


def _no_memory(*_: object) -> None:
    raise MemoryError
