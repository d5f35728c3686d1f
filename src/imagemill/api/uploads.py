"""Accepting a sheet while it arrives: its bytes go to the intake piece by piece, limits hold from the first one.

The 202 is answered when the job is durable, never before; whatever ends otherwise leaves nothing on the disk.
"""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Final, Generic, Protocol, TypeVar

from litestar import Request
from litestar.datastructures import State
from litestar.exceptions import ClientException

from imagemill.api.documents import Document
from imagemill.api.fields import KEY_HEADER, digest, idempotency_key, submission
from imagemill.api.form import OVERHEAD_BYTES, UploadForm, json_too_large, too_large
from imagemill.api.parts import Parts
from imagemill.core.errors import NotFoundError, RequestError
from imagemill.core.estimate import Estimate
from imagemill.core.job import JobKind, Submission
from imagemill.core.sheet import SheetError
from imagemill.db import Caller
from imagemill.pipeline import (
    Accepted,
    Draft,
    Intake,
    Kept,
    Repeat,
    batched,
    images_sheet,
)

BATCH_BYTES: Final = 256 * 1024
"""The intake is fed so much at a time: a hop to a thread costs as much as reading 10 KiB of sheet."""

LEAST_BYTES_PER_S: Final = 1024
"""A client that sends a byte now and then would hold a place for ever: on the whole it must be faster than this."""

T = TypeVar("T")


class Begun(Protocol):
    """What can be given up."""

    def discard(self) -> None:
        """Leave nothing."""


Taking = TypeVar("Taking", bound=Begun)


class Form(Protocol):
    """What came beside a sheet: its name, the fields, and what is wrong with them already."""

    @property
    def filename(self) -> str | None:
        """The sheet's name, as its client has it."""

    @property
    def fields(self) -> list[tuple[str, str]]:
        """Names and texts."""

    @property
    def errors(self) -> list[tuple[str, str]]:
        """Names, and what is wrong."""


Begin = Callable[[JobKind], Intake]


class Upload(Generic[Taking]):
    """One intake, used by one thread at a time, also when the request is given up while a thread is at it."""

    def __init__(self, intake: Taking) -> None:
        self._intake = intake
        self._turn = threading.Lock()

    async def finish(self, call: Callable[[Taking], T]) -> T:
        """Have something done with it, or made of it."""
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
    """Receive a form, or JSON, and make a job of it; RequestError lists its faults, SheetError the sheet's."""
    key = idempotency_key(request.headers.getall(KEY_HEADER, []))

    async def accept(upload: Upload[Intake], form: Form) -> Accepted:
        return await upload.finish(partial(accepted, parts, form, request.user.owner, key))

    return await _received(request, parts, parts.pipeline.intake, accept)


def boundary_of(request: Request[Caller, None, State]) -> str | None:
    """Return what separates the parts of a multipart form; None where the body is no such form."""
    kind, options = request.content_type
    return options.get("boundary") or None if kind == "multipart/form-data" else None


def asked_for(parts: Parts, form: Form) -> Submission:
    return submission(parts.settings, form.fields, form.errors)


def accepted(parts: Parts, form: Form, owner: str, key: str | None, intake: Intake) -> Accepted:
    asked = asked_for(parts, form)
    repeat = Repeat(key, digest(form.fields)) if key else None
    return intake.accept(asked, owner=owner, filename=form.filename or "", repeat=repeat)


async def estimate_upload(request: Request[Caller, None, State], parts: Parts) -> Estimate:
    """Receive a form, or JSON, and say what it would cost; for who leaves meanwhile nothing more is fetched."""

    async def estimate(upload: Upload[Intake], form: Form) -> Estimate:
        return await _while_wanted(
            request, lambda is_gone: upload.finish(lambda intake: intake.estimate(asked_for(parts, form), is_gone))
        )

    if request.content_type[0] != "application/json":
        return await _received(request, parts, parts.pipeline.survey, estimate)
    document, draft = await _document(request, parts)
    if draft and (found := await _estimated(request, parts, document, draft)):
        return found
    return await _taken_in(parts, document, draft, parts.pipeline.survey, estimate)


async def _estimated(
    request: Request[Caller, None, State], parts: Parts, document: Document, draft: Kept
) -> Estimate | None:
    """Say what a draft would cost from what is known of it already, where that is enough."""
    asked = asked_for(parts, document)
    return await _while_wanted(
        request, lambda is_gone: asyncio.to_thread(parts.pipeline.estimate_draft, draft, asked, is_gone)
    )


async def _while_wanted(request: Request[Caller, None, State], call: Callable[[Callable[[], bool]], Awaitable[T]]) -> T:
    """Return what `call` returns, which is told whether the client is still there."""
    gone = threading.Event()
    watcher = asyncio.create_task(_watch(request, gone))
    try:
        return await call(gone.is_set)
    finally:
        gone.set()
        watcher.cancel()


