"""Heartbeats: what a living process has in hand stays its own; what a dead one had comes back within two minutes.

A lease is short, so that a lost worker's images come back soon, and is prolonged while its hand works: a slow download
or a large picture may take longer than any lease. A hand always ends (fetching and compressing have their limits), so
a lease that is prolonged for ever cannot be.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from imagemill.db import StoreError
from imagemill.outbound import Breaker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from imagemill.db import Claim, Store

log = logging.getLogger(__name__)

LEASE_S: Final = 60.0
HEARTBEAT_S: Final = 15.0
"""A quarter: three heartbeats may be lost to a busy database before the lease is."""

LOOK_S: Final = 1.0
"""A download that takes longer is looked after: is its job still wanted?"""


class Leases:
    """The claims in this process's hands. `start` and `stop` are the appliance's; `beat` is what the thread does."""

    def __init__(
        self,
        store: Store,
        *,
        node: str = "",
        on_crew: Callable[[int, int], object] = lambda _, __: None,
        every_s: float = HEARTBEAT_S,
        lease_s: float = LEASE_S,
    ) -> None:
        """Name this machine where others work on the same database: its tokens begin so.

        `on_crew` hears of how many machines there are, and the which one this is, counted from 0.
        """
        self.lease_s = lease_s
        self._node = node
        self._on_crew = on_crew
        self._store = store
        self._every_s = every_s
        self._held: dict[str, tuple[Claim, Breaker]] = {}
        self._unheard: set[str] = set()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Begin to beat."""
        self._note()
        self._thread.start()

    def stop(self) -> None:
        """Beat no more; called when no hand works any longer."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._node:
            with contextlib.suppress(StoreError):
                self._store.forget_machine(self._node)

    def token(self) -> str:
        """Return a token that no claim has."""
        return self._node + secrets.token_hex(8)

    def release(self) -> None:
        """Give back all that this machine has or had: at the start, and at the end."""
        self._store.release_leases(of=self._node)

    @property
    def machine(self) -> str:
        """What this machine is called among others."""
        return self._node

    def _note(self) -> None:
        if not self._node:
            return
        self._store.note_machine(self._node)
        crew = self._store.machines()
        if self._node in crew:
            self._on_crew(crew.index(self._node), len(crew))

    def others(self) -> list[str]:
        """Return the names of the other machines that live."""
        return [name for name in self._store.machines() if name != self._node] if self._node else []

    @contextmanager
    def heard(self, token: str) -> Iterator[None]:
        """Let a claim under a token be made in the block.

        Where the database broke off it may be made, and nobody heard of it: the next who claims gives it back.
        """
        for lost in list(self._unheard):
            self._store.release_leases(of=lost)
            self._unheard.discard(lost)
        try:
            yield
        except StoreError:
            self._unheard.add(token)
            raise

    @contextmanager
    def held(self, claim: Claim) -> Iterator[Breaker]:
        """Prolong a claim's leases while the block lasts; gives what breaks off its downloads when it is cancelled."""
        breaker = Breaker()
        with self._lock:
            self._held[claim.token] = claim, breaker
        try:
            yield breaker
        finally:
            with self._lock:
                del self._held[claim.token]

    def beat(self) -> int:
        """Prolong what is in hand; return how many images that is."""
        self._note()
        with self._lock:
            claims = [claim for claim, _ in self._held.values()]
        return self._store.prolong_leases(claims, self.lease_s) if claims else 0

    def break_off(self, after_s: float = LOOK_S) -> int:
        """Break off downloads of cancelled jobs, wherever that was said; return how many. Short ones are let be."""
        with self._lock:
            slow = [(claim, breaker) for claim, breaker in self._held.values() if breaker.busy_s >= after_s]
        cancelled = self._store.cancelled_of({claim.job_id for claim, _ in slow}) if slow else set()
        broken = [breaker for claim, breaker in slow if claim.job_id in cancelled]
        for breaker in broken:
            breaker.break_off()
        return len(broken)

    def _run(self) -> None:
        beat_at = time.monotonic() + self._every_s
        while not self._stopping.wait(min(LOOK_S, self._every_s)):
            try:
                if time.monotonic() >= beat_at:
                    beat_at = time.monotonic() + self._every_s
                    self.beat()
                self.break_off()  # last: what fails here must not cost a lease
            except StoreError as error:
                log.warning("leases could not be prolonged, which is tried again: %s", error.cause)
        self._store.close()
