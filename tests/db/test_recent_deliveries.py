"""The newest callbacks of all jobs, for the page System."""

from __future__ import annotations

from datetime import UTC, datetime

from imagemill.core.job import Attempt, Submission
from imagemill.db import Store
from tests.seeds import Clock, Seeds, done


def told(seeds: Seeds, name: str, owner: str) -> int:
    asked = Submission(name=name, callback_url="https://shop.example/told?key=secret")
    claim = seeds.claim(seeds.job([["http://a/1.jpg"]], asked, owner=owner))
    recorded = seeds.store.record_images(claim, [done(claim, 1)])
    assert recorded is not None
    due = seeds.store.due_deliveries(0)
    return due[-1][0]


def test_the_newest_come_first_with_their_last_attempt(store: Store, seeds: Seeds, clock: Clock) -> None:
    first = told(seeds, "", "shop")
    delivery = store.claim_delivery(first, 60)
    assert delivery is not None
    at = datetime.fromtimestamp(clock.now, UTC)
    attempt = Attempt(at=at, status=None, answer="", error="it was not reached")
    store.record_attempt(delivery, attempt, state="pending", next_attempt_at=clock.now + 5)
    told(seeds, "Lamps", "studio")

    newest, older = store.recent_deliveries(10)
    assert (newest.job_name, newest.state, newest.attempts, newest.error) == ("Lamps", "pending", 0, None)
    assert (older.job_name, older.attempts, older.error) == ("shop.csv", 1, "it was not reached")
    assert older.url == "https://shop.example/told?***", "a query may be a key"
    assert [sent.job_name for sent in store.recent_deliveries(1)] == ["Lamps"]
    assert [sent.job_name for sent in store.recent_deliveries(10, "shop")] == ["shop.csv"]
    store.delete_job(newest.job_id)
    assert [sent.job_name for sent in store.recent_deliveries(10)] == ["shop.csv"]
