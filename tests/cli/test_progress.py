"""A job seen again and again becomes a pace, a line and a bar."""

from __future__ import annotations

import io
import sys

import pytest

from imagemill.cli.progress import (
    FIRST_LOOK_S,
    IDLE_S,
    LINE_EVERY_S,
    LOOK_EVERY_S,
    WINDOW_S,
    Bar,
    Lines,
    Meter,
    Pauses,
    Snapshot,
    display,
    duration,
    line,
    size,
)
from imagemill.core.job import Counts, Volume
from imagemill.core.states import JobState
from tests.cli.stories import job


def snapshot(settled: int, total: int = 10, trouble: str = "") -> Snapshot:
    return Snapshot(
        settled=settled,
        total=total,
        failed=1,
        images_per_s=2.0,
        left_s=4.0,
        saved_bytes=1500,
        saved_percent=61.4,
        trouble=trouble,
    )


def test_the_pace_is_this_runs_own() -> None:
    meter = Meter()
    first = meter.see(job(Counts(images=100, done=40)), 1000.0)
    assert (first.settled, first.images_per_s, first.left_s) == (40, 0.0, None)
    second = meter.see(job(Counts(images=100, done=45, failed=4, cancelled=1), volume=Volume(1000, 400, 60.0)), 1005.0)
    assert (second.settled, second.failed, second.images_per_s, second.left_s) == (50, 4, 2.0, 25.0)
    assert (second.saved_bytes, second.saved_percent) == (600, 60.0)


def test_the_pace_forgets_what_was_long_ago() -> None:
    meter = Meter()
    meter.see(job(Counts(images=1000)), 0.0)
    meter.see(job(Counts(images=1000, done=900)), 1.0)
    for second in (WINDOW_S, WINDOW_S + 1, WINDOW_S + 2):
        last = meter.see(job(Counts(images=1000, done=900)), second)
    assert last.images_per_s == 0.0
    assert last.left_s is None


def test_a_meter_knows_when_nothing_moves() -> None:
    meter = Meter()
    meter.see(job(Counts(images=9)), 100.0)
    meter.see(job(Counts(images=9, done=1)), 103.0)
    meter.see(job(Counts(images=9, done=1)), 107.0)
    assert not meter.is_idle(107.0)
    assert meter.is_idle(103.0 + IDLE_S)


def test_a_job_without_images_is_through() -> None:
    assert line(Meter().see(job(Counts(), JobState.COMPLETED), 0.0)).startswith("0/0 images (100 %)")


def test_a_line_says_all_of_it() -> None:
    assert line(snapshot(4)) == "4/10 images (40 %) · 2.0 images/s · 1.5 kB saved (61 %) · 1 failed · 0:04 left"
    assert line(snapshot(10)) == "10/10 images (100 %) · 2.0 images/s · 1.5 kB saved (61 %) · 1 failed"
    assert line(snapshot(4, trouble="disk: 3 MiB free")).endswith(" · waiting: disk: 3 MiB free")
    assert line(snapshot(1200, 3408)).startswith("1,200/3,408 images (35 %)")


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (-1500, "-1.5 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (999_999_999, "1.0 GB"),
        (12_345_678, "12.3 MB"),
        (5 * 10**15, "5000.0 TB"),
    ],
)
def test_sizes_are_for_people(count: int, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (16.4, "0:16"), (59.6, "1:00"), (3723, "1:02:03")])
def test_durations_are_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_lines_come_every_few_seconds_and_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    with Lines() as lines:
        lines.show(snapshot(1), 100.0)
        lines.show(snapshot(2), 101.0)
        lines.show(snapshot(3), 100.0 + LINE_EVERY_S)
        lines.show(snapshot(10), 100.1 + LINE_EVERY_S)
    out, err = capsys.readouterr()
    assert out == ""
    assert [text.split("/")[0] for text in err.splitlines()] == ["1", "3", "10"]


def test_the_bar_shows_count_and_note(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "150")
    with Bar() as bar:
        bar.show(snapshot(4), 0.0)
    assert "4/10 images" in terminal.getvalue()
    assert "2.0 images/s · 1.5 kB saved (61 %) · 1 failed · 0:04 left" in terminal.getvalue()


def test_a_bar_is_for_terminals_only(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert isinstance(display(), Lines)
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert isinstance(display(), Bar)


def test_looks_become_rare_and_a_near_end_is_not_overslept() -> None:
    pauses = Pauses()
    first = [pauses.next(None) for _ in range(9)]
    assert first[0] == FIRST_LOOK_S
    assert first == sorted(first)
    assert first[-1] == LOOK_EVERY_S
    assert pauses.next(60.0) == LOOK_EVERY_S
    assert pauses.next(0.05) == 0.05
    assert pauses.next(0.0) == FIRST_LOOK_S
