"""Nothing is done that is not stored: what the power took, or somebody removed, is made again, equal to what it was."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing

import pytest

from imagemill.core.job import Job, Submission
from imagemill.core.recipe import Recipe, Thumbnail
from imagemill.core.states import JobState
from imagemill.pipeline import Work, losses
from tests.pipeline.seams import Mill


def stored(mill: Mill) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in mill.folders.outputs.rglob("*.*")}


def main(mill: Mill, job: Job) -> str:
    """Return the stored name of a job's first picture."""
    return next(mill.store.done_outputs(job.id))


def rows(mill: Mill) -> list[str]:
    with closing(sqlite3.connect(mill.folders.root.parent / "imagemill.db")) as database:
        return list(database.iterdump())


def test_what_the_power_took_is_made_again_and_told_again(mill: Mill, caplog: pytest.LogCaptureFixture) -> None:
    job = mill.accept(mill.sheet(*mill.urls(3)), Submission(callback_url="http://caller/end", priority=2))
    (told,) = mill.work(job)
    mill.pipeline.notify(told.delivery_id)
    before, images = stored(mill), mill.images(job)
    gone = sorted(before)[1]
    mill.storage.delete(gone)
    mill.clock.now += 3 * 86_400  # the power was off for long
    with caplog.at_level(logging.WARNING, losses.__name__):
        assert mill.pipeline.recover(at_start=True) == [Work(mill.small_id(job), 2)]
    assert caplog.messages == ["1 stored pictures are gone: 1 images are made again"]
    assert sorted(mill.states(job)) == ["done", "done", "pending"]
    assert (mill.job(job).state, mill.job(job).is_finished) == (JobState.PROCESSING, False)
    (again,) = mill.work(job)
    mill.pipeline.notify(again.delivery_id)
    assert stored(mill) == before
    assert [image.outputs for image in mill.images(job)] == [image.outputs for image in images]
    assert mill.job(job).state is JobState.COMPLETED
    first, second = (posted[2] for posted in mill.receiver.posted)
    assert first != second


def test_with_a_thumbnail_its_image_is_made_again(mill: Mill) -> None:
    asked = Submission(recipe=Recipe(thumbnails=(Thumbnail(20, 20),)))
    job = mill.accept(mill.sheet(*mill.urls(1)), asked)
    mill.work(job)
    before = stored(mill)
    (thumbnail,) = before.keys() - {main(mill, job)}
    mill.storage.delete(thumbnail)
    mill.pipeline.recover(at_start=True)
    assert mill.states(job) == ["pending"]
    assert mill.storage.has(thumbnail) is False
    mill.work(job)
    assert stored(mill) == before


def test_only_what_is_recent_is_looked_for(mill: Mill) -> None:
    old, new = mill.accept(mill.sheet("http://a/old")), mill.accept(mill.sheet("http://a/new"))
    mill.work(old)
    mill.clock.now += losses.SETTLED_S + 1
    mill.work(new)
    mill.storage.delete(main(mill, old))
    assert mill.pipeline.recover(at_start=True) == []
    mill.storage.delete(main(mill, new))
    assert mill.pipeline.recover() == []  # the power did not go in between
    assert mill.pipeline.recover(at_start=True) == [Work(mill.small_id(new), 0)]
    assert mill.states(old) == ["done"]


def test_when_nothing_is_lost_nothing_is_written(mill: Mill) -> None:
    job = mill.accept(mill.sheet(*mill.urls(3)), Submission(callback_url="http://caller/end"))
    (told,) = mill.work(job)
    mill.pipeline.notify(told.delivery_id)
    before = rows(mill)
    assert mill.pipeline.recover(at_start=True) == []
    assert rows(mill) == before


def test_a_picture_that_is_stored_again_is_recent_again(mill: Mill) -> None:
    first, second, third = (mill.accept(mill.sheet(url)) for url in ("http://a/1", "http://a/2", "http://a/1"))
    mill.work(first)
    mill.clock.now += losses.SETTLED_S + 1
    mill.work(second)
    mill.storage.delete(main(mill, first))
    mill.work(third)  # its source is known, its output is not there
    mill.storage.delete(main(mill, third))
    mill.pipeline.recover(at_start=True)
    assert [mill.states(job) for job in (first, second, third)] == [["pending"], ["done"], ["pending"]]


def test_the_same_sheet_again_makes_again_what_was_removed(mill: Mill) -> None:
    sheet = mill.sheet(*mill.urls(3))
    job = mill.accept(sheet, Submission(priority=5))
    mill.work(job)
    before, gone = stored(mill), main(mill, job)
    mill.asked.clear()
    assert mill.accept(sheet, Submission(priority=5), again=True).is_finished
    assert mill.asked == []
    mill.storage.delete(gone)
    again = mill.accept(sheet, Submission(priority=5), again=True)
    assert (again.id, again.is_finished, again.counts.pending) == (job.id, False, 1)
    assert mill.asked == [Work(mill.small_id(job), 5)]
    mill.work(job)
    assert (stored(mill), mill.job(job).is_finished) == (before, True)


def test_other_jobs_of_the_same_picture_go_on_too(mill: Mill) -> None:
    sheet = mill.sheet("http://a/1")
    other, job = mill.accept(mill.sheet("http://a/1", "http://a/2")), mill.accept(sheet)
    for each in (other, job):
        mill.work(each)
    mill.asked.clear()
    mill.storage.delete(main(mill, job))
    mill.accept(sheet, again=True)
    assert mill.asked == [Work(mill.small_id(other), 0), Work(mill.small_id(job), 0)]
    assert (mill.states(other), mill.states(job)) == (["pending", "done"], ["pending"])
