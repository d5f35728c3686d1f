"""Numbers, sizes and times as people read them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest

from imagemill.web import units


def unbroken(text: str) -> str:
    """A number and its unit stay on one line."""
    assert not re.search(r"\d (?!\d)", text)
    return text.replace("\u00a0", " ")


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (12_345, "12.3 kB"),
        (99_949, "99.9 kB"),
        (99_950, "100 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (3_400_000_000, "3.4 GB"),
        (5 * 10**15, "5.0 PB"),
        (5 * 10**18, "5000 PB"),
        (-1500, "-1.5 kB"),
    ],
)
def test_sizes(number: int, text: str) -> None:
    assert unbroken(units.size(number)) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.0001, "1 ms"),
        (0.0123, "12 ms"),
        (0.96, "1.0 s"),
        (0.42, "0.4 s"),
        (16.4, "16 s"),
        (59.6, "1 min"),
        (125, "2 min 5 s"),
        (3599.9, "1 h"),
        (11_400, "3 h 10 min"),
        (2 * 86_400, "2 days"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert unbroken(units.duration(seconds)) == text


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 %"), (4.25, "4.2 %"), (9.96, "10 %"), (63.4, "63 %"), (-3, "-3.0 %")]
)
def test_percents(number: float, text: str) -> None:
    assert unbroken(units.percent(number)) == text


def test_counts() -> None:
    assert units.count(1_234_567) == "1,234,567"


def test_times_are_in_utc_until_the_script_knows_better() -> None:
    moment = datetime(2026, 11, 24, 21, 40, tzinfo=timezone(timedelta(hours=1)))
    assert units.when(moment) == '<time datetime="2026-11-24T20:40:00Z">24 Nov 2026, 20:40 UTC</time>'
    assert units.when(moment.astimezone(UTC)) == units.when(moment)


@pytest.mark.parametrize(("words", "text"), [("", ""), ("try again", "Try again."), ("URL: mend it", "URL: mend it.")])
def test_sentences(words: str, text: str) -> None:
    assert units.sentence(words) == text
