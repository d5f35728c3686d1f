"""Amounts out of a limit, for threads that wait their turn."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from imagemill.budget import Budget, BudgetClosed

DEADLINE_S = 60.0


def until(holds: Callable[[], bool]) -> None:
    for _ in range(int(DEADLINE_S / 0.005)):
        if holds():
            return
        threading.Event().wait(0.005)
    raise AssertionError("never")


class Takers:
    """Threads that take an amount, say so, and hold it until they are told to go."""

    def __init__(self, budget: Budget, threads: ThreadPoolExecutor) -> None:
        self.budget, self.threads = budget, threads
        self.order: list[int] = []
        self.go = threading_events()

    def take(self, amount: int) -> Future[None]:
        waiting = len(self.budget._waiting)
        taken = len(self.order)
        future = self.threads.submit(self._hold, amount)
        until(lambda: len(self.budget._waiting) > waiting or len(self.order) > taken or future.done())
        return future

    def _hold(self, amount: int) -> None:
        with self.budget.held(amount):
            self.order.append(amount)
            self.go[amount].wait(DEADLINE_S)


def threading_events() -> dict[int, threading.Event]:
    return {amount: threading.Event() for amount in range(50)}


def test_what_fits_goes_together_and_the_rest_in_the_order_of_asking() -> None:
    with ThreadPoolExecutor(8) as threads:
        takers = Takers(Budget(10), threads)
        held = [takers.take(amount) for amount in (4, 5)]
        waiting = [takers.take(amount) for amount in (7, 1)]
        assert takers.order == [4, 5]
        assert len(takers.budget._waiting) == 2  # 1 would fit, but 7 was first
        takers.go[4].set()
        held[0].result(DEADLINE_S)
        assert takers.order == [4, 5]
        takers.go[5].set()
        until(lambda: takers.order == [4, 5, 7, 1])
        for event in takers.go.values():
            event.set()
        for future in waiting:
            future.result(DEADLINE_S)
    assert takers.budget.takes(10)


def test_more_than_all_waits_to_be_alone() -> None:
    with ThreadPoolExecutor(8) as threads:
        takers = Takers(Budget(10, small=1), threads)
        takers.take(2)
        huge = takers.take(40)
        takers.take(1)
        assert takers.order == [2, 1]
        takers.go[2].set()
        until(lambda: takers.order == [2, 1, 40])
        for event in takers.go.values():
            event.set()
        huge.result(DEADLINE_S)


def test_nobody_waits_for_what_is_closed() -> None:
    with ThreadPoolExecutor(8) as threads:
        takers = Takers(Budget(10), threads)
        held = takers.take(8)
        waiting = takers.take(9)
        takers.budget.close()
        with pytest.raises(BudgetClosed):
            waiting.result(DEADLINE_S)
        with pytest.raises(BudgetClosed):
            takers.take(3).result(DEADLINE_S)
        takers.go[8].set()
        held.result(DEADLINE_S)


def test_taking_without_waiting() -> None:
    budget = Budget(10)
    assert [budget.takes(amount) for amount in (6, 5, 4, 1)] == [True, False, True, False]
    budget.give(6)
    assert budget.takes(6)
