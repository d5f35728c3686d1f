from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagemill.core.recipe import Recipe, Thumbnail
from imagemill.imaging import sizes

SIDES = st.integers(1, 5000)


@pytest.mark.parametrize(
    ("recipe", "sides"),
    [
        (Recipe(), (400, 300)),
        (Recipe(max_width=200), (200, 150)),
        (Recipe(max_height=30), (40, 30)),
        (Recipe(max_width=200, max_height=30), (40, 30)),
        (Recipe(max_width=4000, max_height=3000), (400, 300)),
    ],
)
def test_main(recipe: Recipe, sides: tuple[int, int]) -> None:
    assert sizes.main(400, 300, recipe) == sides


@given(SIDES, SIDES, st.integers(1, 3000), st.integers(1, 3000))
def test_a_cover_is_exact_and_inside_the_source(width: int, height: int, wide: int, high: int) -> None:
    cut = sizes.cut(width, height, Thumbnail(wide, high))
    left, top, right, bottom = cut.box
    assert (cut.width, cut.height) == (wide, high)
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    assert (right - left) / (bottom - top) == pytest.approx(wide / high)
    assert left == pytest.approx(width - right)
    assert top == pytest.approx(height - bottom)


@given(SIDES, SIDES, st.integers(1, 3000), st.integers(1, 3000))
def test_contain_fits_and_never_enlarges(width: int, height: int, wide: int, high: int) -> None:
    cut = sizes.cut(width, height, Thumbnail(wide, high, "contain"))
    assert cut.width <= max(1, min(width, wide))
    assert cut.height <= max(1, min(height, high))
    assert cut.box == sizes.whole(width, height)


@given(SIDES, SIDES, st.integers(1, 3000), st.lists(st.tuples(st.integers(1, 500), st.integers(1, 500)), max_size=3))
def test_what_is_decoded_is_enough_for_every_output(
    width: int, height: int, wide: int, thumbnails: list[tuple[int, int]]
) -> None:
    recipe = Recipe(max_width=wide, thumbnails=tuple(Thumbnail(*each) for each in thumbnails))
    enough = sizes.needed(width, height, recipe)
    assert all(1 <= got <= side for got, side in zip(enough, (width, height), strict=True))
    assert enough >= sizes.main(width, height, recipe)
    if wide >= width:
        assert enough == (width, height)
