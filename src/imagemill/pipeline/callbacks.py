"""Notify: one attempt to tell somebody that a job has ended, and when the next one is."""

from __future__ import annotations

import random
import secrets
import time
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from imagemill.core import retry
from imagemill.core.errors import IllegalTransitionError, NotFoundError
from imagemill.core.job import Trial, with_links
from imagemill.core.profiles import CALLBACKS
from imagemill.pipeline.patience import patiently
from imagemill.pipeline.steps import Notify
from imagemill.pipeline.tidings import tell_called_back
from imagemill.webhook import headers_of

if TYPE_CHECKING:
    from imagemill.core.job import Attempt, Job
    from imagemill.db import Delivery
    from imagemill.pipeline.parts import Parts
    from imagemill.pipeline.steps import Step
    from imagemill.webhook import Caller

MARGIN_S: Final = 45.0
"""Who was killed while making a callback keeps it from others for so long after the attempt would have ended."""

GONE: Final = 410
"""The receiver wants no more callbacks (Standard Webhooks)."""


def notify(parts: Parts, delivery_id: int) -> list[Step]:
    """Make one attempt at a callback, when it is due and nobody else is at it."""
    delivery = parts.store.claim_delivery(delivery_id, parts.settings.callback.timeout_s + MARGIN_S)
    if delivery is None:
        return []
    # The end of the job is on the database's disk. Its outputs' names need not be: PostgreSQL's is another, and SQLite,
    # writing over its log in place, flushes no journal (fdatasync). What the power took would be made, and told, again.
    parts.storage.settle()
    now = datetime.fromtimestamp(parts.clock(), UTC)
    try:
        body = _body(parts, delivery)
    except NotFoundError:
        return []  # the job was deleted in this moment, and its callbacks with it
    if delivery.profile == "csv-api" and parts.settings.compat.callback_get:
        attempt = parts.caller.get(delivery.url, delivery.secret, delivery.uid, now)
    else:
        attempt = parts.caller.post(delivery.url, delivery.secret, delivery.uid, body, now)
    state, wait_s = _outcome(delivery, attempt)
    next_attempt_at = None if wait_s is None else parts.clock() + wait_s
    record = partial(parts.store.record_attempt, delivery, attempt, state=state, next_attempt_at=next_attempt_at)
    patiently(parts, record)
    tell_called_back(parts, delivery, attempt, state, wait_s)
    return [] if wait_s is None else [Notify(delivery_id, delay_s=wait_s)]


def redeliver(parts: Parts, job: Job) -> list[Step]:
    """Tell the last end of a job again, now; IllegalTransitionError where it has none to tell."""
    delivery = parts.store.redeliver(job.id)
    if delivery is None:
        message = "there is no callback to make again: the job names none, has not ended, or its callback is being made"
        raise IllegalTransitionError(message)
    return [Notify(delivery)]


def trial(parts: Parts, url: str, secret: str | None) -> Trial:
    """Make a callback that tells of no job, now; RequestError where the policy forbids the address."""
    parts.caller.check(url)
    key = secret or parts.settings.callback.secret
    return tried(parts.caller, url, key, datetime.fromtimestamp(parts.clock(), UTC))


def tried(caller: Caller, url: str, key: str | None, at: datetime) -> Trial:
    """Make such a callback without further questions, signed with `key`."""
    started = time.monotonic()
    body = msgspec.json.encode({"type": "test", "timestamp": at, "data": {"message": "A callback of imagemill's."}})
    message_id = f"msg_{secrets.token_hex(16)}"
    attempt = caller.post(url, key, message_id, body, at)
    return Trial(
        url=url,
        headers=headers_of(key, message_id, body, at),
        body=body.decode(),
        attempt=attempt,
        seconds=round(time.monotonic() - started, 3),
    )


def _outcome(delivery: Delivery, attempt: Attempt) -> tuple[str, float | None]:
    if attempt.status is not None and 200 <= attempt.status < 300:
        return "delivered", None
    jitter = random.random()  # noqa: S311  jitter, not a secret
    delays_s = retry.OLD_CALLBACK_DELAYS_S if delivery.profile in CALLBACKS else retry.CALLBACK_DELAYS_S
    wait_s = retry.callback_after(delivery.attempts + 1, jitter, attempt.retry_after_s, delays_s=delays_s)
    return ("failed", None) if attempt.status == GONE or wait_s is None else ("pending", wait_s)


def _body(parts: Parts, delivery: Delivery) -> bytes:
    job = with_links(parts.store.job(delivery.job_uid), parts.public_url())
    at = datetime.fromtimestamp(round(delivery.created_at, 3), UTC)
    if shape := CALLBACKS.get(delivery.profile):
        return msgspec.json.encode(shape(job, at, parts.public_url()))
    links = job.links
    return msgspec.json.encode(
        {
            "type": delivery.event,
            "timestamp": at,
            "data": {"job": job, "output_url": links and links.output, "report_url": links and links.report},
        }
    )
