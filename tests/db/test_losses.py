"""What is recorded and not stored: found by its age, and undone with all that followed from it."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import peewee
import pytest

from imagemill.core import keys
from imagemill.core.job import Attempt, Output, Submission
from imagemill.core.recipe import Recipe
from imagemill.core.states import ImageState, JobState
from imagemill.db import Record, Store
from imagemill.db import losses as module
from tests.postgres_server import on_sqlite
from tests.seeds import NOON, Clock, Seeded, Seeds, done, failed

CALL_ME = Submission(callback_url="http://caller/end")
UNDONE = (
    "SELECT n FROM image WHERE state = 'pending' AND attempts = 0 AND crashes = 0 AND next_attempt_at = 0"
    " AND coalesce(lease, source_sha256, output) IS NULL AND coalesce(source_bytes, output_bytes, seconds) IS NULL"
    " ORDER BY n"
)


def name_of(record: Record) -> str:
    return keys.file_name(record.outputs[0].key, record.outputs[0].format)


def finish(store: Store, seeds: Seeds, job: Seeded, *, made_of: str = "") -> list[Record]:
    """End a job; its images are made of sources of their own, or all of one."""
    claim = seeds.claim(job)
    records = [done(claim, image.n, made_of=made_of) for image in claim.images]
    store.record_images(claim, records)
    return records


def with_thumbnail(record: Record) -> Record:
    thumbnail = Output(name="20x20", key="0" * 40, bytes=10, format="webp", width=20, height=20)
    return msgspec.structs.replace(record, outputs=[*record.outputs, thumbnail])


@pytest.mark.parametrize("page", [1, 2, 3, 4, 100])
def test_recent_is_what_came_shortly_before_the_newest(
    store: Store, seeds: Seeds, clock: Clock, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(module, "_PAGE", page)
    assert list(store.recent_outputs(60)) == []
    job, names = seeds.images(5), []
    claim = seeds.claim(job)
    for n, later_s in enumerate((0, 40, 1, 59, 1), 1):
        clock.now += later_s
        record = done(claim, n)
        store.record_images(claim, [record])
        names.append(name_of(record))
    clock.now += 1_000_000
    assert list(store.recent_outputs(60)) == [*reversed(names[2:])]
    assert list(store.recent_outputs(0)) == [names[4]]
    assert list(store.recent_outputs(1_000)) == [*reversed(names)]
    assert list(store.done_outputs(job.uid)) == names


def test_an_output_that_is_recorded_again_is_recent_again(store: Store, seeds: Seeds, clock: Clock) -> None:
    old = finish(store, seeds, seeds.images(1), made_of="old")
    clock.now += 100
    new = finish(store, seeds, seeds.images(1), made_of="new")
    assert list(store.recent_outputs(60)) == [name_of(new[0])]
    finish(store, seeds, seeds.images(1), made_of="old")
    assert list(store.recent_outputs(60)) == [name_of(old[0]), name_of(new[0])]


@on_sqlite
def test_finding_the_recent_reads_no_more_than_them(store: Store) -> None:
    plan = store._rows(
        "EXPLAIN QUERY PLAN SELECT id, key, format, created_at FROM output WHERE id < 9 ORDER BY id DESC LIMIT 5"
    )
    assert [row[3] for row in plan] == ["SEARCH output USING INTEGER PRIMARY KEY (rowid<?)"]


@on_sqlite
def test_who_has_lost_is_found_by_an_index(store: Store) -> None:
    with store._transaction():
        store._touched(module._LOST)
        plan = [row[3] for row in store._rows(f"EXPLAIN QUERY PLAN {module._LOSE}")]
        store._touched("DROP TABLE lost")
    assert "SEARCH i USING INDEX image_source (<expr>=?)" in plan
    assert not [step for step in plan if step.startswith("SCAN image")], plan


def test_only_done_images_have_outputs(store: Store, seeds: Seeds) -> None:
    job = seeds.images(3)
    claim = seeds.claim(job)
    record = done(claim, 2)
    store.record_images(claim, [failed(1), record], returned=[3])
    assert list(store.done_outputs(job.uid)) == [name_of(record)]
    assert list(store.done_outputs("nothing")) == []


def test_a_lost_output_undoes_its_image_and_its_job(store: Store, seeds: Seeds, clock: Clock) -> None:
    job = seeds.images(3)
    records = finish(store, seeds, job)
    assert store.lose_outputs([name_of(records[1])]) == 1
    read = store.job(job.uid)
    assert (read.state, read.finished_at, read.counts.done, read.bytes.output) == (JobState.PROCESSING, None, 2, 800)
    assert store._rows(UNDONE) == [(2,)]
    assert store.output(records[1].outputs[0].key) is None
    assert store.output(records[0].outputs[0].key) == records[0].outputs[0]
    assert [open_job.id for open_job in store.open_jobs()] == [job.id]
    assert finish(store, seeds, job) == [records[1]]
    assert store.job(job.uid).state is JobState.COMPLETED
    assert store.output(records[1].outputs[0].key) == records[1].outputs[0]


def test_outputs_of_one_source_and_recipe_are_lost_together(store: Store, seeds: Seeds) -> None:
    job, twin = seeds.images(2), seeds.images(1)
    other = seeds.images(1, Submission(recipe=Recipe(quality=30)))
    claim = seeds.claim(job)
    store.record_images(claim, [with_thumbnail(done(claim, 1, made_of="same")), done(claim, 2)])
    finish(store, seeds, twin, made_of="same")
    kept = finish(store, seeds, other, made_of="same")
    assert store.lose_outputs([f"{'0' * 40}.webp"]) == 2
    left = [image.state for seeded in (job, twin, other) for image in store.images(seeded.uid, None, 9, None)[0]]
    assert left == [ImageState.PENDING, ImageState.DONE, ImageState.PENDING, ImageState.DONE]
    assert store._rows("SELECT count(*) FROM output") == [(2,)]
    assert store.output(kept[0].outputs[0].key) is not None
    assert store.job(other.uid).finished_at is not None


def test_images_that_are_not_done_stay_as_they_are(store: Store, seeds: Seeds) -> None:
    job = seeds.images(3)
    claim = seeds.claim(job, 2)
    store.record_images(claim, [failed(1)])
    stray = finish(store, seeds, seeds.images(1))
    assert store.lose_outputs([name_of(stray[0]), f"{'f' * 40}.jpg"]) == 1
    states = [image.state.value for image in store.images(job.uid, None, 9, None)[0]]
    assert states == ["failed", "running", "pending"]


def test_a_callback_that_waits_is_taken_back_and_one_that_is_told_stays(
    store: Store, seeds: Seeds, clock: Clock
) -> None:
    told, waiting, untouched = (seeds.images(1, CALL_ME) for _ in range(3))
    records = [finish(store, seeds, job, made_of=f"{job.id}")[0] for job in (told, waiting, untouched)]
    for state, delivery_id in (("delivered", 1), ("pending", 2), ("pending", 3)):
        delivery = store.claim_delivery(delivery_id, 30)
        assert delivery is not None
        attempt = Attempt(at=datetime.fromtimestamp(NOON, UTC), status=200, answer="", error=None)
        store.record_attempt(delivery, attempt, state=state, next_attempt_at=NOON if state == "pending" else None)
    assert store.lose_outputs(map(name_of, records[:2])) == 2
    assert store._rows("SELECT id, state FROM delivery ORDER BY id") == [(1, "delivered"), (3, "pending")]
    assert store._rows("SELECT delivery_id FROM attempt ORDER BY delivery_id") == [(1,), (3,)]
    clock.now += 1
    for job in (told, waiting):
        finish(store, seeds, job, made_of=f"{job.id}")
    assert store._rows("SELECT job_id, state FROM delivery ORDER BY id") == [
        (told.id, "delivered"),
        (untouched.id, "pending"),
        (told.id, "pending"),
        (waiting.id, "pending"),
    ]
    assert len({uid for (uid,) in store._rows("SELECT uid FROM delivery")}) == 4


@on_sqlite
def test_losing_is_one_transaction(store: Store, seeds: Seeds) -> None:
    job = seeds.images(1)
    records = finish(store, seeds, job)
    store._touched("CREATE TRIGGER refuse BEFORE DELETE ON output BEGIN SELECT raise(ABORT, 'no'); END")
    with pytest.raises(peewee.IntegrityError, match="no"):
        store.lose_outputs([name_of(records[0])])
    assert store.job(job.uid).state is JobState.COMPLETED
    store._touched("DROP TRIGGER refuse")
    assert store.lose_outputs([name_of(records[0])]) == 1
