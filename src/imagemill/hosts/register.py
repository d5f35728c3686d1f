"""All hosts, by name: gives turns, waits for them, and says which hosts a claim may take images of."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import msgspec

from imagemill.core.errors import ImageCode, ImageError
from imagemill.core.keys import host_number
from imagemill.hosts.host import WAIT_S, Host, HostState, Rules

_KNOWN_HOSTS: Final = 4096
_CONNECTION_S: Final = 2.0


class Openings(msgspec.Struct, frozen=True):
    """Which hosts a claim may take images of, by their numbers (`core.keys.host_number`).

    `shut` ones may not, and are worth asking about again after so many seconds. Where only so many threads are left as
    the quick hosts are to find, the others are shut but for `only`; None says that there are more.
    """

    shut: dict[int, float] = {}
    only: frozenset[int] | None = None


class Hosts:
    """Safe to use from many threads at a time. Hosts are named as in addresses: `host` or `host:port`."""

    def __init__(self, rules: Rules | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._rules = rules or Rules()
        self._rank, self._crew = 0, 1
        self._clock = clock
        self._hosts: dict[str, Host] = {}
        # Those of which there is something to be said: a job may have thousands of hosts, and a claim has no time.
        self._lively: dict[str, Host] = {}
        self._connections: dict[str, threading.Semaphore] = {}
        self._lock = threading.Lock()
        self._choice = threading.Lock()
        self._closed = threading.Event()

    def join(self, rank: int, crew: int) -> None:
        """Keep to a share of each host, as one of several machines: the which one, counted from 0, and of how many."""
        with self._lock:
            if (rank, crew) == (self._rank, self._crew):
                return
            self._rank, self._crew = rank, crew
            for host in self._hosts.values():
                host.rules = self._rules_of(host.number)
            self._connections = {name: _turnstile(host.rules) for name, host in self._hosts.items()}

    @contextmanager
    def choosing(self) -> Iterator[Openings]:
        """Say to one claim at a time what is open: `enter` before the next one looks."""
        with self._choice:
            yield self.openings()

    def openings(self) -> Openings:
        """Return which hosts are shut now."""
        with self._lock:
            now = self._clock()
            self._lively = {name: host for name, host in self._lively.items() if not host.is_dull()}
            pauses = ((host.number, host.shut_s(now)) for host in self._lively.values())
            shut = {number: shut_s for number, shut_s in pauses if shut_s}
            slow = sum(host.hands for host in self._lively.values() if not host.is_quick(now))
            if slow < max(1, self._rules.threads * 3 // 4):
                return Openings(shut)
            quick = (host.number for host in self._hosts.values() if host.is_quick(now) and host.number not in shut)
            return Openings(shut, frozenset(quick))

    def enter(self, name: str) -> None:
        """Take note that a thread works for a host, until it has to `leave`."""
        with self._lock:
            host = self._host(name)
            host.hands += 1
            host.users += 1
            self._lively[name] = host

    def leave(self, name: str) -> ImageError | None:
        """End what `enter` began. Where the host is given up, return what is to be said of the images that wait."""
        with self._lock:
            host = self._hosts[name]
            host.hands -= 1
            host.users -= 1
            return host.given_up()

    @contextmanager
    def visit(self, name: str) -> Iterator[None]:
        """Take note of how long an image of a host takes, wherever it redirects to."""
        with self._lock:
            host, began_at = self._host(name), self._clock()
            host.users += 1
            host.begin(began_at)
        try:
            yield
        finally:
            with self._lock:
                host.users -= 1
                host.end(began_at, self._clock())

    @contextmanager
    def slot(self, name: str) -> Iterator[None]:
        """Hold one connection's turn; learns from the ImageError its block raises, or from none.

        ImageError without a turn, which is no attempt: the host is left alone, or nobody made room. One that was given
        up fails the image.
        """
        with self._lock:
            host = self._host(name)
            connections = self._connections[name]
            host.users += 1
        try:
            if not connections.acquire(timeout=_CONNECTION_S):
                raise host.left_alone(WAIT_S)
            try:
                turn_at = self._await_turn(host)
                yield from self._watched(host, turn_at)
            finally:
                connections.release()
        finally:
            with self._lock:
                host.users -= 1

    def snapshot(self) -> list[HostState]:
        """Return what is known of each host."""
        with self._lock:
            return [host.state(self._clock()) for host in self._hosts.values()]

    def close(self) -> None:
        """Wake who waits: there will be no more turns."""
        self._closed.set()

    def _watched(self, host: Host, turn_at: float) -> Iterator[None]:
        try:
            yield
        except ImageError as error:
            self._learn(host, turn_at, error)
            raise
        self._learn(host, turn_at, None)

    def _learn(self, host: Host, turn_at: float, error: ImageError | None) -> None:
        with self._lock:
            host.learn(turn_at, self._clock(), error)
            if not host.is_dull():
                self._lively[host.name] = host

    def _await_turn(self, host: Host) -> float:
        with self._lock:
            now = self._clock()
            turn_at = host.turn(now)
        if turn_at > now and self._closed.wait(turn_at - now):
            detail = f"{host.name} was not asked, because imagemill stops: it will be after the start"
            raise ImageError(ImageCode.CANCELLED, detail, transient=True, is_attempt=False)
        return turn_at

    def _host(self, name: str) -> Host:
        host = self._hosts.get(name)
        if host is None:
            if len(self._hosts) >= _KNOWN_HOSTS:
                self._forget_unused()
            host = self._hosts[name] = Host(name, self._rules_of(host_number(name)))
            self._connections[name] = _turnstile(host.rules)
        return host

    def _rules_of(self, number: int) -> Rules:
        """Return this machine's share of a host. What is left over goes to other machines at each host."""
        per_host, rest = divmod(self._rules.per_host, self._crew)
        per_host += (self._rank + number) % self._crew < rest
        rate = self._rules.rate * per_host / self._rules.per_host
        return msgspec.structs.replace(self._rules, per_host=per_host, rate=rate)

    def _forget_unused(self) -> None:
        """Forget hosts nobody uses: those there is nothing to be said of, and the others when that is not enough."""
        self._keep(lambda host: bool(host.users or host.failures or host.gap_s))
        if len(self._hosts) > _KNOWN_HOSTS // 2:
            self._keep(lambda host: bool(host.users))
        self._connections = {name: self._connections[name] for name in self._hosts}
        self._lively = {name: host for name, host in self._lively.items() if name in self._hosts}

    def _keep(self, is_kept: Callable[[Host], bool]) -> None:
        self._hosts = {name: host for name, host in self._hosts.items() if is_kept(host)}


def _turnstile(rules: Rules) -> threading.Semaphore:
    return threading.Semaphore(rules.per_host)
