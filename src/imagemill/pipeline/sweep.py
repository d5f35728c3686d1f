"""Sweep: what nobody needs any more goes, and what is missing is made again, a second's work at a time.

Only an appliance sweeps, never `imagemill run`: there the folder of pictures is the user's, and outlives its state.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from itertools import islice
from typing import TYPE_CHECKING, Final

from imagemill.pipeline import sent
from imagemill.pipeline.losses import lose_missing
from imagemill.pipeline.steps import Sweep, Work

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imagemill.db import Leftover, Shelf
    from imagemill.pipeline.parts import Parts
    from imagemill.pipeline.steps import Step

log = logging.getLogger(__name__)

TURN_S: Final = 1.0
"""After so long a sweep lets others have its thread, and asks to go on."""

ALONE_S: Final = 300.0
"""For so long after its last sweep no other machine sweeps: longer than any removal takes."""

STRAY_S: Final = 3600.0
"""A file that no row speaks of may be a moment from being recorded; one of an hour is not."""

SPOOL_S: Final = 86_400.0
"""What lies in the spool so long was left there by a child or a worker that died."""

_FILES: Final = 200
_LOOKS: Final = 1_000
_DAY_S: Final = 86_400
_OURS: Final = re.compile(r"([0-9a-f]{40}|[0-9a-f]{64})\.(jpg|png|webp|gif|bmp|tif)", re.ASCII)


class Sweeper:
    """Removes what deleted and expired jobs leave, and looks through storage and tables for what does not match.

    Several may ask; one sweeps at a time. How far the look has come is in memory: a restart begins anew.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._turn = threading.Lock()
        self._walks: dict[Shelf, Iterator[str]] = {}
        self._looked_to = 0
        self._looked_at = 0.0

    def sweep(self) -> list[Step]:
        """Do a second's work; return the work that follows, and whether there is more to sweep."""
        if not self._parts.sweeps or not self._turn.acquire(blocking=False):
            return []
        try:
            return self._sweep_alone(time.monotonic() + TURN_S)
        except OSError as error:  # a storage that is away for a while
            log.warning("sweeping is put off for a minute: %s", error)
            self._walks.clear()
            return []
        finally:
            self._turn.release()

    def _sweep_alone(self, ends_at: float) -> list[Step]:
        """Sweep, unless another machine does: of two, one might remove late what has been stored anew since."""
        store, machine = self._parts.store, self._parts.leases.machine
        if store.is_shared and not store.take_turn("sweep", machine, ALONE_S):
            return []
        return self._sweep(ends_at)

    def _sweep(self, ends_at: float) -> list[Step]:
        store = self._parts.store
        self._remove(store.going_leftovers())
        store.delete_expired(self._parts.settings.retention_days * _DAY_S)
        is_more = self._remove_rows(ends_at) or self._remove_leftovers(ends_at)
        return [Sweep()] if is_more else self._look_around()

    def _remove_rows(self, ends_at: float) -> bool:
        """Remove deleted jobs' rows, and what their clients sent; say whether the time was too short."""
        while not self._is_over(ends_at):
            removal = self._parts.store.remove_rows()
            if removal is None:
                return False
            if removal.is_whole:
                sent.forget(self._parts, removal.uid)
        return True

    def _remove_leftovers(self, ends_at: float) -> bool:
        while not self._is_over(ends_at):
            doomed = self._parts.store.doom_leftovers(_FILES)
            if doomed is None:
                return False
            self._remove(doomed)
        return True

    def _remove(self, leftovers: list[Leftover]) -> None:
        for shelf in {leftover.shelf for leftover in leftovers}:
            names = [leftover.name for leftover in leftovers if leftover.shelf == shelf]
            self._parts.shelf(shelf).delete(*names)
        if leftovers:
            self._parts.store.forget_leftovers(leftovers)

    def _look_around(self) -> list[Step]:
        """Once a minute: some stored files whose rows are missing, some rows whose files are, and the spool."""
        now = self._parts.clock()
        if 0 <= now - self._looked_at < 50:
            return []
        self._looked_at = now
        self._note_strays("outputs")
        self._note_strays("originals")
        if strays := self._parts.store.let_strays_go(STRAY_S):
            log.warning("%d stored files belong to no job: they are removed", strays)
        self._empty_spool(now)
        return [*self._find_missing(), *([Sweep()] if strays else [])]

    def _note_strays(self, shelf: Shelf) -> None:
        walk = self._walks.get(shelf) or iter(self._parts.shelf(shelf).names())
        names = list(islice(walk, _LOOKS))
        # What is not named as we name files was put there by somebody else, who may want it.
        self._parts.store.note_strays(shelf, [name for name in names if _OURS.fullmatch(name)])
        if len(names) < _LOOKS:
            self._walks.pop(shelf, None)
        else:
            self._walks[shelf] = walk

    def _find_missing(self) -> list[Step]:
        store = self._parts.store
        # A storage that no power cut robs is looked through more slowly: in S3 each look is paid for.
        looks = _LOOKS // 10 if self._parts.storage.is_durable else _LOOKS
        names, self._looked_to = store.outputs_after(self._looked_to, looks)
        if not lose_missing(self._parts, names):
            return []
        return [Work(job.id, job.priority) for job in store.open_jobs()]

    def _empty_spool(self, now: float) -> None:
        for path in self._parts.folders.spool.iterdir():
            if path.is_file() and now - path.stat().st_mtime > SPOOL_S:
                path.unlink(missing_ok=True)

    def _is_over(self, ends_at: float) -> bool:
        return self._parts.stopping.is_set() or time.monotonic() > ends_at
