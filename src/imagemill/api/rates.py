"""How often somebody may ask. One number a caller: the time at which all it has asked would have been due (GCRA).

Kept in memory: a restart forgives everybody.
"""

import ipaddress
import math
import threading
import time
from collections.abc import Callable
from typing import Final

from litestar.types import Scope

from imagemill.core.errors import TooManyRequestsError
from imagemill.settings import Settings

BURST_S: Final = 2.0
FAILURES_BURST_S: Final = 10.0
_KEYS: Final = 10_000


class Rate:
    """So many a second for each key, and `burst_s` seconds' worth of them at once. Safe to use from many threads."""

    def __init__(self, per_s: float, burst_s: float = BURST_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval_s = 1 / per_s if per_s else 0.0
        self._burst_s = max(burst_s, self._interval_s)
        self._clock = clock
        self._due: dict[str, float] = {}
        self._lock = threading.Lock()

    def count(self, key: str, who: str) -> None:
        """Count one of `key`; TooManyRequestsError, which names `who`, when that is too often."""
        if not self._interval_s:
            return
        now = self._clock()
        with self._lock:
            due_at = max(now, self._due.get(key, now)) + self._interval_s
            early_s = due_at - now - self._burst_s
            if early_s <= 0:
                if len(self._due) >= _KEYS:
                    self._forget(now)
                self._due[key] = due_at
        if early_s > 0:
            message = f"Too many requests {who}: come again after Retry-After seconds."
            raise TooManyRequestsError(message, retry_after_s=math.ceil(early_s))

    def _forget(self, now: float) -> None:
        """Make room: those that owe nothing go, or else, when addresses come by the thousand, all."""
        self._due = {key: due_at for key, due_at in self._due.items() if due_at > now}
        if len(self._due) >= _KEYS:
            self._due.clear()


class Rates:
    """The three rates of the settings."""

    def __init__(self, settings: Settings) -> None:
        self.of_tokens = Rate(settings.rate_limit_per_token)
        self.of_addresses = Rate(settings.rate_limit_per_address)
        self.of_failures = Rate(settings.rate_limit_failures, FAILURES_BURST_S)


def address_of(scope: Scope) -> str:
    """Return whom a request counts for: its IPv4 address, or its network in IPv6, where everybody has a /64."""
    client = scope.get("client")
    text = str(client[0]) if client else ""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return text
    if isinstance(address, ipaddress.IPv4Address):
        return text
    return str(address.ipv4_mapped or ipaddress.ip_network((int(address) >> 64 << 64, 64)))
