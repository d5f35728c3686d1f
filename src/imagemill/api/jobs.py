"""Jobs over HTTP: accepting one, listing them, looking at one and at its images."""

import hashlib
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from litestar import Request, Response, get, post
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath, FromQuery, QueryParameter, SkipValidation

from imagemill.api.auth import NEEDS
from imagemill.api.image_uploads import accept_images
from imagemill.api.openapi import (
    ACCEPTED,
    WATCHED,
    FormOperation,
    ImagesOperation,
    UploadOperation,
    WatchedOperation,
    refusals,
)
from imagemill.api.parts import Parts
from imagemill.api.problems import WRONG_PARAMETERS
from imagemill.api.ranges import is_unchanged
from imagemill.api.uploads import accept_upload, estimate_upload
from imagemill.core import keys
from imagemill.core.errors import RequestError
from imagemill.core.estimate import Estimate
from imagemill.core.failures import Failures
from imagemill.core.job import Image, ImageOrder, Job, with_links, with_pace
from imagemill.core.sheet import Fault
from imagemill.core.states import ImageState, JobState
from imagemill.db import Caller, JobFilter
from imagemill.pipeline import Accepted

GivenParts = NamedDependency[SkipValidation[Parts]]
GivenCaller = NamedDependency[SkipValidation[Caller]]
Limit = Annotated[int, QueryParameter(ge=1, le=500, description="How many, at most.")]
Cursor = Annotated[str | None, QueryParameter(description="`next_cursor` of the page before.")]
# `state` as an argument's name is Litestar's own.
OfJobs = Annotated[JobState | None, QueryParameter(name="state", description="Only jobs in this state.")]
OfImages = Annotated[ImageState | None, QueryParameter(name="state", description="Only images in this state.")]
Sort = Annotated[ImageOrder, QueryParameter(description="What comes first; `largest` goes by the output.")]
Moment = Annotated[datetime | None, QueryParameter(description="RFC 3339; UTC where it names no zone.")]

KEY_REUSED: Final = "The `Idempotency-Key` came with another sheet or other fields before: send a new one."

_LONGEST_WAIT_S: Final = 30


class AcceptedJob(Job, frozen=True, kw_only=True):
    """A job just accepted, with what its sheet might have meant otherwise."""

    warnings: list[Fault]


class JobList(msgspec.Struct, frozen=True):
    """Jobs, newest first. `next_cursor` is null on the last page."""

    jobs: list[Job]
    next_cursor: str | None


class ImageList(msgspec.Struct, frozen=True):
    """A job's images. `next_cursor` is null on the last page."""

    images: list[Image]
    next_cursor: str | None


@post(
    "/jobs",
    status_code=202,
    summary="Submit a sheet",
    description="Streams the sheet in and checks it meanwhile. The answer comes when the job is safely on the disk.",
    response_description="The job is accepted; `Location` names it, `Retry-After` says when to look.",
    response_headers=ACCEPTED,
    operation_class=UploadOperation,
    responses=refusals(400, 401, 403, 408, 413, 415, 422, 503, idempotency_key_reused=(409, KEY_REUSED)),
    opt={NEEDS: "submit"},
    request_max_body_size=None,
)
async def submit_sheet(request: Request[Caller, None, State], parts: GivenParts) -> Response[AcceptedJob]:
    """Accept a sheet."""
    return _accepted(await accept_upload(request, parts))


@post(
    "/images",
    status_code=202,
    summary="Submit images",
    description="One or more pictures themselves, as they are; they are kept as long as their job. The answer comes"
    " when all of it is safely on the disk.",
    response_description="The job is accepted; `Location` names it, `Retry-After` says when to look.",
    response_headers=ACCEPTED,
    operation_class=ImagesOperation,
    responses=refusals(401, 403, 408, 413, 415, 422, 503, idempotency_key_reused=(409, KEY_REUSED)),
    opt={NEEDS: "submit"},
    request_max_body_size=None,
)
async def submit_images(request: Request[Caller, None, State], parts: GivenParts) -> Response[AcceptedJob]:
    """Accept images."""
    return _accepted(await accept_images(request, parts))


@post(
    "/estimate",
    status_code=200,
    summary="Estimate what a sheet would cost",
    description="Takes the same form as a job. A few images, drawn by lot, are really fetched and compressed, and what"
    " they cost is extrapolated; `errors` are those of the sample. Nothing is queued and nothing is kept.",
    response_description="What it would cost.",
    operation_class=FormOperation,
    responses=refusals(400, 401, 403, 408, 413, 415, 422, 503),
    opt={NEEDS: "submit"},
    request_max_body_size=None,
)
async def estimate_sheet(request: Request[Caller, None, State], parts: GivenParts) -> Estimate:
    """Estimate a sheet."""
    return await estimate_upload(request, parts)


