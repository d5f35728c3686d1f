"""Politeness: how many connections to a host at a time, how many a second, and when a host is left alone.

A host that asks for time (`Retry-After` with 429 or 503) gets it, and one that fails again and again is given up for a
while (a circuit breaker), so that it cannot hold up the others. Decides and waits; it never connects.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from imagemill.core.errors import ImageCode, ImageError

FAILURES_IN_A_ROW: Final = 10
"""After so many a host is given up for `GIVEN_UP_S`; then one further failure is enough."""

GIVEN_UP_S: Final = 15.0
_LONGEST_PAUSE_S: Final = 300.0
# A shorter pause is waited for: an attempt is worth more than the thread's seconds.
_SHORT_PAUSE_S: Final = 5.0
_KNOWN_HOSTS: Final = 4096
_UNREACHABLE: Final = frozenset(
    {
        ImageCode.DNS_FAILED,
        ImageCode.CONNECT_FAILED,
        ImageCode.TLS_FAILED,
        ImageCode.TIMEOUT,
    }
)


class _Host:
    """What is known of one host. Changed only under the lock of `Hosts`."""

    def __init__(self, connections: int) -> None:
        self.turns = threading.Semaphore(connections)
        self.users = 0
        self.next_at = 0.0
        self.closed_until = 0.0
        self.failures = 0
        self.last: ImageError | None = None


class Hosts:
    """Gives turns at hosts, named `host` or `host:port`. Safe to use from many threads at a time."""

    def __init__(self, per_host: int, rate: float, patience_s: float) -> None:
        self._per_host = per_host
        self._gap_s = 1 / rate if rate else 0.0
        self._patience_s = patience_s
        self._hosts: dict[str, _Host] = {}
        self._lock = threading.Lock()
        self._closed = threading.Event()

    @contextmanager
    def slot(self, name: str) -> Iterator[None]:
        """Hold one connection's turn; learns from the ImageError its block raises, or from none.

        ImageError without a turn: the host is given up or asked for time, or nobody made room within the patience.
        """
        host = self._enter(name)
        try:
            if not host.turns.acquire(timeout=self._patience_s):
                detail = f"{name} is busy with other images of ours: try again later"
                raise ImageError(ImageCode.TIMEOUT, detail)
            try:
                self._await_turn(name, host)
                yield from self._watched(host)
            finally:
                host.turns.release()
        finally:
            with self._lock:
                host.users -= 1

    def close(self) -> None:
        """Wake who waits: there will be no more turns."""
        self._closed.set()

    def _watched(self, host: _Host) -> Iterator[None]:
        try:
            yield
        except ImageError as error:
            with self._lock:
                self._learn(host, error)
            raise
        host.failures = 0

    def _enter(self, name: str) -> _Host:
        with self._lock:
            host = self._hosts.get(name)
            if host is None:
                if len(self._hosts) >= _KNOWN_HOSTS:
                    self._forget_unused()
                host = self._hosts[name] = _Host(self._per_host)
            host.users += 1
            return host

    def _forget_unused(self) -> None:
        self._hosts = {name: host for name, host in self._hosts.items() if host.users}

    def _await_turn(self, name: str, host: _Host) -> None:
        with self._lock:
            now = time.monotonic()
            pause_s = host.closed_until - now
            if host.last is not None and pause_s > _SHORT_PAUSE_S:
                raise _left_alone(name, host.last, pause_s)
            starts_at = max(now, host.closed_until, host.next_at)
            if starts_at - now > self._patience_s:
                raise ImageError(ImageCode.TIMEOUT, f"{name} is busy with other images of ours: try again later")
            host.next_at = starts_at + self._gap_s
        if starts_at > now and self._closed.wait(starts_at - now):
            detail = f"{name} was not asked, because imagemill stops: it will be after the start"
            raise ImageError(ImageCode.CANCELLED, detail, transient=True)

    def _learn(self, host: _Host, error: ImageError) -> None:
        if error.image_code in _UNREACHABLE:
            host.failures += 1
            if host.failures >= FAILURES_IN_A_ROW:
                self._pause(host, error, GIVEN_UP_S)
            return
        host.failures = 0
        if error.image_code is ImageCode.HTTP_STATUS and error.retry_after_s:
            self._pause(host, error, error.retry_after_s)

    def _pause(self, host: _Host, error: ImageError, pause_s: float) -> None:
        host.closed_until = max(host.closed_until, time.monotonic() + min(pause_s, _LONGEST_PAUSE_S))
        host.last = error


def _left_alone(name: str, last: ImageError, pause_s: float) -> ImageError:
    detail = f"{name} is left alone for {pause_s:.0f} s, because: {last.detail}"
    return ImageError(last.image_code, detail, transient=last.transient, retry_after_s=pause_s, cause=last.cause)
