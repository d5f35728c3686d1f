"""Claim → fetch → compress → put → record: what happens to some images of one job in one pair of hands."""

from __future__ import annotations

import logging
import random
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from imagemill.core import keys, retry
from imagemill.core.errors import ImageCode, ImageError
from imagemill.core.job import ErrorInfo
from imagemill.core.keys import HOST_BITS, host_number, host_of
from imagemill.db import Doors, Handful, Record, StoreError
from imagemill.logs import about
from imagemill.pipeline.batch import Batch, NoRoom
from imagemill.pipeline.steps import Notify, Work
from imagemill.pipeline.tidings import tell_given_up, tell_recorded
from imagemill.pool import PoolClosed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imagemill.db import Claim, Claimed
    from imagemill.hosts import Openings
    from imagemill.outbound import Breaker
    from imagemill.pipeline.batch import Result
    from imagemill.pipeline.hands import Hands
    from imagemill.pipeline.parts import Parts
    from imagemill.pipeline.steps import Step

log = logging.getLogger(__name__)

CHUNK: Final = 16
"""Images in one claim, at most: enough that claiming costs little each, few enough that others get their turn."""

FAR: Final = 4
"""Where the database is across a network, a hand has so many times more images, and keeps them so many times longer."""

FAR_LOOKS: Final = 8
"""So many times more sources are looked for together there, and so many times less often are results recorded."""

SLICE_S: Final = 2.0
"""After this long a task gives back what it has not begun, so that no job keeps the others waiting."""

RECORD_S: Final = 0.25
"""Sources wait about so long for company in their batch, and results for the transaction that writes them."""

PAUSE_S: Final = 5.0
"""How often a pause for want of disk or storage is looked at again."""

_OURS: Final = "something went wrong on our side; the log says what"


def claim(parts: Parts, hands: Hands, job_id: int) -> tuple[Claim | None, list[Step]]:
    """Take some images of a job, and say which further hands its other images could use, when not all are at it."""
    if parts.stopping.is_set():
        return None, []
    if parts.room.shortage() or parts.outage.trouble():
        return None, [Work(job_id, delay_s=PAUSE_S)]
    token, shares = parts.leases.token(), 2 * parts.settings.threads
    with parts.leases.heard(token), parts.hosts.choosing() as open_to:
        doors = _doors(open_to)
        taken = parts.store.claim_images(
            job_id, most=CHUNK * _far(parts), shares=shares, token=token, lease_s=parts.leases.lease_s, doors=doors
        )
        if taken:
            parts.hosts.enter(host_of(taken.images[0].url))
    if taken and hands.on(job_id) >= parts.settings.threads - 1:
        return taken, []
    return taken, _more(parts, job_id, taken.submission.priority if taken else None)


def compress(parts: Parts, hands: Hands, taken: Claim) -> list[Step]:
    """Make the claimed images' outputs and record them; return what follows: more work, or the job's callback."""
    host = host_of(taken.images[0].url)
    try:
        with hands.at_work(taken.job_id), parts.leases.held(taken) as breaker, about(job=taken.job_uid):
            hand = _Hand(parts, hands, taken, breaker)
            hand.compress_all()
    finally:
        given_up = parts.hosts.leave(host)
    callbacks = _give_up(parts, host, given_up) if given_up else []
    return [*hand.notify, *callbacks, *_more(parts, taken.job_id, taken.submission.priority)]


def _give_up(parts: Parts, host: str, why: ImageError) -> list[Step]:
    """Fail what waits for a host that is given up, in every job there is; return the callbacks that follow."""
    error = ErrorInfo(code=why.image_code, message=why.detail)
    ended = [parts.store.give_up_host(job.id, host_number(host), error) for job in parts.store.open_jobs()]
    tell_given_up(parts, sum(failed for failed, _ in ended), why)
    return [Notify(delivery) for _, delivery in ended if delivery is not None]


def _more(parts: Parts, job_id: int, priority: int | None) -> list[Step]:
    if parts.stopping.is_set():
        return []
    due = parts.store.due_images(job_id, parts.settings.threads, _doors(parts.hosts.openings()))
    if due.images:
        return [Work(job_id, priority, tasks=due.images)]
    return [] if due.next_at is None else [Work(job_id, priority, delay_s=max(0.0, due.next_at - parts.clock()))]


def _doors(open_to: Openings) -> Doors:
    """Return what a claim may take, looked at from any host on: so all of a job's hosts have their turns."""
    return Doors(open_to.shut, open_to.only, random.getrandbits(HOST_BITS))


def _far(parts: Parts) -> int:
    return FAR if parts.store.is_shared else 1


