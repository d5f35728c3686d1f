"""So much at a time: who wants more than is left waits, in the order of asking."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class BudgetClosed(Exception):
    """Nothing is given any more."""


class Budget:
    """Amounts out of a limit, for threads. What is up to `small` passes without waiting and is not counted."""

    def __init__(self, limit: int, *, small: int = 0) -> None:
        self.limit = limit
        self._small = small
        self._used = 0
        self._is_closed = False
        self._waiting: deque[object] = deque()
        self._changed = threading.Condition()

    @contextmanager
    def held(self, amount: int) -> Iterator[None]:
        """Hold an amount during the block; more than the whole limit waits to be alone. BudgetClosed at the end."""
        if amount <= self._small:
            yield
            return
        amount = min(amount, self.limit)
        self._take(amount)
        try:
            yield
        finally:
            self.give(amount)

    def takes(self, amount: int) -> bool:
        """Take an amount if it is there now, without waiting; `give` it back one day."""
        with self._changed:
            is_there = self._used + amount <= self.limit
            self._used += amount if is_there else 0
            return is_there

    def has(self, amount: int) -> bool:
        """Say whether an amount is there now."""
        with self._changed:
            return self._used + amount <= self.limit

    def give(self, amount: int) -> None:
        """Give back what `takes` took."""
        with self._changed:
            self._used -= amount
            self._changed.notify_all()

    def close(self) -> None:
        """Send away who waits and who comes."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _take(self, amount: int) -> None:
        ticket = object()
        with self._changed:
            self._waiting.append(ticket)
            try:
                while not self._is_closed and (self._waiting[0] is not ticket or self._used + amount > self.limit):
                    self._changed.wait()
            finally:
                self._waiting.remove(ticket)
                self._changed.notify_all()
            if self._is_closed:
                raise BudgetClosed
            self._used += amount
