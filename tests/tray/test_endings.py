"""Which ends are news, and how they are told."""

from __future__ import annotations

import pytest

from imagemill.core.job import Counts, Job, Volume
from imagemill.core.states import JobState
from imagemill.tray.endings import Endings, Notice, notices
from tests.tray.views import job


def test_what_had_ended_before_is_no_news() -> None:
    endings = Endings()
    assert not endings.see([job(1, JobState.COMPLETED), job(2)])
    assert endings.awaited == {job(2).id}
    assert not endings.see([job(1, JobState.COMPLETED), job(2)])


def test_an_end_is_told_once() -> None:
    endings = Endings()
    endings.see([job(1)])
    over = job(1, JobState.PARTIAL)
    assert endings.see([over]) == [over]
    assert not endings.see([over])
    assert not endings.awaited


def test_a_job_that_came_and_went_between_two_looks_is_news() -> None:
    endings = Endings()
    endings.see([])
    quick = job(1, JobState.COMPLETED)
    assert endings.see([quick]) == [quick]
    later = job(2, JobState.COMPLETED, minute=1)
    assert endings.see([later, quick]) == [later]


def test_an_old_job_that_comes_into_sight_is_no_news() -> None:
    endings = Endings()
    endings.see([job(2, JobState.COMPLETED, minute=5)])
    assert not endings.see([job(1, JobState.COMPLETED)])


def test_a_job_that_is_tried_again_ends_again() -> None:
    endings = Endings()
    endings.see([job(1, JobState.PARTIAL)])
    endings.see([job(1)])
    assert endings.see([job(1, JobState.COMPLETED)])


def test_a_job_that_is_gone_is_awaited_no_more() -> None:
    endings = Endings()
    endings.see([job(1)])
    endings.forget(job(1).id)
    assert not endings.awaited


@pytest.mark.parametrize(
    ("ended", "title", "body"),
    [
        (
            job(1, JobState.COMPLETED, counts=Counts(done=1200), bytes=Volume(9, 3, 66.7)),
            "sheet 1 is done",
            "1,200 pictures, 67 % smaller",
        ),
        (
            job(1, JobState.PARTIAL, counts=Counts(done=1, failed=2), bytes=Volume(9, 3, 66.7)),
            "sheet 1 is done, but not all of it",
            "1 picture, 67 % smaller; 2 pictures failed: the report says why",
        ),
        (
            job(1, JobState.FAILED, counts=Counts(failed=1)),
            "sheet 1 has failed",
            "1 picture failed: the report says why",
        ),
        (job(1, JobState.COMPLETED, counts=Counts()), "sheet 1 is done", "There were no pictures in it."),
    ],
)
def test_an_end_in_words(ended: Job, title: str, body: str) -> None:
    assert notices([ended]) == [Notice(title, body, f"/jobs/{ended.id}")]


def test_who_cancelled_a_job_is_not_told() -> None:
    assert not notices([job(1, JobState.CANCELLED)])


def test_of_many_ends_only_the_number_is_told() -> None:
    (notice,) = notices([job(n, JobState.COMPLETED) for n in range(4)])
    assert (notice.title, notice.path) == ("4 jobs have ended", "/jobs")
    assert len(notices([job(n, JobState.COMPLETED) for n in range(3)])) == 3
