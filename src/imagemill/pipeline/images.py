"""Claim → fetch → compress → put → record: what happens to some images of one job in one pair of hands."""

from __future__ import annotations

import errno
import logging
import random
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from imagemill.core import keys, retry
from imagemill.core.errors import ImageCode, ImageError
from imagemill.core.job import ErrorInfo, Output, Source
from imagemill.db import Record, StoreError
from imagemill.pipeline.steps import Notify, Work
from imagemill.pool import PoolClosed

if TYPE_CHECKING:
    from imagemill.db import Claim, Claimed
    from imagemill.fetch import Fetched
    from imagemill.imaging.protocol import Compressed, Made
    from imagemill.pipeline.parts import Parts
    from imagemill.pipeline.steps import Step

log = logging.getLogger(__name__)

CHUNK: Final = 16
"""Images in one claim, at most: enough that claiming costs little each, few enough that others get their turn."""

SLICE_S: Final = 2.0
"""After this long a task gives back what it has not begun, so that no job keeps the others waiting."""

RECORD_S: Final = 0.25
"""Results wait at most about this long for the transaction that writes them."""

LEASE_S: Final = 300.0
"""Longer than a slice and one slow image take; only a lost worker's lease ever runs out."""

PAUSE_S: Final = 5.0
"""How often a pause for want of disk is looked at again."""

_STORE_WAITS_S: Final = (0.5, 1, 2, 4, 8, 16, 16, 16)
"""How long a record waits for the database, between tries: about a minute in all."""

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_FULL_NAMES: Final = frozenset(errno.errorcode[number] for number in _FULL)

_OURS: Final = "something went wrong on our side; the log says what"


class _NoRoomError(Exception):
    """The disk is full: the image goes back uncounted and work pauses."""


def claim(parts: Parts, job_id: int) -> tuple[Claim | None, list[Step]]:
    """Take some images of a job, and say which further hands its other images could use."""
    if parts.stopping.is_set():
        return None, []
    if parts.room.shortage():
        return None, [Work(job_id, delay_s=PAUSE_S)]
    token, shares = secrets.token_hex(8), 2 * parts.settings.threads
    taken = parts.store.claim_images(job_id, most=CHUNK, shares=shares, token=token, lease_s=LEASE_S)
    return taken, _more(parts, job_id, taken.submission.priority if taken else 0)


def compress(parts: Parts, taken: Claim) -> list[Step]:
    """Make the claimed images' outputs and record them; return what follows: more work, or the job's callback."""
    hand = _Hand(parts, taken)
    try:
        for image in taken.images:
            hand.compress(image)
    finally:
        hand.open()
    return [*hand.notify, *_more(parts, taken.job_id, taken.submission.priority)]


def _more(parts: Parts, job_id: int, priority: int) -> list[Step]:
    if parts.stopping.is_set():
        return []
    due, next_at = parts.store.due_images(job_id, parts.settings.threads)
    if due:
        return [Work(job_id, priority, tasks=due)]
    return [] if next_at is None else [Work(job_id, priority, delay_s=max(0.0, next_at - parts.clock()))]


class _Hand:
    """Claimed images: compressed one after the other, recorded now and then, and in the end the rest is given back."""

    def __init__(self, parts: Parts, taken: Claim) -> None:
        self.notify: list[Step] = []
        self._parts = parts
        self._taken = taken
        self._rest = {image.n for image in taken.images}
        self._records: list[Record] = []
        self._has_room = True
        self._recorded_at = time.monotonic()
        self._ends_at = self._recorded_at + SLICE_S

    def compress(self, image: Claimed) -> None:
        """Compress one image, unless it is to be given back."""
        stopping = self._parts.stopping
        if not self._has_room or stopping.is_set() or time.monotonic() > self._ends_at:
            return
        try:
            record = _one(self._parts, self._taken, image)
        except PoolClosed:
            return
        except _NoRoomError:
            self._has_room = False
            self._parts.room.note_full()
            return
        except StoreError:
            raise  # nothing is wrong with the image
        except Exception:
            # A mistake of ours, for the queue to log. It costs this image an attempt, or its job would never end.
            self._keep(_setback(self._parts, image, ImageError(ImageCode.INTERNAL, _OURS), 0.0))
            raise
        if record.error is None or not stopping.is_set():  # an attempt that we cut short ourselves does not count
            self._keep(record)
        if time.monotonic() - self._recorded_at > RECORD_S:
            self._record([])

    def open(self) -> None:
        """Record what is done and give back the rest."""
        self._record(sorted(self._rest))

    def _keep(self, record: Record) -> None:
        self._records.append(record)
        self._rest.discard(record.n)

    def _record(self, returned: list[int]) -> None:
        delivery = _persist(self._parts, self._taken, self._records, returned)
        self._records, self._recorded_at = [], time.monotonic()
        if delivery is not None:
            self.notify.append(Notify(delivery))


