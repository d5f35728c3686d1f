"""Images that clients send themselves: taken in while they come, many to become a job, or one to try a recipe on."""

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Protocol, TypeVar

from litestar import Request
from litestar.datastructures import State
from litestar.exceptions import ClientException

from imagemill.api.fields import KEY_HEADER, idempotency_key
from imagemill.api.form import OVERHEAD_BYTES, ImagesForm, too_large
from imagemill.api.parts import Parts
from imagemill.api.uploads import BATCH_BYTES, Begun, Upload, accepted, asked_for, body_of, boundary_of, upload_limit
from imagemill.db import Caller
from imagemill.pipeline import Accepted, PictureIntake, Preview

T = TypeVar("T")


class Images(Begun, Protocol):
    """What takes images: one begins, bytes of it, it ends."""

    def begin(self, filename: str) -> None:
        """Begin an image."""

    def write(self, data: bytes) -> None:
        """Take the next bytes of it."""

    def end(self) -> None:
        """It is whole."""


TakingImages = TypeVar("TakingImages", bound=Images)


async def accept_images(request: Request[Caller, None, State], parts: Parts) -> Accepted:
    """Receive a multipart form and make its images a job; RequestError lists its faults."""
    boundary = boundary_of(request)
    if boundary is None:
        raise ClientException("Send images as multipart/form-data, in the files `image`.", status_code=415)
    key = idempotency_key(request.headers.getall(KEY_HEADER, []))
    settings = parts.settings
    form = ImagesForm(boundary, most_images=settings.max_upload_images, most_bytes=settings.fetch.max_bytes)
    finish = partial(accepted, parts, form, request.user.owner, key)
    return await receive_images(request, parts, form, parts.pipeline.image_intake, finish)


async def receive_images(
    request: Request[Caller, None, State],
    parts: Parts,
    form: ImagesForm,
    begin: Callable[[], TakingImages],
    finish: Callable[[TakingImages], T],
) -> T:
    """Feed a form's images to an intake while they come, and return what `finish` makes of it."""
    limit = upload_limit(request, parts)
    upload = Upload(await asyncio.to_thread(begin))
    try:
        async for events in _events(form, body_of(request, parts.body_timeout_s), limit):
            await upload.finish(partial(_take, events))
        form.close()
        return await upload.finish(finish)
    finally:
        await upload.discard()


async def try_picture(request: Request[Caller, None, State], parts: Parts) -> tuple[Preview, bytes]:
    """Receive a multipart form with one picture, and return what its recipe makes of that."""
    boundary = boundary_of(request)
    if boundary is None:
        raise ClientException("Send the picture as multipart/form-data, in the file `image`.", status_code=415)
    form = ImagesForm(boundary, most_images=1, most_bytes=parts.settings.draft.max_picture_bytes)
    form.limit = "draft.max_picture_bytes"

    def finish(intake: PictureIntake) -> tuple[Preview, bytes]:
        return intake.output(asked_for(parts, form).recipe)

    return await receive_images(request, parts, form, parts.pipeline.picture_intake, finish)


def _take(events: list[str | bytes | None], intake: Images) -> None:
    for event in events:
        if event is None:
            intake.end()
        elif isinstance(event, bytes):
            intake.write(event)
        else:
            intake.begin(event)


async def _events(
    form: ImagesForm, body: AsyncIterator[bytes], most_bytes: int
) -> AsyncIterator[list[str | bytes | None]]:
    """Yield what a body says of its images, in lots worth a thread's while."""
    lot: list[str | bytes | None] = []
    held = received = 0
    async for chunk in body:
        received += len(chunk)
        if received > most_bytes + OVERHEAD_BYTES:
            raise too_large(most_bytes)
        lot += form.feed(chunk)
        held += len(chunk)
        if held >= BATCH_BYTES:
            yield lot
            lot, held = [], 0
    yield lot
