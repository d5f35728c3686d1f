"""Leases, fencing and ends: what is claimed once is recorded once, and a job ends once."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from imagemill.core.errors import ImageCode
from imagemill.core.job import Image, Output, Submission
from imagemill.core.recipe import Recipe, Thumbnail
from imagemill.core.states import ImageState, JobState
from imagemill.db import MAIN, Claim, Record, Store, StoreError
from imagemill.db.lanes import Due
from tests.postgres_server import on_sqlite
from tests.seeds import NOON, Clock, Seeded, Seeds, done, failed

CALL_ME = Submission(callback_url="http://caller/end", callback_secret="quiet")


def image(store: Store, job: Seeded, n: int = 1) -> Image:
    return store.images(job.uid, None, 500, None)[0][n - 1]


def states(store: Store, job: Seeded) -> list[str]:
    return [image.state.value for image in store.images(job.uid, None, 500, None)[0]]


def together(*calls: Callable[[], object]) -> list[object]:
    """Return what the calls return when they begin at the same moment, each in a thread of its own."""
    gate = threading.Barrier(len(calls))

    def begin(call: Callable[[], object]) -> object:
        gate.wait(60)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(begin, calls))


def test_a_claim_has_what_the_work_needs(store: Store, seeds: Seeds) -> None:
    job = seeds.images(3, CALL_ME)
    claim = seeds.claim(job, 2)
    assert (claim.job_id, claim.job_uid, claim.submission) == (job.id, job.uid, CALL_ME)
    assert [(i.n, i.url, i.attempts, i.crashes) for i in claim.images] == [
        (1, "http://a/1.jpg", 0, 0),
        (2, "http://a/2.jpg", 0, 0),
    ]
    assert states(store, job) == ["running", "running", "pending"]


@pytest.mark.parametrize(
    ("images", "most", "shares", "expected"),
    [(1, 16, 32, 1), (5, 16, 32, 1), (64, 16, 32, 2), (100, 16, 2, 16), (3, 16, 1, 3)],
)
def test_a_claim_is_a_share(seeds: Seeds, images: int, most: int, shares: int, expected: int) -> None:
    assert len(seeds.claim(seeds.images(images), most, shares=shares).images) == expected


@pytest.mark.parametrize("fact", ["paused_at", "finished_at"])
def test_a_paused_or_ended_job_gives_nothing(store: Store, seeds: Seeds, fact: str) -> None:
    job = seeds.images(1)
    store._touched(f"UPDATE job SET {fact} = ? WHERE id = ?", (NOON, job.id))
    assert store.claim_images(job.id, most=1, shares=1, token="t", lease_s=1) is None
    assert store.due_images(job.id, 5) == Due(0)  # or its task would ask for itself for ever
    assert store.claim_images(job.id + 1, most=1, shares=1, token="t", lease_s=1) is None


def test_threads_that_claim_at_once_never_get_the_same_image(store: Store, seeds: Seeds) -> None:
    job = seeds.images(60)

    def take(name: str) -> list[int]:
        mine: list[int] = []
        while claim := store.claim_images(job.id, most=2, shares=1, token=name, lease_s=60):
            mine += [image.n for image in claim.images]
        return mine

    taken = together(*(lambda name=name: take(name) for name in "abcd"))
    assert Counter(n for part in taken for n in part) == Counter(range(1, 61))  # type: ignore[attr-defined]


def test_done_is_written_whole(store: Store, seeds: Seeds) -> None:
    job = seeds.images(1)
    claim = seeds.claim(job)
    record = done(claim, 1)
    assert store.record_images(claim, [record]) is None
    made = image(store, job)
    assert (made.state, made.attempts, made.error, made.seconds) == (ImageState.DONE, 1, None, 0.25)
    assert (made.source, made.outputs, made.saved_percent) == (record.source, record.outputs, 60.0)
    read = store.job(job.uid)
    assert (read.state, read.finished_at is not None, read.eta_s) == (JobState.COMPLETED, True, None)


def test_failed_keeps_its_reason(store: Store, seeds: Seeds) -> None:
    job = seeds.images(1)
    store.record_images(seeds.claim(job), [failed(1)])
    made = image(store, job)
    assert made.error is not None
    assert (made.state, made.attempts, made.error.code, made.error.message) == (
        ImageState.FAILED,
        1,
        "not_an_image",
        "what to do",
    )
    assert store.job(job.uid).state is JobState.FAILED


def test_postponed_waits_for_its_time(store: Store, seeds: Seeds, clock: Clock) -> None:
    job = seeds.images(1)
    store.record_images(seeds.claim(job), [failed(1, ImageCode.DECODE_CRASHED, next_attempt_at=NOON + 30)])
    waiting = image(store, job)
    assert waiting.error is not None
    assert waiting.next_attempt_at is not None
    assert (waiting.state, waiting.attempts, waiting.error.code) == (ImageState.PENDING, 1, "decode_crashed")
    assert waiting.next_attempt_at.timestamp() == NOON + 30
    assert store.due_images(job.id, 5) == Due(0, NOON + 30)
    assert store.claim_images(job.id, most=1, shares=1, token="t", lease_s=1) is None
    clock.now += 30
    assert store.due_images(job.id, 5) == Due(1)
    again = seeds.claim(job)
    assert [(i.attempts, i.crashes) for i in again.images] == [(1, 1)]
    store.record_images(again, [done(again, 1)])
    assert (image(store, job).attempts, image(store, job).error) == (2, None)


def test_due_images_are_counted_up_to_a_limit(store: Store, seeds: Seeds) -> None:
    job = seeds.images(9)
    assert store.due_images(job.id, 4) == Due(4)
    assert store.due_images(job.id, 40) == Due(9)
    seeds.claim(job)
    assert store.due_images(job.id, 4) == Due(0)


def test_given_back_is_not_counted(store: Store, seeds: Seeds) -> None:
    job = seeds.images(3)
    claim = seeds.claim(job)
    store.record_images(claim, [done(claim, 1)], returned=[2, 3])
    assert states(store, job) == ["done", "pending", "pending"]
    assert [i.attempts for i in seeds.claim(job).images] == [0, 0]


def test_a_lost_lease_records_nothing(store: Store, seeds: Seeds, clock: Clock) -> None:
    job = seeds.images(4, CALL_ME)
    stale = seeds.claim(job, lease_s=10)
    clock.now += 11
    assert store.release_leases(before=clock.now) == 4
    fresh = seeds.claim(job, 2)
    late = [done(stale, 1, made_of="late"), failed(2), failed(3, next_attempt_at=NOON + 99), done(stale, 4)]
    assert store.record_images(stale, late, returned=[1, 2, 3, 4]) is None
    assert states(store, job) == ["running", "running", "pending", "pending"]
    assert [image(store, job, n).attempts for n in range(1, 5)] == [0, 0, 0, 0]
    assert [store.output(late[n].outputs[0].key) for n in (0, 3)] == [None, None]
    store.record_images(fresh, [done(fresh, 1), done(fresh, 2)])
    assert states(store, job) == ["done", "done", "pending", "pending"]
    store.record_images(fresh, [failed(1)], returned=[2])  # the same hand twice: ended images stay as they are
    assert states(store, job)[:2] == ["done", "done"]


def test_leases_end_by_time_and_all_at_the_start(store: Store, seeds: Seeds, clock: Clock) -> None:
    job = seeds.images(2)
    seeds.claim(job, 1, lease_s=10)
    seeds.claim(job, 1, lease_s=30)
    assert store.release_leases(before=clock.now + 20) == 1
    assert states(store, job) == ["pending", "running"]
    assert store.release_leases() == 1
    assert states(store, job) == ["pending", "pending"]
    assert [i.attempts for i in seeds.claim(job).images] == [0, 0]


def test_a_job_ends_once_under_two_recorders(store: Store, seeds: Seeds) -> None:
    for _ in range(8):
        job = seeds.images(2, CALL_ME)
        claims = [seeds.claim(job, 1), seeds.claim(job, 1)]

        def end(claim: Claim) -> int | None:
            return store.record_images(claim, [done(claim, claim.images[0].n)])

        ended = together(*(lambda claim=claim: end(claim) for claim in claims))
        assert [delivery is None for delivery in ended].count(False) == 1
        assert store.record_images(claims[0], []) is None
        assert store._rows("SELECT count(*) FROM delivery WHERE job_id = ?", (job.id,)) == [(1,)]
        assert store.job(job.uid).callback.state == "pending"
    assert store.finish_idle_jobs() == []


@pytest.mark.parametrize(
    ("records", "event"),
    [("dd", "job.completed"), ("df", "job.partial"), ("ff", "job.failed")],
)
def test_the_event_says_how_it_ended(store: Store, seeds: Seeds, records: str, event: str) -> None:
    job = seeds.images(2, CALL_ME)
    claim = seeds.claim(job)
    ended = store.record_images(
        claim, [done(claim, n) if kind == "d" else failed(n) for n, kind in enumerate(records, 1)]
    )
    assert store._rows("SELECT id, event, url FROM delivery") == [(ended, event, "http://caller/end")]


def test_an_end_that_was_not_written_is_found(store: Store, seeds: Seeds) -> None:
    job = seeds.images(1, CALL_ME)
    store._touched("UPDATE image SET state = 'done'")
    (delivery,) = store.finish_idle_jobs()
    assert store.finish_idle_jobs() == []
    assert store.job(job.uid).finished_at is not None
    assert store._rows("SELECT id, event FROM delivery") == [(delivery, "job.completed")]


def test_equal_bytes_and_recipe_are_known(store: Store, seeds: Seeds) -> None:
    first, second = seeds.images(2), seeds.images(1)
    claim = seeds.claim(first)
    records = [done(claim, 1, made_of="same"), done(claim, 2, made_of="same")]
    store.record_images(claim, records)
    assert records[0].source is not None
    sha256 = records[0].source.sha256
    known = {sha256: (records[0].source, records[0].outputs, None)}
    assert store.known_outputs([sha256, "another"], claim.fingerprint) == known
    assert store.known_outputs([sha256], "another") == {}
    assert store.known_outputs(["another"], claim.fingerprint) == {}
    again = seeds.claim(second)
    store.record_images(again, [done(again, 1, made_of="same")])
    assert store._rows("SELECT count(*) FROM output") == [(1,)]
    assert image(store, second).outputs == records[0].outputs
    assert store.output(records[0].outputs[0].key) == records[0].outputs[0]
    assert store.output("nothing") is None


def test_done_without_an_output_is_a_mistake_that_writes_nothing(store: Store, seeds: Seeds) -> None:
    job = seeds.images(2)
    claim = seeds.claim(job)
    with pytest.raises(ValueError, match="image 2"):
        store.record_images(claim, [done(claim, 1), Record(n=2, seconds=0.1)])
    assert states(store, job) == ["running", "running"]
    assert store._rows("SELECT count(*) FROM output") == [(0,)]


@on_sqlite
def test_a_full_disk_is_a_store_error(store: Store, seeds: Seeds) -> None:
    job = seeds.images(1)
    claim = seeds.claim(job)
    pages = store._rows("PRAGMA page_count")[0][0]
    store._rows(f"PRAGMA max_page_count = {pages}")
    thumbnails = [Output(f"thumb-{n}x1", f"{n:040x}", 10, "jpeg", n, 1) for n in range(900)]
    made = done(claim, 1)
    many = [Record(n=1, seconds=0.1, source=made.source, outputs=[*made.outputs, *thumbnails])]
    with pytest.raises(StoreError) as caught:
        store.record_images(claim, many)
    assert "full" in caught.value.cause
    assert "full" not in caught.value.detail
    assert states(store, job) == ["running"]
    store._rows(f"PRAGMA max_page_count = {pages + 1000}")
    store.record_images(claim, many)
    assert states(store, job) == ["done"]


@on_sqlite
def test_no_library_s_error_leaves(store: Store) -> None:
    with pytest.raises(StoreError), store._transaction():
        store._many("INSERT INTO nowhere VALUES (?)", [(1,)])
    with pytest.raises(StoreError):
        store._rows("SELECT * FROM nowhere")
    store.ping()


def test_many_threads_share_one_store(store: Store, seeds: Seeds) -> None:
    jobs = [seeds.images(20) for _ in range(3)]

    def work() -> int:
        recorded = 0
        for job in jobs:
            while claim := store.claim_images(
                job.id, most=3, shares=1, token=threading.current_thread().name, lease_s=9
            ):
                store.record_images(claim, [done(claim, i.n) for i in claim.images])
                recorded += len(claim.images)
        store.close()
        return recorded

    assert sum(together(work, work, work)) == 60  # type: ignore[arg-type]
    assert {store.job(job.uid).state for job in jobs} == {JobState.COMPLETED}
    assert MAIN == "image"


def test_what_is_known_brings_its_likeness(store: Store, seeds: Seeds) -> None:
    asked = Submission(recipe=Recipe(thumbnails=(Thumbnail(9, 9),)))
    claim = seeds.claim(seeds.images(1, asked))
    record = done(claim, 1)
    small = msgspec.structs.replace(record.outputs[0], name="thumb-9x9", key="b" * 40)
    record = msgspec.structs.replace(record, outputs=[*record.outputs, small], ssim=0.875)
    store.record_images(claim, [record])
    assert record.source is not None
    sha256 = record.source.sha256
    assert store.known_outputs([sha256], claim.fingerprint)[sha256] == (record.source, record.outputs, 0.875)
    assert store._rows("SELECT name, ssim FROM output ORDER BY name") == [("image", 0.875), ("thumb-9x9", None)]
