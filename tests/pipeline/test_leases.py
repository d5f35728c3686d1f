"""What is in hand stays so while its hand lives, and what is not wanted any more is dropped at the next image."""

from __future__ import annotations

import socket
import threading

import msgspec
import pytest

from imagemill.core.job import Job, Submission
from imagemill.db import Store
from imagemill.pipeline import Leases
from imagemill.pipeline import images as module
from imagemill.pipeline.leases import HEARTBEAT_S, LEASE_S
from tests.appliance_process import until
from tests.pipeline.seams import Mill
from tests.postgres_server import on_sqlite
from tests.seeds import Clock, Seeds, done

ENDS = "SELECT DISTINCT lease_until FROM image WHERE state = 'running'"


@pytest.mark.parametrize("beats", [True, False])
def test_a_long_download_keeps_its_lease_while_it_is_prolonged(mill: Mill, beats: bool) -> None:
    job = mill.accept(mill.sheet(*mill.urls(1)))

    def dawdle(url: str) -> None:
        for _ in range(10):
            mill.clock.now += LEASE_S / 2
            assert mill.parts.leases.beat() == 1 if beats else True
            mill.pipeline.recover()

    mill.origin.before = dawdle
    mill.turn(job)
    assert mill.states(job) == (["done"] if beats else ["pending"])
    assert mill.images(job)[0].attempts == (1 if beats else 0)
    assert mill.parts.leases.beat() == 0
    assert HEARTBEAT_S * 3 < LEASE_S


def test_only_leases_that_hold_are_prolonged(store: Store, seeds: Seeds, clock: Clock) -> None:
    job = seeds.images(3)
    claim = seeds.claim(job)
    store.record_images(claim, [done(claim, 1)], returned=[2])
    other = seeds.claim(job, 1, lease_s=5)
    clock.now += 10
    assert store.prolong_leases([claim], 30) == 1
    assert sorted(end for (end,) in store._rows(ENDS)) == [clock.now - 5, clock.now + 30]
    assert store.prolong_leases([claim, other], 40) == 2
    assert store.release_leases(before=clock.now + 39) == 0


@on_sqlite
def test_the_heart_beats_by_itself_also_after_the_database_was_away(
    store: Store, seeds: Seeds, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    leases = Leases(store, every_s=0.01, lease_s=70)
    claim = seeds.claim(seeds.images(2))
    leases.start()
    with leases.held(claim):
        for moved_s in (10, 20):
            clock.now += moved_s
            until(lambda: store._rows(ENDS) == [(clock.now + 70,)], 10, "the leases are prolonged")
            store._touched("ALTER TABLE image RENAME TO elsewhere")
            until(lambda: "could not be prolonged" in caplog.text, 10, "it says so")
            store._touched("ALTER TABLE elsewhere RENAME TO image")
    leases.stop()
    assert "heartbeat" not in {thread.name for thread in threading.enumerate()}


@on_sqlite
def test_downloads_of_a_cancelled_job_are_broken_off_and_no_others(store: Store, seeds: Seeds) -> None:
    kept, gone = seeds.images(2), seeds.images(2)
    leases = Leases(store, every_s=0.01)
    here, there = socket.socketpair()
    leases.start()
    with leases.held(seeds.claim(kept)) as wanted, leases.held(seeds.claim(gone)) as unwanted, here, there:
        wanted.attach(there)
        unwanted.attach(here)
        assert leases.break_off(0) == 0
        store.cancel_job(gone.uid)
        assert leases.break_off(3600) == 0
        until(lambda: unwanted.is_broken, 20, "it is broken off when it has taken a second")
        assert there.recv(1) == b""
        assert not wanted.is_broken
    leases.stop()


@pytest.mark.parametrize("verb", ["cancel", "pause", "delete"])
def test_what_is_not_wanted_any_more_is_dropped(mill: Mill, monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    monkeypatch.setattr(module, "RECORD_S", -1.0)
    mill.with_parts(msgspec.structs.replace(mill.parts.settings, threads=1))
    job = mill.accept(mill.sheet(*mill.urls(12)), Submission(callback_url="http://caller/end"))

    def say(url: str) -> None:
        if url.endswith("/3.jpg"):
            getattr(mill.pipeline.verbs, verb)(job.id)

    mill.origin.before = say
    assert not mill.work(job)
    assert len(mill.origin.fetched) == 3
    rows = mill.store._rows("SELECT state, count(*) FROM image GROUP BY state ORDER BY state")
    waiting = "cancelled" if verb == "cancel" else "pending"
    if verb == "pause":
        assert rows == [("done", 3), (waiting, 9)]
        assert mill.job(job).state == "paused"
        _goes_on(mill, job)
    elif verb == "cancel":
        assert rows == [(waiting, 10), ("done", 2)]
    else:
        assert dict(rows)["done"] == 2
    assert mill.files() == []


def _goes_on(mill: Mill, job: Job) -> None:
    mill.pipeline.verbs.resume(job.id)
    assert len(mill.work(job)) == 1
    assert mill.job(job).state == "completed"
    assert {image.attempts for image in mill.images(job)} == {1}
