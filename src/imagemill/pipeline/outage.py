"""A storage that is down is nobody's fault: work pauses, no attempt is counted, and it goes on by itself."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Final

from imagemill.core.errors import StartError
from imagemill.metrics import Meters
from imagemill.storage import StorageError

if TYPE_CHECKING:
    from imagemill.storage import Storage

log = logging.getLogger(__name__)

ASK_EVERY_S: Final = 5.0
"""A storage that is down is asked so often whether it is up again; and one that works, for `/readyz`."""


class Outage:
    """What is known of the storage's state; learned from failures, and by trying to store something (`check`)."""

    def __init__(self, storage: Storage, ask_every_s: float = ASK_EVERY_S, meters: Meters | None = None) -> None:
        self._storage = storage
        self._meters = meters or Meters()
        self._ask_every_s = ask_every_s
        self._lock = threading.Lock()
        self._asked_at = float("-inf")
        self._sentence: str | None = None

    def begin(self) -> None:
        """At the start: StartError where the storage refuses us. One that is down may come up later."""
        try:
            self._storage.check()
        except StorageError as error:
            if error.is_refusal:
                raise StartError(str(error)) from error
            self._note(str(error))

    def explains(self, error: OSError) -> bool:
        """Say whether the storage itself is to blame for a failure: it asked for patience, or fails a test as well."""
        if isinstance(error, StorageError) and error.is_busy:
            self._note(str(error))
            return True
        failed_at = time.monotonic()
        with self._lock:
            if self._sentence is None and self._asked_at < failed_at:
                self._ask()
            return self._sentence is not None

    def trouble(self) -> str | None:
        """Return why work pauses, in words for an operator; None when there is no reason (any more)."""
        if self._sentence is not None:
            self._ask_now_and_then()
        return self._sentence

    def state(self) -> str | bool:
        """Say whether it works: True, or what is wrong with it."""
        self._ask_now_and_then()
        return self._sentence or True

    def _ask_now_and_then(self) -> None:
        """Ask when that is due and nobody else does: a storage that hangs holds up one thread, not all."""
        if self._lock.acquire(blocking=False):
            try:
                if time.monotonic() - self._asked_at >= self._ask_every_s:
                    self._ask()
            finally:
                self._lock.release()

    def _ask(self) -> None:
        try:
            self._storage.check()
        except OSError as error:
            self._note(error.strerror or str(error))
        else:
            self._note(None)

    def _note(self, sentence: str | None) -> None:
        self._asked_at = time.monotonic()
        if sentence and not self._sentence:
            self._meters.outages.add()
            log.warning("nothing can be stored, work pauses: %s", sentence)
        elif self._sentence and not sentence:
            log.warning("the storage works again, work goes on")
        self._sentence = sentence
