"""Hosts in the story: waiting for one costs no attempt, and one that is given up fails what waits for it."""

from __future__ import annotations

import pytest

from imagemill.core.errors import ImageCode, ImageError
from imagemill.core.job import Submission
from imagemill.core.states import JobState
from imagemill.hosts import Hosts, Rules
from imagemill.pipeline import Notify
from tests.pipeline.seams import Mill, delays
from tests.seeds import NOON, Clock

DEAD = ImageError(ImageCode.CONNECT_FAILED, "a could not be reached: check the address")
ALONE = ImageError(ImageCode.HTTP_STATUS, "a is left alone", transient=True, retry_after_s=90.0, is_attempt=False)
CALL_ME = Submission(callback_url="http://caller/end")


@pytest.fixture
def now() -> Clock:
    return Clock(0.0)


@pytest.fixture
def hosts(mill: Mill, now: Clock) -> Hosts:
    hosts = Hosts(Rules(threads=4, probes=1, pause_s=5.0), now)
    mill.with_parts(hosts=hosts)
    return hosts


def ask(hosts: Hosts, name: str, error: ImageError | None = None) -> None:
    with hosts.slot(name):
        if error:
            raise error


def kill(hosts: Hosts, now: Clock, times: int) -> None:
    for _ in range(times):
        with pytest.raises(ImageError):
            ask(hosts, "a", DEAD)
        now.now += 6


def test_waiting_for_a_host_costs_no_attempt(mill: Mill) -> None:
    job = mill.accept(mill.sheet(*mill.urls(1)))
    mill.origin.answers["http://a/1.jpg"] = [ALONE, b"bytes" * 20]
    for _ in range(5):
        mill.origin.answers["http://a/1.jpg"].insert(0, ALONE)
    for turn in range(6):
        assert delays(mill.turn(job)) == [90.0]
        (image,) = mill.images(job)
        assert (image.state, image.attempts) == ("pending", 0)
        assert image.next_attempt_at is not None
        assert image.next_attempt_at.timestamp() == NOON + 90 * (turn + 1)
        assert image.error is not None
        assert image.error.message == "a is left alone"
        mill.clock.now += 90
    mill.work(job)
    (image,) = mill.images(job)
    assert (image.state, image.attempts, image.error) == ("done", 1, None)


def test_a_host_that_is_left_alone_is_not_claimed_and_others_are(mill: Mill, hosts: Hosts, now: Clock) -> None:
    job = mill.accept(mill.sheet("http://a/1.jpg", "http://b/1.jpg", "http://a/2.jpg"))
    kill(hosts, now, 3)
    with pytest.raises(ImageError):
        ask(hosts, "a", DEAD)
    mill.work(job)
    assert mill.origin.fetched == ["http://b/1.jpg"]
    assert delays(mill.turn(job)) == [5.0]
    assert mill.states(job) == ["pending", "done", "pending"]
    now.now += 5
    mill.work(job)
    assert mill.states(job) == ["done"] * 3


def test_a_host_that_is_given_up_fails_what_waits_in_every_job(mill: Mill, hosts: Hosts, now: Clock) -> None:
    first = mill.accept(mill.sheet(*mill.urls(40), "http://b/1.jpg"), CALL_ME)
    second = mill.accept(mill.sheet("http://a/x.jpg"), CALL_ME, owner="another")
    kill(hosts, now, 4)

    def probe(url: str) -> None:
        if "//a/" in url:
            ask(hosts, "a", DEAD)

    mill.origin.before = probe
    mill.work(first)
    assert [mill.job(job).state for job in (first, second)] == [JobState.PARTIAL, JobState.FAILED]
    assert mill.states(first) == ["failed"] * 40 + ["done"]
    why = f"a was given up, because it failed again and again, the last time so: {DEAD.detail}"
    errors = [image.error for image in (*mill.images(first), *mill.images(second)) if image.error]
    assert {(error.code, error.message) for error in errors} == {("connect_failed", why)}
    assert len([url for url in mill.origin.fetched if "//a/" in url]) <= 20  # one hand's


def test_the_callback_of_a_job_that_ends_so_is_asked_for(mill: Mill, hosts: Hosts, now: Clock) -> None:
    job = mill.accept(mill.sheet("http://a/1.jpg"), CALL_ME)
    claim, _ = mill.pipeline.claim(mill.small_id(mill.accept(mill.sheet("http://a/2.jpg"))))
    assert claim is not None
    kill(hosts, now, 5)
    mill.origin.before = lambda url: ask(hosts, "a")
    assert Notify(1) in mill.pipeline.compress(claim)
    assert mill.job(job).state is JobState.FAILED
