"""Signals: the first asks for an orderly end, the second takes it. Only `serve` and `run` listen, in main thread."""

from __future__ import annotations

import os
import queue
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final

import click

GRACE_S: Final = 9.5
"""From the first signal to the end, whatever happens: ten seconds are promised (issue 2)."""

_AT_ONCE: Final = b"\nStopped at once. What was running is taken up again next time.\n"


class Stop:
    """Whether an end was asked for. `wait` and `breaking` are for the main thread, which is where handlers run."""

    def __init__(self) -> None:
        self.signal_number: int | None = None
        self._breaks = False
        # Not an Event: its lock is not reentrant, and a handler that interrupts `wait` in the wrong place would hang.
        # SimpleQueue.put is documented as safe there.
        self._wake: queue.SimpleQueue[int] = queue.SimpleQueue()

    @property
    def is_asked(self) -> bool:
        """Whether a signal has come."""
        return self.signal_number is not None

    def wait(self, timeout_s: float) -> bool:
        """Wait for a signal; say whether one has come."""
        if not self.is_asked:
            with suppress(queue.Empty):
                self._wake.get(timeout=timeout_s)
        return self.is_asked

    @contextmanager
    def breaking(self) -> Iterator[None]:
        """Let a signal interrupt this block by KeyboardInterrupt: for a read that may wait for ever."""
        self._breaks = True
        try:
            if self.is_asked:
                raise KeyboardInterrupt
            yield
        finally:
            self._breaks = False

    def ask(self, number: int, _: FrameType | None = None) -> None:
        """Take a signal: note the first, end at once on the second."""
        if self.is_asked:
            end_at_once(number)
        self.signal_number = number
        self._wake.put(number)
        if self._breaks:
            raise KeyboardInterrupt


def end_at_once(number: int) -> None:
    """Leave as the shell reports a death by this signal; children follow when their pipe closes."""
    with suppress(OSError):
        os.write(2, _AT_ONCE)
    os._exit(128 + number)


@contextmanager
def listening() -> Iterator[Stop]:
    """Take SIGINT and SIGTERM over for this block."""
    stop = Stop()
    before = {number: signal.signal(number, stop.ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, former in before.items():
            signal.signal(number, former)


def end_within(stop: Stop, grace_s: float = GRACE_S) -> None:
    """Say that the end has begun, and make sure of it: after `grace_s` leave as on a second signal."""
    click.echo("Stopping: what is in hand is finished or given back. A second signal ends it at once.", err=True)
    timer = threading.Timer(grace_s, end_at_once, [stop.signal_number or signal.SIGTERM])
    timer.daemon = True
    timer.start()
