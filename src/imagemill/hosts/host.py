"""What is known of one host, and what follows from it. Decides only: the time is an argument (monotonic seconds)."""

from __future__ import annotations

from collections import deque
from typing import Final

import msgspec

from imagemill.core.errors import ImageCode, ImageError
from imagemill.core.keys import host_number

FAILURES_IN_A_ROW: Final = 10
"""After so many a host that has answered before is left alone."""

FIRST_FAILURES: Final = 4
"""After so many one that has never answered is."""

SLOW_S: Final = 2.0
"""A host whose images take longer is slow, and so is one that has let us wait so long just now."""

WAIT_S: Final = 1.0
"""A thread waits so long for its turn at a host; for a later turn the image goes back."""

GIVEN_UP_S: Final = 60.0
"""How often a host that was given up is probed."""

_LONGEST_PAUSE_S: Final = 300.0
_COMPLAINT_S: Final = 1.0
_LEAST_RATE: Final = 0.1
_FASTEST_RATE: Final = 1000.0
_CROWDED_S: Final = 0.5
_SEEN: Final = 256
_SEEN_S: Final = 5.0
_COMPLAINTS: Final = frozenset({429, 503})
_UNREACHABLE: Final = frozenset(
    {ImageCode.DNS_FAILED, ImageCode.CONNECT_FAILED, ImageCode.TLS_FAILED, ImageCode.TIMEOUT}
)


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What is the same for all hosts: connections and requests/s to one, threads in all, probes and the first pause."""

    per_host: int = 16
    rate: float = 0.0
    threads: int = 16
    probes: int = 4
    pause_s: float = 5.0


class HostState(msgspec.Struct, frozen=True, kw_only=True):
    """A host as metrics see it: hands at work, seconds a fetch takes, requests/s allowed, seconds it is left alone."""

    name: str
    hands: int
    mean_s: float | None
    rate: float | None
    pause_s: float
    failures: int
    is_given_up: bool


class Host:
    """One host, by the name in its addresses: `host` or `host:port`."""

    def __init__(self, name: str, rules: Rules) -> None:
        self.name = name
        self.number = host_number(name)
        self.hands = 0
        self.users = 0
        self.failures = 0
        self.probes = 0
        self.has_answered = False
        self.last: ImageError | None = None
        self.mean_s: float | None = None
        self.rate: float | None = None
        self.running: deque[float] = deque()
        self.rules = rules
        self._turns: deque[float] = deque(maxlen=_SEEN)
        self._next_at = 0.0
        self._asked_until = 0.0
        self._tripped_until = 0.0
        self._tripped_at = -1.0
        self._slowed_at = -1.0
        self._raised_at = 0.0

    @property
    def gap_s(self) -> float:
        """Seconds from one request to the next, at least."""
        rates = [rate for rate in (self.rules.rate, self.rate) if rate]
        return 1 / min(rates) if rates else 0.0

    @property
    def is_tripped(self) -> bool:
        """Whether it has failed so often that only probes are let through."""
        return self.failures >= (FAILURES_IN_A_ROW if self.has_answered else FIRST_FAILURES)

    @property
    def is_given_up(self) -> bool:
        """Whether as many probes have failed as are made."""
        return self.is_tripped and self.probes >= self.rules.probes

    def is_quick(self, now: float) -> bool:
        """Say whether a thread that goes there will be back soon."""
        is_well = self.has_answered and not self.failures and not self.gap_s
        return is_well and (self.mean_s or 0.0) <= SLOW_S and not (self.running and now - self.running[0] > SLOW_S)

    def most_hands(self, now: float) -> int:
        """Return how many threads may work for it now."""
        rules = self.rules
        if self.pause_s(now) > WAIT_S or not rules.per_host:
            return 0
        if self.is_tripped:
            return 1
        if self.is_quick(now):
            return min(rules.per_host, rules.threads)
        share = rules.threads // (2 if self.has_answered and not self.failures else 4)
        paced = 1 + int((self.mean_s or 0.0) / self.gap_s) if self.gap_s else share
        return max(1, min(rules.per_host, share, paced))

    def pause_s(self, now: float) -> float:
        """Return the seconds until its next turn is free."""
        return max(self._asked_until, self._tripped_until, self._next_at, now) - now

    def shut_s(self, now: float) -> float:
        """Return after how many seconds another thread may go there; 0 for now."""
        if self.hands < self.most_hands(now):
            return 0.0
        return max(self.pause_s(now), _CROWDED_S)

    def is_dull(self) -> bool:
        """Say whether there is nothing to be said of it: nobody works for it, and it is open to all."""
        return not (self.hands or self.failures or self.rate or self.rules.rate) and self.rules.per_host > 0

    def turn(self, now: float) -> float:
        """Take the next turn and return when it is; ImageError where that is too late to wait for."""
        wait_s = self.pause_s(now)
        if wait_s > WAIT_S:
            raise self.given_up() or self.left_alone(wait_s)
        self._next_at = now + wait_s + self.gap_s
        self._turns.append(now + wait_s)
        return now + wait_s

    def given_up(self) -> ImageError | None:
        """Return why an image fails that has not been tried; None while there is hope."""
        if not self.is_given_up or self.last is None:
            return None
        detail = f"{self.name} was given up, because it failed again and again, the last time so: {self.last.detail}"
        return ImageError(self.last.image_code, detail, transient=False, cause=self.last.cause)

    def left_alone(self, wait_s: float) -> ImageError:
        """Return why an image goes back untried."""
        because = f", because: {self.last.detail}" if self.last else ": its next turn is not sooner"
        detail = f"{self.name} is left alone for {wait_s:.0f} s{because}"
        code = self.last.image_code if self.last else ImageCode.TIMEOUT
        return ImageError(code, detail, transient=True, retry_after_s=wait_s, is_attempt=False)

    def begin(self, now: float) -> None:
        """Take note that an image of it is being fetched."""
        self.running.append(now)

    def end(self, began_at: float, now: float) -> None:
        """Take note that it is fetched, or has failed."""
        self.running.remove(began_at)
        took_s = now - began_at
        self.mean_s = took_s if self.mean_s is None else 0.8 * self.mean_s + 0.2 * took_s

    def learn(self, turn_at: float, now: float, error: ImageError | None) -> None:
        """Learn from the answer to the request of `turn_at`: `error`, or a good one. One broken off teaches nothing."""
        if error is not None and error.image_code is ImageCode.CANCELLED:
            return
        if error is not None and error.status in _COMPLAINTS:
            if self._slow_down(turn_at, now, error):
                self._fail(turn_at, now, error)
        elif error is not None and error.image_code in _UNREACHABLE:
            self._fail(turn_at, now, error)
        else:
            self._answer(now)

    def state(self, now: float) -> HostState:
        """Return what there is to see."""
        return HostState(
            name=self.name,
            hands=self.hands,
            mean_s=self.mean_s,
            rate=self.rate,
            pause_s=self.pause_s(now),
            failures=self.failures,
            is_given_up=self.is_given_up,
        )

    def _answer(self, now: float) -> None:
        self.has_answered, self.failures, self.probes, self._tripped_until, self.last = True, 0, 0, 0.0, None
        if self.rate is not None and now - self._raised_at >= 1:
            self._raised_at = now
            faster = 1.1 * self.rate + 0.5
            self.rate = faster if faster < _FASTEST_RATE else None

    def _slow_down(self, turn_at: float, now: float, error: ImageError) -> bool:
        """Halve the pace; False when this is of the same volley as a complaint that was heard."""
        self._asked_until = max(self._asked_until, now + min(error.retry_after_s or _COMPLAINT_S, _LONGEST_PAUSE_S))
        if turn_at <= self._slowed_at:
            return False
        lately = [at for at in self._turns if at > now - _SEEN_S] or [turn_at]
        seen = len(lately) / max(now - lately[0], 1.0)
        self.rate = max(_LEAST_RATE, min(self.rate or seen, seen) / 2)
        self._slowed_at = self._raised_at = now
        return True

    def _fail(self, turn_at: float, now: float, error: ImageError) -> None:
        if turn_at < self._tripped_at:
            return  # asked before it was left alone
        was_probe = self.is_tripped
        self.failures += 1
        self.last = error
        if not self.is_tripped:
            return
        self.probes += was_probe
        pause_s = GIVEN_UP_S if self.is_given_up else min(self.rules.pause_s * 2.0**self.probes, _LONGEST_PAUSE_S)
        self._tripped_at, self._tripped_until = now, now + pause_s
