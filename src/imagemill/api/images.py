"""One image of a job by its id: what became of it, its source where that is kept, and its outputs."""

from pathlib import Path
from typing import Final
from uuid import UUID

from litestar import delete, get
from litestar.params import FromPath
from litestar.response import Redirect
from litestar.types import ASGIApp

from imagemill.api.auth import NEEDS
from imagemill.api.downloads import content_disposition
from imagemill.api.files import ServedFile
from imagemill.api.jobs import GivenCaller, GivenParts, with_urls
from imagemill.api.openapi import OriginalOperation, refusals
from imagemill.api.parts import Parts
from imagemill.core import keys
from imagemill.core.errors import NotFinishedError, NotFoundError
from imagemill.core.job import Image
from imagemill.core.states import OPEN
from imagemill.db import Caller

_NO_IMAGE: Final = "there is no such image: list them with GET /api/v1/jobs/{id}/images"
_WHEN_OPEN: Final = "The image has not ended yet."


@get(
    "/images/{image_id:uuid}",
    summary="Look at an image",
    description="One place of a job's sheet: its state, why it failed, its source and outputs.",
    responses=refusals(401, 403, 404),
    sync_to_thread=True,
)
def show_image(parts: GivenParts, caller: GivenCaller, image_id: FromPath[UUID]) -> Image:
    """Show one image."""
    return with_urls(_image(parts, caller, image_id), parts)


@get(
    "/images/{image_id:uuid}/original",
    summary="Download an image's source",
    description="Byte for byte as it was sent, or as it was fetched where the job was submitted with `keep_original`.",
    operation_class=OriginalOperation,
    responses=refusals(401, 403, 404, 416, not_finished=(409, _WHEN_OPEN)),
    sync_to_thread=True,
)
def download_original(parts: GivenParts, caller: GivenCaller, image_id: FromPath[UUID]) -> ASGIApp:
    """Give the source back."""
    image = _image(parts, caller, image_id)
    if sent := parts.pipeline.sent_image(image):
        return _attached(sent, f"{image.row}-{image.position}", "application/octet-stream")
    if not parts.store.submission(image.job_id).keep_original:
        raise NotFoundError("This job's sources are not kept: submit it with keep_original=true.")
    if image.state in OPEN:
        raise NotFinishedError("This image has not ended yet: ask again when it is done.")
    path = parts.pipeline.original(image.source) if image.source else None
    if image.source is None or path is None:
        raise NotFoundError("This image has no source: it failed, or was cancelled.")
    name = f"{image.row}-{image.position}.{keys.EXTENSIONS[image.source.format]}"
    return _attached(path, name, f"image/{image.source.format}")


@get(
    "/images/{image_id:uuid}/outputs/{name:str}",
    summary="Find an image's output",
    description="Leads to the published address of one output: `image`, or `thumb-100x100` and the like.",
    status_code=307,
    responses=refusals(401, 403, 404),
    sync_to_thread=True,
)
def find_output(parts: GivenParts, caller: GivenCaller, image_id: FromPath[UUID], name: FromPath[str]) -> Redirect:
    """Redirect to an output."""
    image = with_urls(_image(parts, caller, image_id), parts)
    for output in image.outputs:
        if output.name == name:
            return Redirect(output.url, status_code=307)
    made = ", ".join(output.name for output in image.outputs) or "none"
    raise NotFoundError(f"This image has no such output; it has: {made}.")


@delete(
    "/images/{image_id:uuid}",
    summary="Delete an image",
    description="Takes an ended image's outputs away from its job, at all its places, and every file of it that nothing"
    " else uses; it counts as cancelled from then on. May be sent again.",
    responses=refusals(401, 403, 404, illegal_transition=(409, _WHEN_OPEN)),
    opt={NEEDS: "submit"},
    sync_to_thread=True,
)
def delete_image(parts: GivenParts, caller: GivenCaller, image_id: FromPath[UUID]) -> None:
    """Delete it."""
    parts.pipeline.verbs.drop(_image(parts, caller, image_id))


def _attached(path: Path, name: str, media_type: str) -> ServedFile:
    """Return a source as a file to be kept: what strangers made is not shown under our name."""
    headers = ((b"content-disposition", content_disposition(name).encode()), (b"cache-control", b"private, no-cache"))
    return ServedFile(path, f'"{path.name[:40]}"', media_type, headers)


def _image(parts: Parts, caller: Caller, image_id: UUID) -> Image:
    found = keys.split_image_id(str(image_id))
    if found is None:
        raise NotFoundError(_NO_IMAGE)
    job_id, place = found
    parts.store.job(job_id, caller.sees_only)
    return parts.store.image(job_id, place)
