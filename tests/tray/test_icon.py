"""The icon: every mood is another picture, at every size, and a ring moves."""

from __future__ import annotations

import itertools

import pytest

from imagemill.tray.icon import argb, drawn, stepped
from imagemill.tray.view import Mood


@pytest.mark.parametrize("side", [16, 22, 64])
def test_moods_differ(side: int) -> None:
    pictures = [drawn(mood, None, side) for mood in (Mood.STARTING, Mood.IDLE, Mood.PAUSED, Mood.PROBLEM)]
    pictures.append(drawn(Mood.WORKING, 0, side))
    for one, other in itertools.combinations(pictures, 2):
        assert one.tobytes() != other.tobytes()
    assert {(picture.mode, picture.size) for picture in pictures} == {("RGBA", (side, side))}


def test_the_ring_grows() -> None:
    yellow = [sum(pixel == (255, 209, 102, 255) for pixel in pixels(percent)) for percent in (0, 25, 50, 75, 100)]
    assert yellow == sorted(set(yellow))


def pixels(percent: int) -> list[tuple[int, ...]]:
    return list(zip(*[iter(drawn(Mood.WORKING, percent, 64).tobytes())] * 4, strict=True))


def test_the_ring_moves_in_steps() -> None:
    assert [stepped(percent) for percent in (None, 0, 4, 5, 99, 100)] == [None, 0, 0, 5, 95, 100]


def test_panels_get_alpha_first() -> None:
    middle = 4 * (22 * 11 + 11)
    assert len(argb(Mood.IDLE, None, 22)) == 4 * 22 * 22
    assert argb(Mood.IDLE, None, 22)[middle] == 255
    assert argb(Mood.IDLE, None, 22)[0] == 0, "its corners are round"
