"""`image-api`: one image in, kept as it was, and a thumbnail of it; jobs are numbered."""

from datetime import datetime
from functools import partial
from typing import Final

from litestar import Request, Router, get, post
from litestar.datastructures import State
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect
from litestar.types import ASGIApp

from imagemill.api.files import ServedFile
from imagemill.api.jobs import GivenCaller, GivenParts
from imagemill.api.parts import Parts
from imagemill.api.problems import Problem
from imagemill.api.published import GivenPublished
from imagemill.compat.forms import PictureForm, take_picture
from imagemill.compat.profile import OPEN, SUBMITS, Refusal, Refused, documentation, phrase, router
from imagemill.core import keys
from imagemill.core.errors import NotFoundError, TooLargeError
from imagemill.core.profiles import image_word
from imagemill.db import Caller, Single
from imagemill.imaging.sniff import sniff

MOST: Final = 500
"""A page has no more jobs, whatever is asked for."""

MAX_KB: Final = 5120
"""Of a picture; less where our own limits are lower."""
_FORMATS: Final = ("png", "jpeg")
_HEADERS: Final = ((b"cache-control", b"private, no-cache"),)
_DIGITS: Final = 18
"""A larger number is no job's, and none of the database's."""


def _refusal(status: int, *messages: str) -> Refusal:
    return status, {"errors": [{"msg": message} for message in messages]}


_NO_FILE: Final = _refusal(400, "File is required")
_WRONG_TYPE: Final = _refusal(400, "File must be one of image/png, image/jpeg, image/jpg")


@get("/healthcheck", opt=OPEN, sync_to_thread=False)
def healthcheck() -> dict[str, str]:
    """Say that we are well."""
    return {"message": "The healthcheck is working."}


@get("/api-docs", opt=OPEN, status_code=302, sync_to_thread=False)
def api_docs() -> Redirect:
    """Lead to the documentation."""
    return documentation()


@post("/jobs", status_code=200, opt=SUBMITS, request_max_body_size=None)
async def create_job(request: Request[Caller, None, State], parts: GivenParts) -> dict[str, object]:
    """Accept an image."""
    most_bytes = min(MAX_KB * 1024, parts.settings.fetch.max_bytes, parts.settings.max_upload_bytes)
    form = partial(PictureForm, formats=_FORMATS, most_bytes=most_bytes, refused=_WRONG_TYPE)
    try:
        accepted = await take_picture(request, parts, "image-api", form, _asked, _NO_FILE)
    except TooLargeError as error:
        raise Refused(*_refusal(400, f"File must be less than {most_bytes // 1024} KB")) from error
    return _with_image(parts.store.single("image-api", None, accepted.job.id))


@get("/jobs", sync_to_thread=True)
def list_jobs(
    parts: GivenParts, caller: GivenCaller, page: FromQuery[str] = "1", limit: FromQuery[str] = "100"
) -> dict[str, object]:
    """List jobs, newest first."""
    bad = [
        f"{name} must be a positive integer" for name, given in (("Page", page), ("Limit", limit)) if not _number(given)
    ]
    if bad:
        raise Refused(*_refusal(400, *bad))
    most = min(MOST, _number(limit))
    found = parts.store.singles("image-api", caller.sees_only, most, min((_number(page) - 1) * most, 10**_DIGITS))
    return {
        "results": [_job(each) for each in found],
        "count": parts.store.count_singles("image-api", caller.sees_only),
    }


@get("/jobs/{number:str}", sync_to_thread=True)
def show_job(parts: GivenParts, caller: GivenCaller, number: FromPath[str]) -> dict[str, object]:
    """Show one job with its image."""
    return _with_image(_found(parts, caller, number))


@get("/jobs/{number:str}/image", sync_to_thread=True)
def show_image(
    parts: GivenParts,
    caller: GivenCaller,
    published: GivenPublished,
    number: FromPath[str],
    size: FromQuery[str] = "thumbnail",
) -> ASGIApp:
    """Send the thumbnail, or the image as it was sent."""
    if size not in {"original", "thumbnail"}:
        raise Refused(*_refusal(400, "Size must be 'original' or 'thumbnail'"))
    job = _found(parts, caller, number)
    if size == "original":
        return _original(parts, job)
    if job.output is None:
        message = f"Cannot retrieve thumbnail image for job with status {_status(job)}."
        raise Refused(409, {"error": "Conflict", "message": message})
    return published.picture(keys.file_name(job.output.key, job.output.format), _HEADERS)


def routes() -> Router:
    """Return the profile."""
    return router("image-api", [healthcheck, api_docs, create_job, list_jobs, show_job, show_image], _word)


def _asked(fields: dict[str, str], has_picture: bool) -> list[tuple[str, str]]:  # noqa: FBT001 - the shape of `take_picture`
    bad = [] if has_picture else ["File is required"]
    if fields.get("size", "") not in {"", "thumbnail"}:
        bad.append("Size must be 'thumbnail'")
    if bad:
        raise Refused(*_refusal(400, *bad))
    return [("thumbnails", "100x100:contain"), ("format", "keep")]


def _number(given: str) -> int:
    """Return a positive number, 0 for anything else."""
    return int(given) if given.isascii() and given.isdigit() and len(given) <= _DIGITS else 0


def _found(parts: Parts, caller: Caller, given: str) -> Single:
    number = _number(given)
    if not number:
        raise Refused(*_refusal(400, "Job ID must be a positive integer"))
    try:
        return parts.store.numbered("image-api", caller.sees_only, number)
    except NotFoundError as error:
        message = f"Cannot find job with ID {number}"
        raise Refused(404, {"error": "Not Found", "message": message}) from error


def _original(parts: Parts, job: Single) -> ASGIApp:
    path = parts.pipeline.sent_image(parts.store.image(job.uid, 1))
    if path is None:
        raise NotFoundError("The image is no longer kept.")
    with path.open("rb") as file:
        form = sniff(file.read(64), _FORMATS)
    return ServedFile(path, f'"{path.name[:40]}"', f"image/{form}", _HEADERS)


def _status(job: Single) -> str:
    return image_word("image-api", job.state, is_begun=job.is_begun)


def _times(job: Single) -> dict[str, datetime]:
    return {"createdAt": job.created_at, "updatedAt": job.updated_at}


def _job(job: Single) -> dict[str, object]:
    return {"id": job.number, "status": _status(job), **_times(job)}


def _with_image(job: Single) -> dict[str, object]:
    image = {
        "id": job.number,
        "jobId": job.number,
        "originalBlobId": keys.uploaded(job.source_url),
        "thumbnailBlobId": job.output.key if job.output else None,
        **_times(job),
    }
    return {**_job(job), "image": image}


def _word(_: Exception, problem: Problem) -> Refusal:
    if problem.status in {400, 422}:
        return _refusal(400, problem.detail)
    return problem.status, {"error": phrase(problem.status), "message": problem.detail}
