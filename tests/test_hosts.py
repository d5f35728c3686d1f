"""Turns at hosts: how many, how often, and when none is given."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from imagemill import hosts as hosts_module
from imagemill.core.errors import ImageCode, ImageError
from imagemill.hosts import FAILURES_IN_A_ROW, Hosts

SLOWED = ImageError(ImageCode.HTTP_STATUS, "a answered 429: try again later", transient=True, retry_after_s=60.0)
DEAD = ImageError(ImageCode.CONNECT_FAILED, "a could not be reached: check the address")


def fail(hosts: Hosts, error: ImageError, name: str = "a") -> ImageError:
    with pytest.raises(ImageError) as failed, hosts.slot(name):
        raise error
    return failed.value


def test_so_many_at_a_time() -> None:
    hosts = Hosts(3, 0, 10)
    lock, full, seen = threading.Lock(), threading.Event(), []
    inside = 0

    def visit(_: int) -> None:
        nonlocal inside
        with hosts.slot("a"):
            with lock:
                inside += 1
                seen.append(inside)
                if inside == 3:
                    full.set()
            assert full.wait(10)
            with lock:
                inside -= 1

    with ThreadPoolExecutor(12) as threads:
        list(threads.map(visit, range(24)))
    assert max(seen) == 3
    assert len(seen) == 24


def test_one_full_host_does_not_hold_up_another() -> None:
    hosts = Hosts(1, 0, 0.05)
    with hosts.slot("a"):
        with hosts.slot("b"):
            pass
        with pytest.raises(ImageError, match="a is busy") as failed, hosts.slot("a"):
            pass
    assert failed.value.image_code is ImageCode.TIMEOUT
    with hosts.slot("a"):
        pass


def test_so_many_a_second() -> None:
    hosts = Hosts(10, 50, 10)
    begun = time.monotonic()
    for _ in range(6):
        with hosts.slot("a"):
            pass
    assert time.monotonic() - begun >= 0.1
    with hosts.slot("b"):
        pass


def test_a_turn_beyond_the_patience_is_not_waited_for() -> None:
    hosts = Hosts(10, 0.01, 1)
    with hosts.slot("a"):
        pass
    with pytest.raises(ImageError, match="a is busy"), hosts.slot("a"):
        pass


def test_a_host_that_asks_for_time_gets_it() -> None:
    hosts = Hosts(2, 0, 10)
    assert fail(hosts, SLOWED) is SLOWED
    again = fail(hosts, DEAD)
    assert again.image_code is ImageCode.HTTP_STATUS
    assert "left alone" in again.detail
    assert SLOWED.detail in again.detail
    assert again.transient
    assert 50 < (again.retry_after_s or 0) <= 60
    with hosts.slot("b"):
        pass


def test_a_short_pause_is_waited_for() -> None:
    hosts = Hosts(2, 0, 10)
    begun = time.monotonic()
    fail(hosts, ImageError(ImageCode.HTTP_STATUS, "a answered 503", retry_after_s=0.1))
    with hosts.slot("a"):
        assert time.monotonic() - begun >= 0.1


def test_a_host_that_keeps_failing_is_given_up_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts_module, "_SHORT_PAUSE_S", -1e9)
    monkeypatch.setattr(hosts_module, "GIVEN_UP_S", 600.0)
    hosts = Hosts(2, 0, 10)
    for _ in range(FAILURES_IN_A_ROW):
        assert fail(hosts, DEAD) is DEAD
    given_up = fail(hosts, SLOWED)
    assert given_up.image_code is ImageCode.CONNECT_FAILED
    assert "could not be reached" in given_up.detail
    assert given_up.retry_after_s == pytest.approx(hosts_module._LONGEST_PAUSE_S, abs=5)


@pytest.mark.parametrize("between", [None, ImageError(ImageCode.NOT_AN_IMAGE, "a sent nothing")])
def test_an_answer_of_any_kind_begins_the_count_anew(between: ImageError | None) -> None:
    hosts = Hosts(2, 0, 10)
    for _ in range(FAILURES_IN_A_ROW - 1):
        fail(hosts, DEAD)
    if between is not None:
        fail(hosts, between)
    else:
        with hosts.slot("a"):
            pass
    for _ in range(FAILURES_IN_A_ROW - 1):
        assert fail(hosts, DEAD) is DEAD
    with hosts.slot("a"):
        pass


def test_closing_wakes_who_waits() -> None:
    hosts = Hosts(2, 0.2, 100)
    with hosts.slot("a"):
        pass
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(fail, hosts, DEAD)
        hosts.close()
        assert waiting.result(3).image_code is ImageCode.CANCELLED


def test_what_is_known_of_hosts_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts_module, "_KNOWN_HOSTS", 2)
    hosts = Hosts(1, 0, 0.05)
    with hosts.slot("a"):
        for name in "bcd":
            with hosts.slot(name):
                pass
        assert len(hosts._hosts) <= 2
        with pytest.raises(ImageError, match="a is busy"), hosts.slot("a"):
            pass
