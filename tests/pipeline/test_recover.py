"""What was interrupted goes on: leases, ends, work."""

from __future__ import annotations

from imagemill.core.errors import ImageCode, ImageError
from imagemill.core.job import Submission
from imagemill.core.states import JobState
from imagemill.db.lanes import Due
from imagemill.pipeline import Notify, Work
from imagemill.pipeline.leases import LEASE_S
from tests.pipeline.seams import Mill


def test_the_start_gives_back_every_lease(mill: Mill) -> None:
    job = mill.accept(mill.sheet(*mill.urls(4)), Submission(priority=3))
    claim, _ = mill.pipeline.claim(mill.small_id(job))
    assert claim is not None
    assert "running" in mill.states(job)
    assert mill.pipeline.recover() == [Work(mill.small_id(job), 3)]
    assert "running" in mill.states(job)  # its lease still holds
    assert mill.pipeline.recover(at_start=True) == [Work(mill.small_id(job), 3)]
    assert mill.states(job) == ["pending"] * 4
    assert mill.pipeline.compress(claim) == [Work(mill.small_id(job), 3, tasks=1)]
    assert mill.states(job) == ["pending"] * 4  # a late result counts for nothing
    mill.work(job)
    assert {image.attempts for image in mill.images(job)} == {1}


def test_a_lost_lease_runs_out(mill: Mill) -> None:
    job = mill.accept(mill.sheet(*mill.urls(2)))
    mill.pipeline.claim(mill.small_id(job))
    mill.clock.now += LEASE_S + 1
    mill.pipeline.recover()
    assert mill.states(job) == ["pending"] * 2


def test_an_end_that_was_not_written_is_written_once(mill: Mill) -> None:
    job = mill.accept(mill.sheet(*mill.urls(2)), Submission(callback_url="http://caller/end"))
    mill.store._touched("UPDATE image SET state = 'failed', error_code = 'internal'")
    assert Notify(1) in mill.pipeline.recover(at_start=True)
    assert mill.job(job).state is JobState.FAILED
    assert mill.job(job).finished_at is not None
    assert mill.store._rows("SELECT event FROM delivery") == [("job.failed",)]


def test_finished_and_paused_jobs_are_left_alone(mill: Mill) -> None:
    ended, paused = (mill.accept(mill.sheet(*mill.urls(1))) for _ in range(2))
    mill.work(ended)
    mill.store._touched("UPDATE job SET paused_at = 1 WHERE uid = ?", (paused.id,))
    assert mill.pipeline.recover(at_start=True) == []
    assert mill.turn(paused) == []


def test_a_clock_that_is_put_back_does_not_keep_images_waiting(mill: Mill) -> None:
    job = mill.accept(mill.sheet(*mill.urls(2)))
    slow = ImageError(ImageCode.TIMEOUT, "no answer")
    mill.origin.answers = {url: [slow] for url in mill.urls(2)}
    mill.work(job)
    postponed = mill.store.due_images(mill.small_id(job), 9)
    mill.pipeline.recover()
    assert mill.store.due_images(mill.small_id(job), 9) == postponed  # a minute more or less is no reason
    mill.clock.now -= 3600
    mill.pipeline.recover()
    assert mill.store.due_images(mill.small_id(job), 9) == Due(2)


def test_a_clock_that_is_put_back_does_not_keep_callbacks_waiting(mill: Mill) -> None:
    job = mill.accept(mill.sheet(*mill.urls(1)), Submission(callback_url="http://caller/end"))
    (notify,) = mill.work(job)
    mill.clock.now -= 3600
    assert mill.pipeline.recover() == [notify]
    mill.receiver.answers = [500, 500]
    (again,) = mill.pipeline.notify(notify.delivery_id)
    mill.clock.now -= 7 * 86400
    assert mill.pipeline.recover() == [notify]
    assert mill.pipeline.notify(notify.delivery_id) != [again]
    assert len(mill.receiver.posted) == 2
