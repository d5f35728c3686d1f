"""What became of images and callbacks, told: counted for /metrics, and a line in the log where something failed."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from imagemill.core import keys
from imagemill.core.keys import host_of
from imagemill.core.states import Move
from imagemill.logs import about

if TYPE_CHECKING:
    from imagemill.core.errors import ImageError
    from imagemill.core.job import Attempt, ErrorInfo
    from imagemill.db import Claim, Claimed, Delivery, Record
    from imagemill.pipeline.parts import Parts

log = logging.getLogger(__name__)

OUTCOMES: Final = {
    Move.COMPLETE: "done",
    Move.FAIL: "failed",
    Move.POSTPONE: "postponed",
    Move.RELEASE: "put_off",
}
"""`postponed` is tried again, `put_off` was not tried: its host is left alone."""


def tell_recorded(parts: Parts, taken: Claim, records: list[Record]) -> None:
    """Tell of images that were recorded."""
    meters = parts.meters
    images = {image.n: image for image in taken.images}
    for record in records:
        meters.images.add(OUTCOMES[record.move], record.error.code if record.error else "")
        if record.error:
            _tell_error(taken.job_uid, images[record.n], record.error, OUTCOMES[record.move])
    sources = [record.source.bytes for record in records if record.source]
    meters.source_bytes.add(amount=sum(sources))
    meters.output_bytes.add(amount=sum(output.bytes for record in records for output in record.outputs))
    meters.pace.add(len(sources), sum(sources))
    meters.paces.add(taken.job_uid, sum(record.move in {Move.COMPLETE, Move.FAIL} for record in records))


def tell_given_up(parts: Parts, images: int, why: ImageError) -> None:
    """Tell of images that failed untried, because their host was given up."""
    if images:
        parts.meters.images.add("failed", why.image_code, amount=images)
        log.warning("images failed with their host: %d, %s: %s", images, why.image_code, why.detail)


def tell_called_back(parts: Parts, delivery: Delivery, attempt: Attempt, state: str, wait_s: float | None) -> None:
    """Tell of an attempt at a callback."""
    parts.meters.callbacks.add("retried" if state == "pending" else state)
    answer = attempt.status or attempt.error
    with about(job=delivery.job_uid):
        if wait_s is not None:
            log.warning("callback not delivered: %s, attempt %d, next in %.0f s", answer, delivery.attempts + 1, wait_s)
        else:
            log.info("callback %s: %s, attempt %d", state, answer, delivery.attempts + 1)


def _tell_error(job_uid: str, image: Claimed, error: ErrorInfo, outcome: str) -> None:
    """Name the host and not the address: its query may be a key, and the report has it."""
    with about(job=job_uid, image=keys.image_id(job_uid, image.n)):
        level = logging.INFO if outcome == "failed" else logging.DEBUG
        log.log(level, "image %s: %s, attempt %d, host %s", outcome, error.code, image.attempts + 1, host_of(image.url))
