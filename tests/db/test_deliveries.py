"""Callbacks wait in the outbox: claimed by one, each attempt written, due ones listed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from imagemill.core.job import Attempt, Callback, Submission
from imagemill.db import Store
from imagemill.db.jobs import moment
from tests.postgres_server import on_sqlite
from tests.seeds import NOON, Clock, Seeded, Seeds, done

ASKED = Submission(callback_url="http://caller/end", callback_secret="quiet")


@pytest.fixture
def job(seeds: Seeds) -> Seeded:
    return seeds.images(1, ASKED)


@pytest.fixture
def delivery_id(store: Store, seeds: Seeds, job: Seeded) -> int:
    claim = seeds.claim(job)
    delivery = store.record_images(claim, [done(claim, 1)])
    assert delivery is not None
    return delivery


def attempt(status: int | None) -> Attempt:
    error = None if status else "no answer"
    return Attempt(at=datetime.fromtimestamp(NOON, UTC), status=status, answer="hello", error=error)


def test_a_job_without_callback_has_none(store: Store, seeds: Seeds) -> None:
    job = seeds.images(1)
    claim = seeds.claim(job)
    assert store.record_images(claim, [done(claim, 1)]) is None
    assert store.job(job.uid).callback == Callback()
    assert store.due_deliveries(60) == []


@on_sqlite
def test_the_end_is_on_the_disk_before_it_is_told(
    store: Store, delivery_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    levels: list[object] = []
    ask = store._row

    def look(*asked: Any) -> object:  # noqa: ANN401
        levels.append(ask("PRAGMA synchronous"))
        return ask(*asked)

    monkeypatch.setattr(store, "_row", look)
    assert store.claim_delivery(delivery_id, 30)
    assert levels[0] == (2,)


def test_before_the_end_it_is_pending(store: Store, job: Seeded) -> None:
    assert store.job(job.uid).callback == Callback(url="http://caller/end", state="pending")


def test_one_claims_it(store: Store, job: Seeded, delivery_id: int, clock: Clock) -> None:
    delivery = store.claim_delivery(delivery_id, 30)
    assert delivery is not None
    assert (delivery.job_uid, delivery.event, delivery.url) == (job.uid, "job.completed", "http://caller/end")
    assert (delivery.secret, delivery.attempts, delivery.created_at) == ("quiet", 0, NOON)
    assert store.claim_delivery(delivery_id, 30) is None
    clock.now += 31
    again = store.claim_delivery(delivery_id, 30)
    assert again is not None
    assert again.uid == delivery.uid
    assert store.claim_delivery(delivery_id, 30) is None
    store.release_deliveries()
    assert store.claim_delivery(delivery_id, 30) == delivery
    assert store.claim_delivery(delivery_id + 1, 30) is None


def test_attempts_are_written_with_what_follows(store: Store, job: Seeded, delivery_id: int, clock: Clock) -> None:
    first = store.claim_delivery(delivery_id, 30)
    assert first is not None
    store.record_attempt(first, attempt(None), state="pending", next_attempt_at=NOON + 5)
    waiting = Callback("http://caller/end", "pending", 1, None, moment(NOON + 5))
    assert store.job(job.uid).callback == waiting
    assert store.claim_delivery(delivery_id, 30) is None  # not due
    clock.now += 5
    second = store.claim_delivery(delivery_id, 30)
    assert second is not None
    assert second.attempts == 1
    store.record_attempt(second, attempt(200), state="delivered", next_attempt_at=None)
    assert store.job(job.uid).callback == Callback("http://caller/end", "delivered", 2, 200, None)
    assert store.claim_delivery(delivery_id, 30) is None
    rows = store._rows("SELECT n, at, status, answer, error FROM attempt ORDER BY n")
    assert rows == [(1, NOON, None, "hello", "no answer"), (2, NOON, 200, "hello", None)]


def test_a_late_attempt_changes_nothing(store: Store, job: Seeded, delivery_id: int) -> None:
    first = store.claim_delivery(delivery_id, 30)
    assert first is not None
    store.record_attempt(first, attempt(200), state="delivered", next_attempt_at=None)
    store.record_attempt(first, attempt(500), state="pending", next_attempt_at=NOON)
    assert store.job(job.uid).callback == Callback("http://caller/end", "delivered", 1, 200, None)
    assert store._rows("SELECT count(*) FROM attempt") == [(1,)]


def test_what_is_due_soon_is_listed(store: Store, seeds: Seeds, delivery_id: int, clock: Clock) -> None:
    assert store.due_deliveries(60) == [(delivery_id, 0.0)]
    first = store.claim_delivery(delivery_id, 30)
    assert first is not None
    store.record_attempt(first, attempt(503), state="pending", next_attempt_at=NOON + 50)
    assert store.due_deliveries(60) == [(delivery_id, 50.0)]
    assert store.due_deliveries(40) == []
    clock.now += 80
    assert store.due_deliveries(60) == [(delivery_id, 0.0)]
    last = store.claim_delivery(delivery_id, 30)
    assert last is not None
    store.record_attempt(last, attempt(410), state="failed", next_attempt_at=None)
    assert store.due_deliveries(10_000) == []


def test_redelivery_waits_for_whoever_is_at_it(store: Store, job: Seeded, delivery_id: int, clock: Clock) -> None:
    assert store.claim_delivery(delivery_id, 60) is not None
    assert store.redeliver(job.uid) is None
    clock.now += 61  # the lease of a lost process
    assert store.redeliver(job.uid) == delivery_id
    (told,) = store.deliveries(job.uid)
    assert (told.state, told.attempts) == ("pending", [])
