"""Claims by host: who is passed over, who has his turn, and what becomes of a host that is given up."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from imagemill.core.errors import ImageCode
from imagemill.core.job import ErrorInfo, Submission
from imagemill.core.keys import host_number
from imagemill.core.states import JobState
from imagemill.db import Claim, Doors, Record, Store
from imagemill.db.lanes import Due
from tests.seeds import NOON, Clock, Seeded, Seeds, done, failed

A, B, C = (host_number(name) for name in "abc")
GIVEN_UP = ErrorInfo(code=ImageCode.TIMEOUT, message="a was given up")


def hosts(claim: Claim | None) -> set[str]:
    return {image.url.split("/")[2] for image in claim.images} if claim else set()


@pytest.fixture
def job(seeds: Seeds) -> Seeded:
    return seeds.job([[f"http://{host}/{n}.jpg" for host in "abc"] for n in range(4)])


def claim(store: Store, job: Seeded, doors: Doors, most: int = 2) -> Claim | None:
    return store.claim_images(job.id, most=most, shares=1, token="t", lease_s=60, doors=doors)


def test_a_claim_is_of_one_host(store: Store, job: Seeded) -> None:
    seen = [hosts(claim(store, job, Doors(), most=100)) for _ in range(4)]
    assert sorted(map(len, seen)) == [0, 1, 1, 1]
    assert set().union(*seen) == {"a", "b", "c"}


def test_shut_hosts_are_passed_over(store: Store, job: Seeded) -> None:
    assert hosts(claim(store, job, Doors({A: 5.0, C: 9.0}), most=100)) == {"b"}
    assert claim(store, job, Doors({A: 5.0, C: 9.0})) is None
    assert hosts(claim(store, job, Doors({C: 9.0}), most=100)) == {"a"}


def test_only_some_may_be_open(store: Store, job: Seeded) -> None:
    assert claim(store, job, Doors(only=())) is None
    assert hosts(claim(store, job, Doors(only=(B,)), most=100)) == {"b"}
    assert claim(store, job, Doors(only=(B,))) is None


@pytest.mark.parametrize("start", [0, A, B, C, max(A, B, C) + 1])
def test_the_first_host_is_the_next_from_the_start_on(store: Store, job: Seeded, start: int) -> None:
    expected = min((n for n in (A, B, C) if n >= start), default=min(A, B, C))
    taken = claim(store, job, Doors(start=start))
    assert {host_number(host) for host in hosts(taken)} == {expected}


def test_what_is_due_says_when(store: Store, seeds: Seeds, clock: Clock, job: Seeded) -> None:
    assert store.due_images(job.id, 100) == Due(12)
    assert store.due_images(job.id, 100, Doors({A: 5.0})) == Due(8)
    assert store.due_images(job.id, 100, Doors({A: 5.0, B: 7.0, C: 3.0})) == Due(0, NOON + 3)
    assert store.due_images(job.id, 100, Doors({A: 5.0, B: 7.0, C: 3.0}, start=1 << 48)) == Due(0, NOON + 3)
    for _ in range(3):
        taken = seeds.claim(job)
        later = NOON + (30 if hosts(taken) == {"a"} else 60)
        store.record_images(taken, [failed(image.n, next_attempt_at=later) for image in taken.images])
    assert store.due_images(job.id, 100) == Due(0, NOON + 30)
    assert store.due_images(job.id, 100, Doors({A: 45.0})) == Due(0, NOON + 45)
    clock.now += 30
    assert store.due_images(job.id, 100) == Due(4)


def test_put_off_is_not_an_attempt(store: Store, seeds: Seeds) -> None:
    job = seeds.images(1)
    taken = seeds.claim(job)
    error = ErrorInfo(code=ImageCode.TIMEOUT, message="a is left alone")
    store.record_images(taken, [Record(n=1, seconds=0.0, error=error, next_attempt_at=NOON + 9, is_attempt=False)])
    (image,) = store.images(job.uid, None, 5, None)[0]
    assert (image.state, image.attempts, image.error) == ("pending", 0, error)
    assert store.due_images(job.id, 5) == Due(0, NOON + 9)


def test_a_host_is_given_up_in_one_stroke(store: Store, seeds: Seeds, job: Seeded) -> None:
    taken = claim(store, job, Doors(only=(A,)), most=1)
    assert taken is not None
    assert store.give_up_host(job.id, A, GIVEN_UP)[1] is None
    images = store.images(job.uid, None, 50, None)[0]
    assert Counter(image.state for image in images) == {"pending": 8, "failed": 3, "running": 1}
    lost = [image for image in images if image.state == "failed"]
    assert {(image.error, image.attempts) for image in lost} == {(GIVEN_UP, 0)}
    store.record_images(taken, [done(taken, taken.images[0].n)])
    assert store.job(job.uid).state is JobState.PROCESSING


def test_giving_up_the_last_host_ends_the_job_and_tells(store: Store, seeds: Seeds) -> None:
    job = seeds.images(7_000, Submission(callback_url="http://caller/end", callback_secret="quiet"))
    taken = seeds.claim(job, 1)
    assert store.give_up_host(job.id, A, GIVEN_UP)[1] is None
    ended = store.record_images(taken, [failed(1)])
    assert ended is not None
    other = seeds.images(3, Submission(callback_url="http://caller/end", callback_secret="quiet"))
    assert store.give_up_host(other.id, A, GIVEN_UP)[1] == ended + 1
    assert store.give_up_host(other.id, A, GIVEN_UP) == (0, None)
    assert store.job(other.uid).state is JobState.FAILED


def test_images_accepted_before_hosts_were_known_are_claimed_too(store: Store, seeds: Seeds, job: Seeded) -> None:
    store._touched("UPDATE image SET host = 0")
    taken = claim(store, job, Doors({A: 5.0}), most=100)
    assert hosts(taken) == {"a", "b", "c"}


def test_many_images_of_a_shut_host_cost_one_step(store: Store, seeds: Seeds) -> None:
    job = seeds.job([[f"http://a/{n}.jpg"] for n in range(50_000)] + [["http://b/1.jpg"]])
    for start in (0, A, B):
        began = time.thread_time()
        assert store.due_images(job.id, 16, Doors({A: 5.0}, start=start)) == Due(1)
        assert time.thread_time() - began < 0.5
    assert hosts(claim(store, job, Doors({A: 5.0}))) == {"b"}
