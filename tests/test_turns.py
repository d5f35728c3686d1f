"""Shares of the threads' time, told by hands that take as long as the test says: no thread, no clock."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest

from imagemill.turns import Turns


class Hall:
    """So many threads; jobs never run out of images. Time passes hand by hand."""

    def __init__(self, threads: int = 16, window: int = 16) -> None:
        self.turns = Turns(window)
        self.threads = threads
        self.now = 0.0
        self.owners: dict[int, tuple[str, int]] = {}
        self.at_work: list[tuple[float, float, int]] = []
        self.hands_s: defaultdict[int, float] = defaultdict(float)
        self.taken: list[int] = []
        self.slow: dict[int, float] = {}

    def job(self, job_id: int, owner: str = "shop", priority: int = 0, hand_s: float = 0.4) -> None:
        self.owners[job_id] = (owner, priority)
        self.slow[job_id] = hand_s
        self._ask(job_id)

    def run(self, seconds: float) -> None:
        """Let time pass, from the end of one hand to the next."""
        end = self.now + seconds
        while self.now < end:
            while len(self.at_work) < self.threads and (job_id := self.turns.take()) is not None:
                self.turns.know(job_id, *self.owners[job_id])
                self.at_work.append((self.now + self.slow[job_id], self.now, job_id))
                self.taken.append(job_id)
                self._ask(job_id)
            ends_at, started, job_id = min(self.at_work)
            self.at_work.remove((ends_at, started, job_id))
            self.now = ends_at
            self.hands_s[job_id] += ends_at - started
            self.turns.end(job_id, ends_at - started)
            self._ask(job_id)

    def _ask(self, job_id: int) -> None:
        while self.turns.want(job_id):
            pass

    def share(self, *jobs: int) -> float:
        return sum(self.hands_s[job] for job in jobs) / sum(self.hands_s.values())


def test_equal_jobs_have_equal_shares() -> None:
    hall = Hall()
    hall.job(1)
    hall.job(2)
    hall.run(20)
    assert hall.share(1) == pytest.approx(0.5, abs=0.05)


def test_time_is_shared_and_not_turns() -> None:
    hall = Hall()
    hall.job(1, hand_s=2.0)
    hall.job(2, hand_s=0.1)
    hall.run(60)
    assert hall.share(1) == pytest.approx(0.5, abs=0.06)


def test_who_comes_late_has_half_at_once_and_no_more() -> None:
    hall = Hall()
    hall.job(1)
    hall.run(100)
    hall.hands_s.clear()
    hall.job(2)
    before = len(hall.taken)
    hall.run(0.4)
    assert hall.taken[before:].index(2) <= 1
    hall.run(20)
    assert hall.share(2) == pytest.approx(0.5, abs=0.06)


def test_fifty_jobs_of_one_owner_have_the_share_of_one() -> None:
    hall = Hall()
    for job in range(50):
        hall.job(job, "many")
    hall.run(5)
    hall.hands_s.clear()
    hall.job(99, "one")
    hall.run(40)
    assert hall.share(99) == pytest.approx(0.5, abs=0.08)
    shares = [hall.hands_s[job] for job in range(50)]
    assert max(shares) < 3 * (sum(shares) / 50)


@pytest.mark.parametrize(("priority", "expected"), [(1, 2 / 3), (2, 4 / 5), (10, 1024 / 1025), (-10, 1 / 1025)])
def test_each_step_of_priority_doubles_a_share_and_starves_nobody(priority: int, expected: float) -> None:
    hall = Hall()
    hall.job(1, priority=priority)
    hall.job(2)
    hall.run(300)
    assert hall.share(1) == pytest.approx(expected, abs=0.03)
    assert hall.hands_s[1]
    assert hall.hands_s[2]


def test_priority_divides_only_the_own_share() -> None:
    hall = Hall()
    hall.job(1, "loud", priority=10)
    hall.job(2, "quiet", priority=-10)
    hall.run(20)
    assert hall.share(2) == pytest.approx(0.5, abs=0.06)


def test_idle_time_is_not_saved_up() -> None:
    turns = Turns(4)
    turns.want(1)
    for _ in range(100):
        turns.take()
        turns.end(1, 5.0)
        turns.want(1)
    turns.want(2)
    got: Counter[int] = Counter()
    for _ in range(20):
        taken = turns.take()
        assert taken is not None
        got[taken] += 1
        turns.end(taken, 1.0)
        turns.want(taken)
    assert 8 <= got[1] <= 12


def test_a_job_wants_so_many_hands_and_no_more() -> None:
    turns = Turns(3)
    assert [turns.want(1) for _ in range(4)] == [True, True, True, False]
    assert turns.take() == 1
    assert not turns.want(1)
    turns.end(1, 0.1)
    assert turns.want(1)
    turns.unwant(1)
    assert turns.want(1)


def test_a_want_that_is_taken_back_is_somebody_s() -> None:
    turns = Turns(2)
    turns.want(1)
    turns.want(2)
    assert turns.take() == 1  # by the message of 2
    turns.unwant(1)  # its own was never written
    assert turns.take() is None
    turns.end(1, 0.1)
    turns.unwant(1)
    assert turns.take() is None


def test_a_job_sleeps_once() -> None:
    turns = Turns(2)
    assert turns.put_off(1, 0.0, 60)
    assert not turns.put_off(1, 1.0, 60)
    assert turns.put_off(1, 1.0, 5)  # sooner than was known
    turns.wake(1)
    assert turns.want(1, 0)
    assert not turns.put_off(1, 6.0, 5)  # its hand will ask
    turns.wake(7)


def test_what_neither_works_nor_waits_is_forgotten() -> None:
    turns = Turns(2)
    turns.want(1)
    turns.rest(1)
    assert turns.take() == 1
    turns.rest(1)
    turns.end(1, 0.1)
    turns.put_off(1, 0.0, 60)
    turns.rest(1)
    assert turns._jobs
    turns.wake(1)
    turns.rest(1)
    turns.rest(1)
    assert not turns._jobs
