"""Accepting a sheet while it arrives: its bytes go to the intake piece by piece, limits hold from the first one.

The 202 is answered when the job is durable, never before; whatever ends otherwise leaves nothing on the disk.
"""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, TypeVar

from litestar import Request
from litestar.datastructures import State
from litestar.exceptions import ClientException

from imagemill.api.fields import KEY_HEADER, digest, idempotency_key, submission
from imagemill.api.form import OVERHEAD_BYTES, UploadForm, too_large
from imagemill.api.parts import Parts
from imagemill.core.estimate import Estimate
from imagemill.db import Caller
from imagemill.pipeline import Accepted, Intake, Repeat

BATCH_BYTES: Final = 256 * 1024
"""The intake is fed so much at a time: a hop to a thread costs as much as reading 10 KiB of sheet."""

LEAST_BYTES_PER_S: Final = 1024
"""A client that sends a byte now and then would hold a place for ever: on the whole it must be faster than this."""

T = TypeVar("T")


class Upload:
    """One intake, used by one thread at a time, also when the request is given up while a thread is at it."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._turn = threading.Lock()

    async def feed(self, data: bytes) -> None:
        """Hand on some of the sheet."""
        await self._in_turn(lambda: self._intake.feed(data))

    async def finish(self, call: Callable[[Intake], T]) -> T:
        """Have something made of it."""
        return await self._in_turn(lambda: call(self._intake))

    async def discard(self) -> None:
        """Leave nothing; after `accept` there is nothing to leave."""
        await self._in_turn(self._intake.discard)

    async def _in_turn(self, call: Callable[[], T]) -> T:
        def turn() -> T:
            with self._turn:
                return call()

        return await asyncio.to_thread(turn)


async def accept_upload(request: Request[Caller, None, State], parts: Parts) -> Accepted:
    """Receive a multipart form and make its sheet a job; RequestError lists its faults, SheetError the sheet's."""
    key = idempotency_key(request.headers.getall(KEY_HEADER, []))

    async def accept(upload: Upload, form: UploadForm) -> Accepted:
        def accepted(intake: Intake) -> Accepted:
            asked = submission(parts.settings, form.fields, form.errors)
            repeat = Repeat(key, digest(form.fields)) if key else None
            return intake.accept(asked, owner=request.user.owner, filename=form.filename or "", repeat=repeat)

        return await upload.finish(accepted)

    return await _received(request, parts, parts.pipeline.intake, accept)


async def estimate_upload(request: Request[Caller, None, State], parts: Parts) -> Estimate:
    """Receive a multipart form and say what its sheet would cost; for who leaves meanwhile nothing more is fetched."""
    gone = threading.Event()

    async def estimate(upload: Upload, form: UploadForm) -> Estimate:
        watcher = asyncio.create_task(_watch(request, gone))
        try:
            return await upload.finish(
                lambda intake: intake.estimate(submission(parts.settings, form.fields, form.errors), gone.is_set)
            )
        finally:
            gone.set()
            watcher.cancel()

    return await _received(request, parts, parts.pipeline.survey, estimate)


async def _watch(request: Request[Caller, None, State], gone: threading.Event) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    gone.set()


async def _received(
    request: Request[Caller, None, State],
    parts: Parts,
    begin: Callable[[], Intake],
    finish: Callable[[Upload, UploadForm], Awaitable[T]],
) -> T:
    """Feed a form's sheet to an intake while it comes, and return what `finish` makes of both."""
    limit = parts.settings.max_upload_bytes
    form = UploadForm(_boundary(request), limit)
    if (request.content_length or 0) > limit + OVERHEAD_BYTES:
        raise too_large(limit)
    upload = Upload(await asyncio.to_thread(begin))
    try:
        async for sheet in _batches(form, _body(request, parts.body_timeout_s)):
            await upload.feed(sheet)
        form.close()
        return await finish(upload, form)
    finally:
        await upload.discard()


async def _batches(form: UploadForm, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the sheet's bytes in pieces worth a thread's while."""
    batch = bytearray()
    async for chunk in body:
        batch += form.feed(chunk)
        if len(batch) >= BATCH_BYTES:
            yield bytes(batch)
            batch.clear()
    yield bytes(batch)


async def _body(request: Request[Caller, None, State], timeout_s: float) -> AsyncIterator[bytes]:
    """Yield the body as it comes; 408 when it comes too slowly, ClientException when the client is gone."""
    started_at = time.monotonic()
    received = 0
    is_more = True
    while is_more:
        patience_s = started_at + timeout_s + received / LEAST_BYTES_PER_S - time.monotonic()
        try:
            message = await asyncio.wait_for(request.receive(), min(timeout_s, patience_s))
        except TimeoutError as error:
            raise ClientException("The body came too slowly: try again on a better line.", status_code=408) from error
        if message["type"] != "http.request":
            raise ClientException("The client left before its upload was complete.")
        received += len(message["body"])
        is_more = message["more_body"]
        yield message["body"]


def _boundary(request: Request[Caller, None, State]) -> str:
    kind, options = request.content_type
    boundary = options.get("boundary", "")
    if kind != "multipart/form-data" or not boundary:
        raise ClientException("Send the sheet as multipart/form-data, in the file `file`.", status_code=415)
    return boundary