class _Hand:
    """Claimed images: compressed a few at a time, recorded now and then, and in the end the rest is given back."""

    def __init__(self, parts: Parts, hands: Hands, taken: Claim, breaker: Breaker) -> None:
        self.notify: list[Step] = []
        self._parts = parts
        self._hands = hands
        self._taken = taken
        self._batch = Batch(parts, taken, breaker, FAR_LOOKS if parts.store.is_shared else 1)
        self._rest = {image.n for image in taken.images}
        self._records: list[Record] = []
        self._has_room = True
        self._is_wanted = True
        self._recorded_at = self._looked_at = time.monotonic()
        self._record_s = RECORD_S * (FAR_LOOKS if parts.store.is_shared else 1)
        self._ends_at = self._recorded_at + SLICE_S * _far(parts)

    def compress_all(self) -> None:
        """Compress and record what can be, and give back the rest."""
        try:
            for image in self._taken.images:
                self._compress(image)
        finally:
            self._open()

    def _compress(self, image: Claimed) -> None:
        """Fetch one image, unless it is to be given back, and compress what is fetched when that is worth it."""
        if not self._goes_on():
            return
        with self._guarded([image]):
            self._fetch(image)
        is_late = time.monotonic() - self._recorded_at > self._record_s
        if self._batch.is_full or is_late:
            self._compress_batch()
        if is_late:
            self._record([])

    def _open(self) -> None:
        """Compress what is fetched, record what is done, and give back the rest."""
        try:
            self._compress_batch()
        finally:
            self._batch.discard()
            self._record(sorted(self._rest))

    def _goes_on(self) -> bool:
        """Say whether to begin another image; what was fetched for a job that is cancelled or paused is dropped."""
        now = time.monotonic()
        if self._is_wanted and now - self._looked_at > self._record_s:
            self._looked_at = now
            self._is_wanted = self._hands.is_wanted(self._taken.job_id, self._record_s)
            if not self._is_wanted:
                self._batch.discard()
        return self._is_wanted and self._has_room and not self._parts.stopping.is_set() and now <= self._ends_at

    def _fetch(self, image: Claimed) -> None:
        started = time.monotonic()
        try:
            self._batch.fetch(image)
        except ImageError as error:
            self._keep(image, time.monotonic() - started, error)

    def _compress_batch(self) -> None:
        images = self._batch.images()
        ids = " ".join(keys.image_id(self._taken.job_uid, image.n) for image in images)
        with self._guarded(images), about(image=ids):
            for image, seconds, result in self._batch.compress():
                self._keep(image, seconds, result)
        self._has_room = self._has_room and not self._batch.is_refused

    @contextmanager
    def _guarded(self, images: list[Claimed]) -> Iterator[None]:
        """Tell apart what is the images' fault, what is nobody's, and what is ours."""
        try:
            yield
        except PoolClosed:
            self._batch.discard()
        except NoRoom:
            self._has_room = False
            self._parts.room.note_full()
            self._batch.discard()
        except StoreError:
            raise  # nothing is wrong with the images
        except Exception:
            # A mistake of ours, for the queue to log. It costs these images an attempt, or their job would never end.
            self._batch.discard()
            for image in images:
                self._keep(image, 0.0, ImageError(ImageCode.INTERNAL, _OURS))
            raise

    def _keep(self, image: Claimed, seconds: float, result: Result) -> None:
        is_failed = isinstance(result, ImageError)
        if is_failed and self._parts.stopping.is_set():
            return  # an attempt that we cut short ourselves does not count
        self._records.append(_record_of(self._parts, image, seconds, result))
        self._rest.discard(image.n)

    def _record(self, returned: list[int]) -> None:
        taken, records = self._taken, self._records
        with self._parts.meters.stages.timed("record"):
            due = self._hands.record(Handful(taken, records, returned))
        self._records, self._recorded_at = [], time.monotonic()
        tell_recorded(self._parts, taken, records)
        self.notify += [Notify(delivery) for delivery in due]


def _record_of(parts: Parts, image: Claimed, seconds: float, result: Result) -> Record:
    if isinstance(result, ImageError):
        return _setback(parts, image, result, seconds)
    return Record(
        n=image.n,
        seconds=round(seconds, 4),
        source=result.source,
        outputs=result.outputs,
        ssim=result.ssim,
        validator=result.validator,
    )


def _jitter() -> float:
    return random.random()  # noqa: S311  no secret


def _setback(parts: Parts, image: Claimed, error: ImageError, seconds: float) -> Record:
    """Decide what an error means: another attempt later, or the end."""
    section = parts.settings.fetch
    is_crash = error.image_code is ImageCode.DECODE_CRASHED
    attempts = 1 + (image.crashes if is_crash else image.attempts)
    policy = retry.Policy(retries=section.retries, base_s=section.retry_base_s)
    wait_s = error.retry_after_s or 0.0 if not error.is_attempt else retry.after(error, attempts, policy, _jitter())
    return Record(
        n=image.n,
        seconds=round(seconds, 4),
        error=ErrorInfo(code=error.image_code, message=error.detail),
        next_attempt_at=None if wait_s is None else parts.clock() + wait_s,
        is_attempt=error.is_attempt,
    )
