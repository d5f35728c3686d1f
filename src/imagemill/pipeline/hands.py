"""What the hands at work on one job share: over a network their results are written together.

A round trip costs the same for one result as for a hundred, and a job's records are written one after the other. So a
hand that has something to record waits for company: until all hands of its job wait, or so many results have come
together, or `TOGETHER_S` is over. What is not written yet is done again when its lease has ended, as ever. In a file
nobody waits.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from imagemill.db import StoreError
from imagemill.pipeline.patience import patiently

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imagemill.db import Handful
    from imagemill.pipeline.parts import Parts

log = logging.getLogger(__name__)

TOGETHER_S: Final = 0.5
TOGETHER: Final = 128


class _Group:
    def __init__(self) -> None:
        self.handfuls: list[Handful] = []
        self.is_over = threading.Event()
        self.is_written = False

    @property
    def images(self) -> int:
        return sum(len(handful.records) + len(handful.returned) for handful in self.handfuls)


class Hands:
    """Those of this process; safe from all of them."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._changed = threading.Condition()
        self._at_work: Counter[int] = Counter()
        self._groups: dict[int, _Group] = {}
        self._wanted: dict[int, tuple[float, bool]] = {}

    @contextmanager
    def at_work(self, job_id: int) -> Iterator[None]:
        """Count a hand on a job while the block lasts."""
        with self._changed:
            self._at_work[job_id] += 1
        try:
            yield
        finally:
            with self._changed:
                self._at_work[job_id] -= 1
                if not self._at_work[job_id]:
                    del self._at_work[job_id]
                    self._wanted.pop(job_id, None)
                self._changed.notify_all()

    def on(self, job_id: int) -> int:
        """Return how many are at work on a job."""
        return self._at_work[job_id]

    def is_wanted(self, job_id: int, within_s: float) -> bool:
        """Say whether a job is still worked on, by an answer that is at most so old."""
        asked_s, is_wanted = self._wanted.get(job_id, (float("-inf"), True))
        if time.monotonic() - asked_s > within_s:
            is_wanted = self._parts.store.is_worked(job_id)
            self._wanted[job_id] = time.monotonic(), is_wanted
        return is_wanted

    def record(self, handful: Handful) -> list[int]:
        """Write what became of images; return the callbacks that are due for it."""
        if not self._parts.store.is_shared:
            return self._record_alone(handful)
        group = self._groups_of(handful)
        due: list[int] = []
        if group.handfuls[0] is handful:
            due = self._record_group(handful.claim.job_id, group)
        else:
            group.is_over.wait()
        return due if group.is_written else self._record_alone(handful, is_repeated=True)

    def _groups_of(self, handful: Handful) -> _Group:
        with self._changed:
            group = self._groups.setdefault(handful.claim.job_id, _Group())
            group.handfuls.append(handful)
            self._changed.notify_all()
        return group

    def _record_group(self, job_id: int, group: _Group) -> list[int]:
        """Wait for the others, and write for all; where that fails each of them tries for itself."""
        try:
            with self._changed:
                self._changed.wait_for(lambda: self._is_complete(job_id, group), TOGETHER_S)
                del self._groups[job_id]
            due = self._parts.store.record_together(group.handfuls)
            group.is_written = True
        except StoreError as error:
            log.warning("results could not be written together, each hand tries by itself: %s", error.cause)
            due = None
        finally:
            group.is_over.set()
        return [] if due is None else [due]

    def _is_complete(self, job_id: int, group: _Group) -> bool:
        return len(group.handfuls) >= self._at_work[job_id] or group.images >= TOGETHER

    def _record_alone(self, handful: Handful, *, is_repeated: bool = False) -> list[int]:
        """Write it, however long that takes; where it may have been written already, what is due may be told again."""
        store, tries = self._parts.store, int(is_repeated)

        def record() -> int | None:
            nonlocal tries
            tries += 1
            return store.record_images(handful.claim, handful.records, handful.returned)

        due = patiently(self._parts, record)
        if due is None and tries > 1:
            return [delivery for delivery, _ in store.due_deliveries(0.0)]
        return [] if due is None else [due]
