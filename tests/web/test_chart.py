"""Twelve bars, the highest as high as the drawing."""

from __future__ import annotations

from datetime import UTC, datetime

from imagemill.db import Saving
from imagemill.web.chart import HEIGHT, MONTHS, WIDTH, bars, month_bounds


def test_the_months_of_a_year_end_with_this_one() -> None:
    bounds = month_bounds(datetime(2026, 2, 28, 23, 59, tzinfo=UTC))
    assert len(bounds) == MONTHS + 1
    assert bounds[0] == datetime(2025, 3, 1, tzinfo=UTC)
    assert bounds[-2:] == [datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)]
    assert month_bounds(datetime(2026, 12, 1, tzinfo=UTC))[-1] == datetime(2027, 1, 1, tzinfo=UTC)


def test_bars_are_as_high_as_what_was_saved() -> None:
    savings = [Saving()] * 9 + [Saving(1, 1, 100, 0), Saving(1, 1, 50, 0), Saving(1, 1, 1000, 999)]
    drawn = bars(month_bounds(datetime(2026, 2, 1, tzinfo=UTC)), savings)
    assert [bar.height for bar in drawn[8:]] == [0, HEIGHT, HEIGHT / 2, 2.0]
    assert (drawn[-1].label, drawn[-1].title) == ("Feb", "February 2026")
    for bar in drawn:
        assert bar.y + bar.height == HEIGHT
        assert 0 < bar.x < bar.middle < WIDTH


def test_nothing_saved_draws_nothing() -> None:
    assert {bar.height for bar in bars(month_bounds(datetime(2026, 2, 1, tzinfo=UTC)), [Saving()] * 12)} == {0}
