"""What is told of the work: counted while it is recorded, taken as vitals, and held back by a pause of everything."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest

from imagemill.core.errors import ImageCode, ImageError
from imagemill.core.job import Submission
from imagemill.db import Store, open_database
from imagemill.hosts import Hosts
from imagemill.logs import bound
from imagemill.metrics import Counter, Histogram
from imagemill.pipeline import Notify, Outage, Work
from imagemill.storage import StorageError
from tests.pipeline.seams import Mill
from tests.pipeline.test_outage import DOWN, Elsewhere
from tests.postgres_server import on_sqlite


def counted(counter: Counter) -> dict[tuple[str, ...], float]:
    return {tuple(labels.values()): value for _, labels, value in counter.family().samples}


def times(histogram: Histogram) -> dict[str, float]:
    samples = histogram.family().samples
    return {labels["stage"]: value for suffix, labels, value in samples if suffix == "_count"}


def test_what_is_recorded_is_counted(mill: Mill) -> None:
    good, bad, later = mill.urls(3)
    mill.origin.answers[bad] = [ImageError(ImageCode.NOT_AN_IMAGE, "no image")]
    mill.origin.answers[later] = [ImageError(ImageCode.TIMEOUT, "slow", transient=True)]
    mill.work(mill.accept(mill.sheet(good, bad, later)))
    meters = mill.parts.meters
    assert counted(meters.images) == {
        ("done", ""): 1,
        ("failed", "not_an_image"): 1,
        ("postponed", "timeout"): 1,
    }
    size = len(good) * 20
    assert (counted(meters.source_bytes), counted(meters.output_bytes)) == ({(): size}, {(): size // 2})
    seen = times(meters.stages)
    assert (seen["fetch"], seen["compress"], seen["put"]) == (3, 1, 1)
    assert seen["record"] >= 1
    assert meters.pace.now().source_bytes_per_s == size


def test_what_fails_untried_with_its_host_is_counted(mill: Mill) -> None:
    mill.accept(mill.sheet(*mill.urls(3)))
    error = ImageError(ImageCode.DNS_FAILED, "no such host", transient=True)
    hosts = Hosts()
    hosts.leave = lambda name: error  # type: ignore[method-assign]
    mill.with_parts(hosts=hosts)
    claim, _ = mill.pipeline.claim(1)
    assert claim is not None
    mill.pipeline.compress(claim)
    assert counted(mill.parts.meters.images)["failed", "dns_failed"] == 2


def test_callbacks_are_counted_by_what_comes_of_them(mill: Mill) -> None:
    mill.receiver.answers = [500, 200, 410]
    for turn in range(2):
        asked = Submission(callback_url="http://caller/end")
        (notify,) = mill.work(mill.accept(mill.sheet(f"http://a/{turn}"), asked))
        steps = mill.pipeline.notify(notify.delivery_id)
        mill.clock.now += 60
        for step in steps:
            assert isinstance(step, Notify)
            mill.pipeline.notify(step.delivery_id)
    assert counted(mill.parts.meters.callbacks) == {("retried",): 1, ("delivered",): 1, ("failed",): 1}


def test_an_outage_is_counted_once(mill: Mill) -> None:
    storage = Elsewhere()
    mill.with_parts(storage=storage, outage=Outage(storage, 0.0, mill.parts.meters), meters=mill.parts.meters)
    for trouble in (DOWN, DOWN, None, StorageError("again")):
        storage.down = trouble
        mill.parts.outage.state()
    assert counted(mill.parts.meters.outages) == {(): 2}


def test_the_vitals_count_hosts_by_the_worst_of_them(mill: Mill) -> None:
    states = [
        SimpleNamespace(is_given_up=given_up, pause_s=pause_s, rate=rate)
        for given_up, pause_s, rate in [(True, 60.0, None), (False, 9.0, 2.0), (False, 0.0, 2.0), (False, 0.0, None)]
    ]
    pool = SimpleNamespace(workers=3, pids=lambda: [1, 2], restarts=4, engine={"engine": "pillow"})
    mill.with_parts(hosts=SimpleNamespace(snapshot=lambda: states), pool=pool)
    mill.accept(mill.sheet(*mill.urls(2)))
    found = mill.pipeline.vitals()
    assert (found.hosts.given_up, found.hosts.paused, found.hosts.slowed) == (1, 1, 1)
    assert (found.pool.wanted, found.pool.ready, found.pool.restarts) == (3, 2, 4)
    assert (found.unfinished_jobs, found.waiting, found.running, found.paused_at) == (1, 2, 0, None)
    assert (found.storage, found.engine) == ("local", {"engine": "pillow"})


@on_sqlite
def test_a_pause_outlives_a_restart_and_holds_recover(mill: Mill) -> None:
    job = mill.accept(mill.sheet(*mill.urls(2)))
    mill.pipeline.verbs.pause_all()
    again = Store(open_database(mill.folders.root.parent / "imagemill.db"), mill.clock)
    assert again.paused_at() is not None
    mill.with_parts(store=again)
    assert mill.pipeline.recover(at_start=True) == []
    assert mill.turn(job) == []
    mill.asked.clear()
    mill.pipeline.verbs.resume_all()
    assert [type(step) for step in mill.asked] == [Work]
    mill.work(job)
    assert mill.states(job) == ["done", "done"]
    again.close()


def test_a_job_may_be_cancelled_and_retried_in_a_pause(mill: Mill) -> None:
    job = mill.accept(mill.sheet(*mill.urls(1)))
    mill.pipeline.verbs.pause_all()
    assert mill.pipeline.verbs.cancel(job.id).state == "cancelled"
    assert mill.pipeline.verbs.retry(job.id).state == "paused"
    mill.pipeline.verbs.resume_all()
    assert mill.job(job).state == "pending"


@pytest.mark.parametrize("is_paused", [True, False])
def test_what_is_in_hand_may_end(mill: Mill, is_paused: bool) -> None:
    job = mill.accept(mill.sheet(*mill.urls(1)))
    claim, _ = mill.pipeline.claim(mill.small_id(job))
    assert claim is not None
    if is_paused:
        mill.pipeline.verbs.pause_all()
    mill.pipeline.compress(claim)
    assert mill.states(job) == ["done"]


def test_failures_are_told_with_their_ids_and_no_address(mill: Mill, caplog: pytest.LogCaptureFixture) -> None:
    url = "http://shop.example/a.jpg?key=secret"
    mill.origin.answers[url] = [ImageError(ImageCode.NOT_AN_IMAGE, f"what {url} sent is no image")]
    seen: list[tuple[str, dict[str, str | int]]] = []

    def note(record: logging.LogRecord) -> bool:
        seen.append((record.getMessage(), bound()))
        return True

    caplog.handler.addFilter(note)
    with caplog.at_level("INFO", "imagemill"):
        job = mill.accept(mill.sheet(url, *mill.urls(1)), Submission(callback_url="http://caller/end?key=secret"))
        (notify,) = mill.work(job)
        mill.receiver.answers = [500, 200]
        mill.pipeline.notify(notify.delivery_id)
        mill.clock.now += 60
        mill.pipeline.notify(notify.delivery_id)
    image = mill.images(job)[0]
    assert seen[0][0] == "job accepted: 2 rows, 2 images"
    assert ("image failed: not_an_image, attempt 1, host shop.example", {"job": job.id, "image": image.id}) in seen
    assert "job finished: partial, 1 done, 1 failed" in [text for text, _ in seen]
    called = [text.partition(",")[0] for text, _ in seen[-2:]]
    assert called == ["callback not delivered: 500", "callback delivered: 200"]
    assert {ids["job"] for _, ids in seen} == {job.id}
    assert "secret" not in caplog.text
