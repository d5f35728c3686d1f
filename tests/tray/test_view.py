"""What is known, in one word and in one line."""

from __future__ import annotations

import pytest

from imagemill.core.job import Counts
from imagemill.core.states import JobState
from imagemill.tray.view import Mood, View, name_of, progress_of
from tests.tray.views import IDLE, LOST, PAUSED, STARTING, UNWELL, job, system, view


@pytest.mark.parametrize(
    ("known", "mood", "headline"),
    [
        (STARTING, Mood.STARTING, "imagemill: starting"),
        (IDLE, Mood.IDLE, "imagemill: nothing to do"),
        (view(), Mood.WORKING, "imagemill: 1 job, 70 %"),
        (view(jobs=()), Mood.WORKING, "imagemill: 1 job"),
        (view(system=system(unfinished_jobs=1200)), Mood.WORKING, "imagemill: 1,200 jobs, 70 %"),
        (view(is_leaving=True), Mood.WORKING, "imagemill: 1 job, 70 %, then quits"),
        (PAUSED, Mood.PAUSED, "imagemill: paused"),
        (view(jobs=(job(state=JobState.PAUSED),)), Mood.PAUSED, "imagemill: paused"),
        (view(jobs=(job(state=JobState.PAUSED), job(2))), Mood.WORKING, "imagemill: 1 job, 70 %"),
        (LOST, Mood.PROBLEM, "imagemill: does not answer"),
        (UNWELL, Mood.PROBLEM, "imagemill: 3 MiB free; dead"),
    ],
)
def test_a_mood_and_a_line(known: View, mood: Mood, headline: str) -> None:
    assert (known.mood, known.headline) == (mood, headline)


def test_all_jobs_together_have_one_percentage() -> None:
    large = job(2, counts=Counts(images=90, done=3, pending=87))
    assert view(jobs=(job(), large)).percent == 10
    assert view(jobs=(job(counts=Counts()),)).percent is None


@pytest.mark.parametrize(
    ("state", "eta_s", "told"),
    [
        (JobState.PROCESSING, 30.0, "70 %, less than a minute left"),
        (JobState.PROCESSING, 130.0, "70 %, 2 min left"),
        (JobState.PROCESSING, 3700.0, "70 %, 1 h 2 min left"),
        (JobState.PROCESSING, None, "70 %"),
        (JobState.PENDING, None, "waits"),
        (JobState.PAUSED, 30.0, "paused"),
    ],
)
def test_how_far_a_job_is(state: JobState, eta_s: float | None, told: str) -> None:
    assert progress_of(job(state=state, eta_s=eta_s)) == told


def test_a_name_fits_into_a_menu() -> None:
    assert name_of(job(name="a\x1b[2J\nb")) == "a [2J b"
    assert name_of(job(name=" \t")) == "job 0193b6a8"
    assert name_of(job(name="x" * 40)) == "x" * 40
    assert name_of(job(name="x" * 41)) == "x" * 39 + "…"