async def check_upload(request: Request[Caller, None, State], parts: Parts) -> Draft:
    """Receive a form, or JSON, and say what is in the sheet."""

    async def check(upload: Upload[Intake], form: Form) -> Draft:
        def keep(intake: Intake) -> Draft:
            column, filename = asked_for(parts, form).image_column, form.filename or ""
            return intake.draft(parts.pipeline.drafts, column, owner=request.user.owner, filename=filename)

        return await upload.finish(keep)

    return await _received(request, parts, parts.pipeline.checking, check)


async def _watch(request: Request[Caller, None, State], gone: threading.Event) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    gone.set()


async def _received(
    request: Request[Caller, None, State],
    parts: Parts,
    begin: Begin,
    finish: Callable[[Upload[Intake], Form], Awaitable[T]],
) -> T:
    """Feed what comes to an intake, and return what `finish` makes of both."""
    if request.content_type[0] == "application/json":
        return await _taken_in(parts, *await _document(request, parts), begin, finish)
    if boundary := boundary_of(request):
        form = UploadForm(boundary, parts.settings.max_upload_bytes)
        return await receive_sheet(request, parts, form, begin, finish)
    message = "Send the sheet as multipart/form-data, in the file `file`, or a JSON object."
    raise ClientException(message, status_code=415)


def _fed(sheet: bytes, intake: Intake) -> None:
    intake.feed(sheet)


def upload_limit(request: Request[Caller, None, State], parts: Parts) -> int:
    """Return how many bytes an upload may have; refuse one that says it has more."""
    limit = parts.settings.max_upload_bytes
    if (request.content_length or 0) > limit + OVERHEAD_BYTES:
        raise too_large(limit)
    return limit


async def receive_sheet(
    request: Request[Caller, None, State],
    parts: Parts,
    form: UploadForm,
    begin: Begin,
    finish: Callable[[Upload[Intake], Form], Awaitable[T]],
) -> T:
    """Feed a form's sheet to an intake while it comes, and return what `finish` makes of both."""
    upload_limit(request, parts)
    upload = Upload(await asyncio.to_thread(begin, "sheet"))
    try:
        async for sheet in _batches(form, body_of(request, parts.body_timeout_s)):
            await upload.finish(partial(_fed, sheet))
        form.close()
        return await finish(upload, form)
    finally:
        await upload.discard()


async def _document(request: Request[Caller, None, State], parts: Parts) -> tuple[Document, Kept | None]:
    """Receive a JSON object, and find the draft that it names."""
    asked = Document(await _whole(request, parts))
    return asked, await asyncio.to_thread(_draft_of, parts, asked, request.user.sees_only)


async def _taken_in(
    parts: Parts,
    asked: Document,
    draft: Kept | None,
    begin: Begin,
    finish: Callable[[Upload[Intake], Form], Awaitable[T]],
) -> T:
    """Feed in the sheet that a JSON object names, or one of the images that it lists."""
    kind: JobKind = draft.about.kind if draft else "sheet" if asked.images is None else "images"
    upload = Upload(await asyncio.to_thread(begin, kind))
    try:
        if not asked.errors:
            await upload.finish(lambda intake: _feed(intake, parts, asked, draft))
        return await finish(upload, asked)
    except SheetError as error:
        raise asked.refusal(error) from error
    finally:
        await upload.discard()


def _draft_of(parts: Parts, asked: Document, sees_only: str | None) -> Kept | None:
    if not asked.draft or asked.errors:
        return None
    try:
        draft = parts.pipeline.drafts.find(asked.draft, sees_only)
    except NotFoundError as error:
        raise RequestError("The draft is not kept any more.", [("draft", error.detail)]) from error
    asked.filename = draft.about.filename
    return draft


def _feed(intake: Intake, parts: Parts, asked: Document, draft: Kept | None) -> None:
    if draft:
        pieces = parts.pipeline.drafts.pieces(draft)
    elif asked.sheet_url:
        pieces = parts.pipeline.remote_sheet(asked.sheet_url)
    else:
        pieces = images_sheet(asked.images or [])
    for batch in batched(pieces, BATCH_BYTES):
        intake.feed(batch)


async def _whole(request: Request[Caller, None, State], parts: Parts) -> bytes:
    """Return a body that is small enough to be held in memory."""
    limit, body = parts.settings.max_json_bytes, bytearray()
    if (request.content_length or 0) > limit:
        raise json_too_large(limit)
    async for chunk in body_of(request, parts.body_timeout_s):
        body += chunk
        if len(body) > limit:
            raise json_too_large(limit)
    return bytes(body)


async def _batches(form: UploadForm, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the sheet's bytes in pieces worth a thread's while."""
    batch = bytearray()
    async for chunk in body:
        batch += form.feed(chunk)
        if len(batch) >= BATCH_BYTES:
            yield bytes(batch)
            batch.clear()
    yield bytes(batch)


async def body_of(request: Request[Caller, None, State], timeout_s: float) -> AsyncIterator[bytes]:
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
