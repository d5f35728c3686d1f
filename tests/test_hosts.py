"""Hosts: what is decided of one, by a clock that the test moves; and turns, waits and open doors for many threads."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from imagemill.core.errors import ImageCode, ImageError
from imagemill.core.keys import host_number
from imagemill.hosts import Hosts, Rules, register
from imagemill.hosts.host import FAILURES_IN_A_ROW, FIRST_FAILURES, GIVEN_UP_S, SLOW_S, WAIT_S, Host
from tests.seeds import Clock

DEAD = ImageError(ImageCode.CONNECT_FAILED, "a could not be reached: check the address")
BAD = ImageError(ImageCode.NOT_AN_IMAGE, "a sent nothing")
A, B, C = (host_number(name) for name in "abc")


def complaint(status: int = 429, retry_after_s: float | None = None) -> ImageError:
    detail = f"a answered {status}: try again later"
    return ImageError(ImageCode.HTTP_STATUS, detail, transient=True, status=status, retry_after_s=retry_after_s)


def known(rules: Rules | None = None, *, answers: int = 1) -> Host:
    """A host that has answered at second 0."""
    host = Host("a", rules or Rules())
    for _ in range(answers):
        host.begin(0.0)
        host.learn(host.turn(0.0), 0.0, None)
        host.end(0.0, 0.01)
    return host


def fail(host: Host, times: int, now: float, error: ImageError = DEAD) -> None:
    for _ in range(times):
        host.learn(now, now, error)


class TestHands:
    def test_a_host_begins_with_a_quarter_and_has_all_once_it_answers(self) -> None:
        assert Host("a", Rules()).most_hands(0) == 4
        assert known().most_hands(0) == 16
        assert known(Rules(per_host=3)).most_hands(0) == 3
        assert Host("a", Rules(threads=1)).most_hands(0) == 1

    def test_a_slow_host_has_half(self) -> None:
        host = known()
        for _ in range(40):
            host.begin(0.0)
            host.end(0.0, 3 * SLOW_S)
        assert host.most_hands(200) == 8

    def test_a_host_that_hangs_is_slow_before_its_time_is_over(self) -> None:
        host = known()
        host.begin(10.0)
        assert host.most_hands(10 + SLOW_S) == 16
        assert host.most_hands(10.1 + SLOW_S) == 8

    def test_a_host_that_failed_last_has_a_quarter(self) -> None:
        host = known()
        fail(host, 1, 1.0)
        assert host.most_hands(1) == 4
        host.learn(2.0, 2.0, BAD)
        assert host.most_hands(2) == 16

    def test_a_paced_host_has_as_many_as_its_pace_needs(self) -> None:
        host = known(Rules(rate=2.0))
        assert host.most_hands(1) == 1
        host.mean_s = 1.9
        assert host.most_hands(1) == 4


class TestPace:
    def test_so_many_a_second(self) -> None:
        host = Host("a", Rules(rate=4.0))
        assert [host.turn(0.0) for _ in range(4)] == [0.0, 0.25, 0.5, 0.75]

    def test_a_turn_too_far_away_costs_no_attempt(self) -> None:
        host = Host("a", Rules(rate=0.5))
        host.turn(0.0)
        with pytest.raises(ImageError, match="its next turn is not sooner") as caught:
            host.turn(0.5)
        assert (caught.value.is_attempt, caught.value.retry_after_s) == (False, 1.5)
        assert host.turn(2.0) == 2.0

    @pytest.mark.parametrize(("asked", "pause_s"), [(None, 1.0), (60.0, 60.0), (9999.0, 300.0)])
    def test_a_complaint_pauses(self, asked: float | None, pause_s: float) -> None:
        host = known()
        host.learn(0.0, 5.0, complaint(503, asked))
        assert host.pause_s(5.0) == pause_s
        assert host.most_hands(5.0) == (1 if pause_s <= WAIT_S else 0)
        assert host.most_hands(5.0 + pause_s) > 0

    def test_a_complaint_halves_the_pace_once_a_volley(self) -> None:
        host = known()
        turns = [host.turn(20 + n / 20) for n in range(20)]  # twenty in a second
        for turn_at in turns[-5:]:
            host.learn(turn_at, 21.0, complaint())
        assert host.rate == pytest.approx(10.0, abs=1.5)
        slower = host.rate or 0.0
        host.learn(host.turn(22.0), 22.0, complaint())
        assert (host.rate or 0.0) <= slower / 2

    def test_good_answers_give_it_back_second_by_second(self) -> None:
        host = known()
        for n in range(20):
            host.turn(1 + n / 20)
        host.learn(2.0, 2.0, complaint())
        rates = []
        for second in range(3, 200):
            host.learn(second, second, None)
            host.learn(second, second + 0.1, None)
            rates.append(host.rate or 0.0)
        assert rates[1] == pytest.approx(1.1 * rates[0] + 0.5)
        assert host.rate is None
        assert host.most_hands(200) == 16

    def test_other_errors_of_a_server_are_the_image_s(self) -> None:
        host = known()
        host.learn(0.0, 1.0, complaint(500))
        assert (host.pause_s(1.0), host.rate, host.failures) == (0.0, None, 0)


class TestBreaker:
    def test_failures_in_a_row_trip_it(self) -> None:
        host = known()
        fail(host, FAILURES_IN_A_ROW - 1, 1.0)
        host.learn(1.0, 1.0, BAD)  # an answer of any kind
        fail(host, FAILURES_IN_A_ROW - 1, 1.0)
        assert host.pause_s(1.0) == 0
        fail(host, 1, 1.0)
        assert (host.pause_s(1.0), host.most_hands(1.0)) == (5.0, 0)
        with pytest.raises(ImageError, match="left alone for 5 s, because: a could not be reached") as caught:
            host.turn(1.0)
        assert (caught.value.image_code, caught.value.is_attempt) == (ImageCode.CONNECT_FAILED, False)

    def test_one_that_never_answered_sooner(self) -> None:
        host = Host("a", Rules())
        fail(host, FIRST_FAILURES, 1.0)
        assert host.pause_s(1.0) == 5.0

    def test_what_was_asked_before_counts_once(self) -> None:
        host = Host("a", Rules())
        fail(host, FIRST_FAILURES, 1.0)
        for _ in range(9):
            host.learn(0.9, 2.0, DEAD)
        assert (host.probes, host.failures) == (0, FIRST_FAILURES)

    def test_one_probe_is_let_through_and_may_bring_it_back(self) -> None:
        host = known()
        fail(host, FAILURES_IN_A_ROW, 1.0)
        assert host.most_hands(6.0) == 1
        host.hands = 1
        assert host.shut_s(6.0) > 0
        host.learn(host.turn(6.0), 6.1, None)
        assert host.most_hands(6.1) == 16
        assert host.given_up() is None

    def test_pauses_double_until_it_is_given_up(self) -> None:
        host = known(Rules(probes=3))
        fail(host, FAILURES_IN_A_ROW, 0.0)
        now, pauses = 0.0, []
        while not host.is_given_up:
            pauses.append(host.pause_s(now))
            assert host.given_up() is None
            now += pauses[-1]
            fail(host, 1, host.turn(now))
        assert pauses == [5.0, 10.0, 20.0]
        assert host.pause_s(now) == GIVEN_UP_S
        with pytest.raises(ImageError, match=r"a was given up, .*the last time so: a could not be reached") as caught:
            host.turn(now)
        assert (caught.value.transient, caught.value.is_attempt) == (False, True)
        assert host.most_hands(now + GIVEN_UP_S) == 1
        host.learn(host.turn(now + GIVEN_UP_S), now + GIVEN_UP_S, None)
        assert not host.is_given_up

    def test_a_host_that_only_complains_is_given_up_too(self) -> None:
        host, now = Host("a", Rules(probes=2)), 0.0
        for _ in range(20):
            now += host.pause_s(now)
            if not host.is_given_up:
                host.learn(host.turn(now), now, complaint(503, 2.0))
        assert host.is_given_up

    def test_a_volley_of_complaints_is_one_failure(self) -> None:
        host = known()
        for turn_at in [host.turn(1.0) for _ in range(16)]:
            host.learn(turn_at, 1.1, complaint())
        assert (host.failures, host.pause_s(1.1)) == (1, 1.0)


def slots(hosts: Hosts, name: str, error: ImageError | None = None) -> None:
    with hosts.visit(name), hosts.slot(name):
        if error:
            raise error


def answered(hosts: Hosts, *names: str) -> None:
    for name in names:
        slots(hosts, name)


class TestOpenings:
    def test_what_nothing_is_known_of_is_open(self) -> None:
        assert Hosts().openings() == register.Openings({}, None)

    def test_a_full_host_is_shut_until_somebody_leaves(self) -> None:
        hosts = Hosts(Rules(per_host=1))
        answered(hosts, "a")
        hosts.enter("a")
        assert hosts.openings().shut == {A: 0.5}
        assert hosts.leave("a") is None
        assert hosts.openings().shut == {}

    def test_a_dead_host_says_when(self) -> None:
        clock = Clock(0.0)
        hosts = Hosts(clock=clock)
        for _ in range(FIRST_FAILURES):
            with pytest.raises(ImageError):
                slots(hosts, "a", DEAD)
        assert hosts.openings().shut == {A: 5.0}
        clock.now += 5
        assert hosts.openings().shut == {}

    def test_slow_hosts_leave_a_quarter_to_the_quick(self) -> None:
        hosts = Hosts(Rules(threads=8))
        answered(hosts, "a", "b")
        for name in "cdefgh":
            assert hosts.openings().only is None
            hosts.enter(name)
        assert hosts.openings().only == frozenset({A, B})
        hosts.leave("c")
        assert hosts.openings().only is None

    def test_who_leaves_a_host_that_is_given_up_is_told_why(self) -> None:
        clock = Clock(0.0)
        hosts = Hosts(Rules(probes=1), clock)
        hosts.enter("a")
        for _ in range(FIRST_FAILURES + 1):
            with pytest.raises(ImageError):
                slots(hosts, "a", DEAD)
            clock.now += 5
        why = hosts.leave("a")
        assert why is not None
        assert "given up" in why.detail
        (state,) = hosts.snapshot()
        assert (state.name, state.is_given_up, state.failures, state.pause_s) == ("a", True, 5, GIVEN_UP_S - 5)

    def test_one_claim_at_a_time_chooses(self) -> None:
        hosts, seen = Hosts(Rules(per_host=1)), []
        answered(hosts, "a")

        def choose(_: int) -> None:
            with hosts.choosing() as openings:
                seen.append(A in openings.shut)
                if A not in openings.shut:
                    hosts.enter("a")

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(choose, range(8)))
        assert seen.count(False) == 1


class TestTurns:
    def test_so_many_at_a_time(self) -> None:
        hosts = Hosts(Rules(per_host=3))
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
                assert full.wait(60)
                with lock:
                    inside -= 1

        with ThreadPoolExecutor(12) as threads:
            list(threads.map(visit, range(24)))
        assert max(seen) == 3
        assert len(seen) == 24

    def test_one_full_host_does_not_hold_up_another(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(register, "_CONNECTION_S", 0.05)
        hosts = Hosts(Rules(per_host=1))
        with hosts.slot("a"):
            with hosts.slot("b"):
                pass
            with pytest.raises(ImageError, match="a is left alone") as failed, hosts.slot("a"):
                pass
        assert not failed.value.is_attempt
        with hosts.slot("a"):
            pass

    def test_a_short_pause_is_waited_for(self) -> None:
        hosts = Hosts()
        begun = time.monotonic()
        with pytest.raises(ImageError):
            slots(hosts, "a", complaint(503, 0.1))
        with hosts.slot("a"):
            assert time.monotonic() - begun >= 0.1

    def test_a_mistake_of_ours_teaches_nothing(self) -> None:
        hosts = Hosts()
        with pytest.raises(ZeroDivisionError), hosts.slot("a"):
            raise ZeroDivisionError
        assert not hosts._hosts["a"].has_answered
        assert hosts._hosts["a"].users == 0

    def test_closing_wakes_who_waits(self) -> None:
        hosts = Hosts(Rules(rate=1.01))
        with hosts.slot("a"):
            pass

        def wait() -> ImageError:
            with pytest.raises(ImageError) as failed, hosts.slot("a"):
                pass
            return failed.value

        with ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(wait)
            hosts.close()
            assert waiting.result(60).image_code is ImageCode.CANCELLED

    def test_what_is_known_of_hosts_is_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(register, "_KNOWN_HOSTS", 4)
        hosts = Hosts(Rules(per_host=1))
        with pytest.raises(ImageError):
            slots(hosts, "dead", DEAD)
        hosts.enter("a")
        for name in "bcdefg":
            slots(hosts, name)
            assert len(hosts._hosts) <= 4
        assert {"a", "dead"} <= hosts._hosts.keys() == hosts._connections.keys()
        for name in "hijk":
            with pytest.raises(ImageError):
                slots(hosts, name, DEAD)
        assert "a" in hosts._hosts
        assert len(hosts._hosts) <= 4


def shares(host: str, crew: int, **rules: float) -> list[tuple[int, float]]:
    """Return the share of a host that each of some machines has: connections, and requests a second."""
    found = []
    for rank in range(crew):
        hosts = Hosts(Rules(**rules))  # type: ignore[arg-type]
        hosts.join(rank, crew)
        mine = hosts._host(host).rules
        found.append((mine.per_host, mine.rate))
    return found


@pytest.mark.parametrize("crew", [1, 2, 3, 7, 16, 40])
@pytest.mark.parametrize("host", ["a.example", "b.example:8080", "c.example"])
def test_machines_divide_a_host_among_them_and_none_is_left_over(host: str, crew: int) -> None:
    found = shares(host, crew, per_host=16, rate=100.0)
    assert sum(connections for connections, _ in found) == 16
    assert sum(rate for _, rate in found) == pytest.approx(100.0)
    assert max(connections for connections, _ in found) - min(connections for connections, _ in found) <= 1


def test_a_host_that_is_other_machines_is_shut_until_there_are_fewer() -> None:
    hosts = Hosts(Rules(per_host=1))
    hosts.join(0, 2)
    names = [f"{n}.example" for n in range(20)]
    mine = []
    for name in names:
        hosts.enter(name)
        hosts.leave(name)
        mine += [] if hosts.openings().shut.get(hosts._host(name).number) else [name]
    assert 0 < len(mine) < 20
    hosts.join(0, 1)
    assert hosts.openings().shut == {}
