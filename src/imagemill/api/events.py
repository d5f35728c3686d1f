"""A job as it goes on, as Server-Sent Events: `progress`, `image` where asked for, `finished`.

Every event bears the revision of the last image told as its id, so `Last-Event-ID` goes on where a connection broke,
also after a restart. What a stream shows is read from the database each time: nothing is kept for it.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Annotated, Final
from uuid import UUID

import msgspec
from litestar import Request, get
from litestar.datastructures import State
from litestar.params import FromPath, QueryParameter
from litestar.response import ServerSentEvent, ServerSentEventMessage

from imagemill.api.jobs import GivenCaller, GivenParts, shown, with_urls
from imagemill.api.openapi import EventsOperation, refusals
from imagemill.api.parts import Parts
from imagemill.core.errors import NotFoundError
from imagemill.core.job import Image, Job
from imagemill.db import Caller, StoreError

LOOK_S: Final = 0.25
"""The job is looked at so often, at most; where looking is dear, a tenth of the time goes into it."""

HEARTBEAT_S: Final = 15.0
"""Also the time after which a client that has left is noticed, when nothing happens."""

RETRY_MS: Final = 2_000
_LOOK_SHARE: Final = 10
_PAGE: Final = 200
_REVISION_DIGITS: Final = 18

WithImages = Annotated[bool, QueryParameter(description="Tell each image as it ends.")]


@get(
    "/jobs/{job_id:uuid}/events",
    summary="Watch a job",
    description="Server-Sent Events: `progress` (the job, at most 4 a second), `image` (with `?images=1`, from now on,"
    " or from `Last-Event-ID` on), `finished` (the job; then the stream ends). A comment every 15 s keeps it open.",
    operation_class=EventsOperation,
    responses=refusals(401, 403, 404, 422),
    sync_to_thread=True,
)
def stream_events(
    request: Request[Caller, None, State],
    parts: GivenParts,
    caller: GivenCaller,
    job_id: FromPath[UUID],
    *,
    images: WithImages = False,
) -> ServerSentEvent:
    """Stream them."""
    job = parts.store.job(str(job_id), caller.sees_only)
    told = _revision(request.headers.get("Last-Event-ID", ""))
    watch = Watch(parts, job.id, parts.store.last_revision(job.id) if told is None else told, with_images=images)
    return ServerSentEvent(watch.events(), retry_duration=RETRY_MS)


class Watch:
    """One client's view of one job. `told` is the revision of the last image it was told."""

    def __init__(self, parts: Parts, uid: str, told: int, *, with_images: bool) -> None:
        self._parts = parts
        self._uid = uid
        self._told = told
        self._with_images = with_images
        self._shown = b""
        self._spoke_at = time.monotonic()

    async def events(self) -> AsyncIterator[ServerSentEventMessage]:
        """Yield events until the job has ended or is deleted, or the appliance stops."""
        is_over = False
        while not is_over and not self._parts.closing.is_set():
            begun = time.monotonic()
            messages, is_over = await asyncio.to_thread(self._look)
            for message in messages:
                self._spoke_at = begun
                yield message
            if begun - self._spoke_at >= HEARTBEAT_S:
                self._spoke_at = begun
                yield ServerSentEventMessage(data=None, comment="still here")
            if not is_over:
                await self._rest(time.monotonic() - begun)

    async def _rest(self, took_s: float) -> None:
        """Wait until the next look, in steps that notice the appliance's stop."""
        ends_at = time.monotonic() + max(LOOK_S, took_s * _LOOK_SHARE)
        while (left := ends_at - time.monotonic()) > 0 and not self._parts.closing.is_set():  # noqa: ASYNC110 - a thread's
            await asyncio.sleep(min(left, LOOK_S))

    def _look(self) -> tuple[list[ServerSentEventMessage], bool]:
        """Return what is new, and whether that was all there will be."""
        try:
            # The job first: an image that ends between the two looks is told before the job is.
            job = shown(self._parts.store.job(self._uid), self._parts)
            images = self._new_images()
        except NotFoundError:
            return [], True
        except StoreError:
            return [], False  # locked, or its disk is full: the next look may find it well
        is_over = job.is_finished and len(images) < _PAGE
        return [*images, *self._of_job(job, is_over=is_over)], is_over

    def _new_images(self) -> list[ServerSentEventMessage]:
        if not self._with_images:
            return []
        found = self._parts.store.settled_images(self._uid, self._told, _PAGE)
        messages = []
        for self._told, image in found:
            messages.append(self._message("image", with_urls(image, self._parts)))
        return messages

    def _of_job(self, job: Job, *, is_over: bool) -> list[ServerSentEventMessage]:
        encoded = msgspec.json.encode(job)
        if not is_over and encoded == self._shown:
            return []
        self._shown = encoded
        return [self._message("finished" if is_over else "progress", job)]

    def _message(self, event: str, what: Job | Image) -> ServerSentEventMessage:
        return ServerSentEventMessage(data=msgspec.json.encode(what), event=event, id=self._told)


def _revision(last_event_id: str) -> int | None:
    """Return the revision in a Last-Event-ID; None for none, and for what is none of ours."""
    is_ours = last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) <= _REVISION_DIGITS
    return int(last_event_id) if is_ours else None
