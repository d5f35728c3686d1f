"""The icon: the mill of installer/icons, with what is going on. Drawn, never read: this is no door for pictures."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from PIL import Image, ImageDraw

from imagemill.tray.menu import Face
from imagemill.tray.view import Mood

_SIDE: Final = 128
_FINE: Final = 4
"""Drawn so many times larger and then reduced, which is what makes its edges smooth."""

_GREEN: Final = "#0f5c5c"
_GREY: Final = "#5c6b6b"
_WHITE: Final = "#ffffff"
_YELLOW: Final = "#ffd166"
_RED: Final = "#d62839"
_STEP: Final = 5
"""A ring moves in steps of so many percent: a finer one is not seen, and each is a message to the panel."""

_SAIL: Final = ((60, 58), (60, 23), (57, 20), (34, 20), (30, 24), (30, 35), (32.5, 39))
"""One sail of the mill; the others are the same, turned about the middle."""


@lru_cache(maxsize=64)
def drawn(mood: Mood, percent: int | None, side: int) -> Image.Image:
    """Return the icon as RGBA, `side` pixels wide and high, with a ring where a percentage is given."""
    fine = _SIDE * _FINE
    picture = Image.new("RGBA", (fine, fine))
    draw = ImageDraw.Draw(picture)
    ground = _GREY if mood in {Mood.PAUSED, Mood.STARTING} else _GREEN
    draw.rounded_rectangle(_box(4, 4, 124, 124), 28 * _FINE, ground)
    _draw_sails(draw, ground, 1.0 if percent is None else 0.72)
    if percent is not None:
        _draw_ring(draw, percent)
    if mood is Mood.PAUSED:
        _draw_bars(draw)
    elif mood is Mood.PROBLEM:
        _draw_warning(draw)
    return picture.resize((side, side), Image.Resampling.LANCZOS)


@lru_cache(maxsize=64)
def argb(mood: Mood, percent: int | None, side: int) -> bytes:
    """Return the same as a StatusNotifierItem wants it: ARGB32, most significant byte first."""
    red, green, blue, alpha = drawn(mood, percent, side).split()
    return Image.merge("RGBA", (alpha, red, green, blue)).tobytes()


def stepped(percent: int | None) -> int | None:
    """Return the percentage that is drawn."""
    return None if percent is None else percent // _STEP * _STEP


def drawn_of(face: Face) -> tuple[Mood, int | None]:
    """Return what of a face is drawn: while that is equal, the picture is."""
    return face.mood, stepped(face.percent)


def _draw_sails(draw: ImageDraw.ImageDraw, ground: str, scale: float) -> None:
    for turn, colour in enumerate((_WHITE, _YELLOW, _WHITE, _WHITE)):
        draw.polygon([_place(*_turned(x, y, turn), scale) for x, y in _SAIL], colour)
    draw.circle(_place(64, 64), 9 * scale * _FINE, ground)
    draw.circle(_place(64, 64), 5.5 * scale * _FINE, _WHITE)


def _turned(x: float, y: float, quarters: int) -> tuple[float, float]:
    for _ in range(quarters):
        x, y = 128 - y, x
    return x, y


def _draw_ring(draw: ImageDraw.ImageDraw, percent: int) -> None:
    box = _box(12, 12, 116, 116)
    draw.arc(box, 0, 360, "#2f7d7d", 11 * _FINE)
    draw.arc(box, -90, -90 + 3.6 * percent, _YELLOW, 11 * _FINE)


def _draw_bars(draw: ImageDraw.ImageDraw) -> None:
    draw.circle(_place(92, 92), 33 * _FINE, _YELLOW)
    for left in (79, 97):
        draw.rectangle(_box(left, 75, left + 9, 109), "#3a3a3a")


def _draw_warning(draw: ImageDraw.ImageDraw) -> None:
    draw.circle(_place(92, 92), 33 * _FINE, _RED)
    draw.rectangle(_box(87, 71, 97, 96), _WHITE)
    draw.rectangle(_box(87, 102, 97, 112), _WHITE)


def _place(x: float, y: float, scale: float = 1.0) -> tuple[float, float]:
    """Return where a point of the 128 by 128 drawing is, `scale` times as far from its middle."""
    return (64 + (x - 64) * scale) * _FINE, (64 + (y - 64) * scale) * _FINE


def _box(left: float, top: float, right: float, bottom: float) -> tuple[float, float, float, float]:
    return left * _FINE, top * _FINE, right * _FINE, bottom * _FINE
