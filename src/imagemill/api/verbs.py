"""What a client does to a job over HTTP: cancel, pause, resume, retry, delete."""

from typing import Annotated, Final
from uuid import UUID

import msgspec
from litestar import delete, post
from litestar.params import FromPath, JSONBody

from imagemill.api.auth import NEEDS
from imagemill.api.jobs import GivenCaller, GivenParts, shown
from imagemill.api.openapi import refusals
from imagemill.core.errors import ImageCode, RequestError
from imagemill.core.failures import ALL, Cause
from imagemill.core.job import Job

MAX_IDS: Final = 10_000

_ONE_WAY: Final = "Name images by their ids, or by `code` and `host`, not both."

_REFUSED: Final = {
    "illegal_transition": (409, "The job's state does not allow this; `detail` says what it allows."),
}


class Retry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which images are tried again; without a word, all that failed or were cancelled.

    `images` names them by their ids; `code` and `host` are a group of `…/failures`, or one of the two.
    """

    images: Annotated[list[str], msgspec.Meta(max_length=MAX_IDS)] | None = None
    code: ImageCode | None = None
    host: Annotated[str, msgspec.Meta(max_length=300)] | None = None


@post(
    "/jobs/{job_id:uuid}/cancel",
    status_code=200,
    summary="Cancel a job",
    description="Ends it now: what waits is not begun, what is in hand is dropped. May be sent again.",
    responses=refusals(401, 403, 404, **_REFUSED),
    opt={NEEDS: "submit"},
    sync_to_thread=True,
)
def cancel_job(parts: GivenParts, caller: GivenCaller, job_id: FromPath[UUID]) -> Job:
    """Cancel."""
    return shown(parts.pipeline.verbs.cancel(str(job_id), caller.sees_only), parts)


@post(
    "/jobs/{job_id:uuid}/pause",
    status_code=200,
    summary="Pause a job",
    description="Begins no further image until it is resumed; what is in hand may end. May be sent again.",
    responses=refusals(401, 403, 404, **_REFUSED),
    opt={NEEDS: "submit"},
    sync_to_thread=True,
)
def pause_job(parts: GivenParts, caller: GivenCaller, job_id: FromPath[UUID]) -> Job:
    """Pause."""
    return shown(parts.pipeline.verbs.pause(str(job_id), caller.sees_only), parts)


@post(
    "/jobs/{job_id:uuid}/resume",
    status_code=200,
    summary="Resume a paused job",
    description="Goes on where it was. May be sent again.",
    responses=refusals(401, 403, 404, **_REFUSED),
    opt={NEEDS: "submit"},
    sync_to_thread=True,
)
def resume_job(parts: GivenParts, caller: GivenCaller, job_id: FromPath[UUID]) -> Job:
    """Resume."""
    return shown(parts.pipeline.verbs.resume(str(job_id), caller.sees_only), parts)


@post(
    "/jobs/{job_id:uuid}/retry",
    status_code=200,
    summary="Try failed images again",
    description="All that failed or were cancelled, those named in the body, or those of a `code`, a `host` or both."
    " An ended job is open again, and its new end is told by a new callback.",
    responses=refusals(400, 401, 403, 404, 422, **_REFUSED),
    opt={NEEDS: "submit"},
    sync_to_thread=True,
)
def retry_job(
    parts: GivenParts, caller: GivenCaller, job_id: FromPath[UUID], data: JSONBody[Retry | None] = None
) -> Job:
    """Retry."""
    asked = data or Retry()
    cause = Cause(asked.code, asked.host)
    if asked.images is not None and cause != ALL:
        raise RequestError("Some fields are not right: `errors` names them.", [("images", _ONE_WAY)])
    return shown(parts.pipeline.verbs.retry(str(job_id), caller.sees_only, asked.images, cause), parts)


@delete(
    "/jobs/{job_id:uuid}",
    summary="Delete a job",
    description="Cancels it, and forgets it at once. Its rows, and every file that no other job uses, go in the"
    " minutes after. Nobody is called back.",
    responses=refusals(401, 403, 404),
    opt={NEEDS: "submit"},
    sync_to_thread=True,
)
def delete_job(parts: GivenParts, caller: GivenCaller, job_id: FromPath[UUID]) -> None:
    """Delete."""
    parts.pipeline.verbs.delete(str(job_id), caller.sees_only)