def _persist(parts: Parts, taken: Claim, records: list[Record], returned: list[int]) -> int | None:
    """Record, waiting for a database that is locked or has no room: what is compressed shall not be lost for that."""
    for wait_s in _STORE_WAITS_S:
        try:
            return parts.store.record_images(taken, records, returned)
        except StoreError as error:
            log.warning("the database cannot be written, trying again in %s s: %s", wait_s, error.cause)
            parts.stopping.wait(wait_s)
    return parts.store.record_images(taken, records, returned)


def _one(parts: Parts, taken: Claim, image: Claimed) -> Record:
    started = time.monotonic()
    try:
        source, outputs = _make(parts, taken, image.url)
    except ImageError as error:
        if error.image_code is ImageCode.STORAGE_FAILED and (error.cause in _FULL_NAMES or parts.room.shortage()):
            raise _NoRoomError from error  # the spool had no room
        return _setback(parts, image, error, time.monotonic() - started)
    return Record(n=image.n, seconds=round(time.monotonic() - started, 4), source=source, outputs=outputs)


def _setback(parts: Parts, image: Claimed, error: ImageError, seconds: float) -> Record:
    """Decide what an error means: another attempt later, or the end."""
    section = parts.settings.fetch
    is_crash = error.image_code is ImageCode.DECODE_CRASHED
    attempts = 1 + (image.crashes if is_crash else image.attempts)
    policy = retry.Policy(retries=section.retries, base_s=section.retry_base_s)
    wait_s = retry.after(error, attempts, policy, random.random())  # noqa: S311  jitter, not a secret
    return Record(
        n=image.n,
        seconds=round(seconds, 4),
        error=ErrorInfo(code=error.image_code, message=error.detail),
        next_attempt_at=None if wait_s is None else parts.clock() + wait_s,
    )


def _make(parts: Parts, taken: Claim, url: str) -> tuple[Source, list[Output]]:
    fetched = parts.fetcher.fetch(url)
    try:
        known = parts.store.known_outputs(fetched.sha256, taken.fingerprint)
        if known and all(parts.storage.has(keys.file_name(output.key, output.format)) for output in known[1]):
            return known
        compressed = parts.pool.compress(fetched.data, taken.submission.recipe)
        try:
            return _source(fetched, compressed), [_put(parts, taken, fetched, made) for made in compressed.outputs]
        except BaseException:
            _discard(compressed.outputs)  # those that were not put
            raise
    finally:
        fetched.discard()


def _source(fetched: Fetched, compressed: Compressed) -> Source:
    return Source(
        bytes=fetched.size,
        format=compressed.format,
        width=compressed.width,
        height=compressed.height,
        sha256=fetched.sha256,
    )


def _put(parts: Parts, taken: Claim, fetched: Fetched, made: Made) -> Output:
    key = keys.output_key(fetched.sha256, taken.fingerprint, made.name)
    try:
        parts.storage.adopt(keys.file_name(key, made.format), Path(made.path))
    except OSError as error:
        if error.errno in _FULL:
            raise _NoRoomError from error
        message = "the output could not be stored; it is tried again"
        raise ImageError(ImageCode.STORAGE_FAILED, message, cause=repr(error)) from error
    return Output(name=made.name, key=key, bytes=made.size, format=made.format, width=made.width, height=made.height)


def _discard(outputs: list[Made]) -> None:
    for made in outputs:
        Path(made.path).unlink(missing_ok=True)