def refuse_null(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Guard: `state=null` is no state. Litestar would take it for none at all, and all were listed."""
    for name in ("state", "created_after", "created_before"):
        if connection.query_params.get(name, "").lower() == "null":
            raise RequestError(WRONG_PARAMETERS, [(name, "null is no value: leave it out")])


@get(
    "/jobs",
    summary="List jobs",
    description="Newest first. A token without the scope `admin` sees the jobs of its owner.",
    responses=refusals(401, 403, 422),
    guards=[refuse_null],
    sync_to_thread=True,
)
def list_jobs(  # noqa: PLR0913, PLR0917 - the parameters of the call
    request: Request[Any, Any, Any],
    parts: GivenParts,
    caller: GivenCaller,
    in_state: OfJobs = None,
    owner: FromQuery[str | None] = None,
    name: FromQuery[str | None] = None,
    created_after: Moment = None,
    created_before: Moment = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> JobList:
    """List jobs."""
    if caller.sees_only not in {None, owner or caller.owner}:
        return JobList([], None)
    where = JobFilter(
        state=in_state,
        owner=caller.sees_only or owner,
        name=name,
        created_after=_seconds(request, "created_after", created_after),
        created_before=_seconds(request, "created_before", created_before),
    )
    jobs, next_cursor = parts.store.jobs(where, limit, cursor)
    return JobList([shown(job, parts) for job in jobs], next_cursor)


@get(
    "/jobs/{job_id:uuid}",
    summary="Look at a job",
    description="`ETag` and `If-None-Match`: 304 while nothing has changed. `Retry-After` while it is unfinished.",
    operation_class=WatchedOperation,
    response_headers=WATCHED,
    responses=refusals(401, 403, 404),
    sync_to_thread=True,
)
def show_job(
    request: Request[Caller, None, State], parts: GivenParts, caller: GivenCaller, job_id: FromPath[UUID]
) -> Response[Job]:
    """Show one job."""
    job = shown(parts.store.job(str(job_id), caller.sees_only), parts)
    body: Any = msgspec.json.encode(job)
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": etag} | ({} if job.is_finished else {"Retry-After": str(_wait_s(job))})
    if is_unchanged(request.headers.get("If-None-Match", ""), etag):
        return Response(body[:0], status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)


@get(
    "/jobs/{job_id:uuid}/images",
    summary="List a job's images",
    description="In the order of the sheet: one entry for each URL of each cell. In another order (`sort`) only those"
    " that are done, each image once.",
    responses=refusals(401, 403, 404, 422),
    guards=[refuse_null],
    sync_to_thread=True,
)
def list_images(
    parts: GivenParts,
    caller: GivenCaller,
    job_id: FromPath[UUID],
    in_state: OfImages = None,
    sort: Sort = ImageOrder.POSITION,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> ImageList:
    """List the images of a job."""
    uid = parts.store.job(str(job_id), caller.sees_only).id
    if sort is ImageOrder.POSITION:
        images, next_cursor = parts.store.images(uid, in_state, limit, cursor)
    elif in_state in {None, ImageState.DONE}:
        images, next_cursor = parts.store.sorted_images(uid, sort, limit, cursor)
    else:
        images, next_cursor = [], None
    return ImageList([with_urls(image, parts) for image in images], next_cursor)


@get(
    "/jobs/{job_id:uuid}/failures",
    summary="See why a job's images failed",
    description="Its failed images by cause and host, the largest groups first, each with a few examples and what to do"
    " about it. `code` and `host` of a group are what `…/retry` takes.",
    responses=refusals(401, 403, 404, 422),
    sync_to_thread=True,
)
def list_failures(parts: GivenParts, caller: GivenCaller, job_id: FromPath[UUID], limit: Limit = 50) -> Failures:
    """Group the failed images of a job."""
    return parts.store.failures(parts.store.job(str(job_id), caller.sees_only).id, most=limit)


def shown(job: Job, parts: Parts) -> Job:
    """Return a job as it is shown: with its links, and its pace while it is at work."""
    pace = _pace(job, parts) if job.state is JobState.PROCESSING else None
    return with_links(job if pace is None else with_pace(job, pace))


def _pace(job: Job, parts: Parts) -> float | None:
    """Return how many images of a job end in a second: as counted here, or, of several machines, as seen."""
    if not parts.store.is_shared:
        return parts.meters.paces.now(job.id)
    counts = job.counts
    places_per_s = parts.meters.sightings.pace(job.id, counts.images - counts.pending - counts.running)
    return None if places_per_s is None else places_per_s * counts.unique / max(1, counts.images)


def with_urls(image: Image, parts: Parts) -> Image:
    """Return the image with the addresses of its outputs."""
    outputs = [
        msgspec.structs.replace(output, url=parts.link(keys.file_name(output.key, output.format)))
        for output in image.outputs
    ]
    return msgspec.structs.replace(image, outputs=outputs)


def _accepted(accepted: Accepted) -> Response[AcceptedJob]:
    job = AcceptedJob(**_fields(with_links(accepted.job)), warnings=accepted.warnings)
    return Response(job, status_code=202, headers={"Location": f"/api/v1/jobs/{job.id}", "Retry-After": "1"})


def _fields(struct: msgspec.Struct) -> dict[str, Any]:
    return {name: getattr(struct, name) for name in struct.__struct_fields__}


def _seconds(request: Request[Any, Any, Any], name: str, moment: datetime | None) -> float | None:
    if moment is None:
        return None
    try:
        msgspec.convert(request.query_params[name], datetime)  # Litestar takes `0` for a time, too
    except msgspec.ValidationError as error:
        raise RequestError(WRONG_PARAMETERS, [(name, str(error))]) from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _wait_s(job: Job) -> int:
    """Return after how many seconds it is worth looking again: a quarter of what is left, within reason."""
    return max(1, min(_LONGEST_WAIT_S, round((job.eta_s or 0) / 4)))
