"""`thumbnails`: one image in, a thumbnail of an exact size out, and the jobs that make them."""

from functools import partial
from typing import Final

from litestar import Request, Response, Router, get, post
from litestar.datastructures import State
from litestar.params import FromPath
from litestar.response import Redirect

from imagemill.api.jobs import GivenCaller, GivenParts
from imagemill.api.parts import Parts
from imagemill.api.problems import Problem
from imagemill.compat.forms import PictureForm, take_picture
from imagemill.compat.profile import OPEN, SUBMITS, Refusal, Refused, documentation, phrase, router, text
from imagemill.core import keys
from imagemill.core.errors import NotFoundError
from imagemill.core.profiles import image_word
from imagemill.db import Caller, Single

MOST: Final = 500
"""So many are listed, the newest; the service listed all."""

_FORMATS: Final = ("jpeg", "png", "gif")
_LARGEST_SIDE: Final = 16_384


def _refusal(status: int, message: str) -> Refusal:
    return status, {"message": message, "error": phrase(status), "statusCode": status}


_NO_FILE: Final = _refusal(400, "No file uploaded")
_WRONG_TYPE: Final = _refusal(400, "Invalid file type. Accepted types: image/jpeg, image/png, image/gif")


@get("/status", opt=OPEN, sync_to_thread=False)
def status() -> Response[str]:
    """Say that we are well."""
    return text("ok")


@get("/api", opt=OPEN, status_code=302, sync_to_thread=False)
def api() -> Redirect:
    """Lead to the documentation."""
    return documentation()


@post("/image-tools/thumbnails", opt=SUBMITS, request_max_body_size=None)
async def create_thumbnail(request: Request[Caller, None, State], parts: GivenParts) -> Response[str]:
    """Accept an image."""
    form = partial(PictureForm, formats=_FORMATS, most_bytes=parts.settings.fetch.max_bytes, refused=_WRONG_TYPE)
    accepted = await take_picture(request, parts, "thumbnails", form, _asked, _NO_FILE)
    return text(accepted.job.id, 201)


@get("/image-tools/thumbnails", sync_to_thread=True)
def list_thumbnails(parts: GivenParts, caller: GivenCaller) -> list[dict[str, object]]:
    """List the thumbnails that are there."""
    return [_thumbnail(parts, each) for each in parts.store.singles("thumbnails", caller.sees_only, MOST, is_done=True)]


@get("/image-tools/thumbnails/{job_id:str}", sync_to_thread=True)
def show_thumbnail(parts: GivenParts, caller: GivenCaller, job_id: FromPath[str]) -> dict[str, object]:
    """Show one that is there."""
    found = _found(parts, caller, job_id, "Thumbnail")
    if found.output is None:
        raise Refused(*_refusal(404, f"Thumbnail {job_id} does not exist"))
    return _thumbnail(parts, found)


@get("/jobs", sync_to_thread=True)
def list_jobs(parts: GivenParts, caller: GivenCaller) -> list[dict[str, object]]:
    """List jobs, newest first."""
    return [_job(parts, each) for each in parts.store.singles("thumbnails", caller.sees_only, MOST)]


@get("/jobs/{job_id:str}", sync_to_thread=True)
def show_job(parts: GivenParts, caller: GivenCaller, job_id: FromPath[str]) -> dict[str, object]:
    """Show one job."""
    return _job(parts, _found(parts, caller, job_id, "Job"))


def routes() -> Router:
    """Return the profile."""
    handlers = [status, api, create_thumbnail, list_thumbnails, show_thumbnail, list_jobs, show_job]
    return router("thumbnails", handlers, _word)


def _asked(fields: dict[str, str], has_picture: bool) -> list[tuple[str, str]]:  # noqa: FBT001 - the shape of `take_picture`
    if not has_picture:
        raise Refused(*_NO_FILE)
    return [("thumbnails", f"{_side(fields, 'sizeX')}x{_side(fields, 'sizeY')}"), ("format", "keep")]


def _side(fields: dict[str, str], name: str) -> int:
    given = fields.get(name, "").strip() or "100"
    if not (given.isascii() and given.isdigit() and len(given) <= 5 and 1 <= int(given) <= _LARGEST_SIDE):
        raise Refused(*_refusal(400, f"{name} must be a whole number from 1 to {_LARGEST_SIDE}"))
    return int(given)


def _found(parts: Parts, caller: Caller, job_id: str, what: str) -> Single:
    try:
        return parts.store.single("thumbnails", caller.sees_only, job_id)
    except NotFoundError as error:
        raise Refused(*_refusal(404, f"{what} {job_id} does not exist")) from error


def _thumbnail(parts: Parts, single: Single) -> dict[str, object]:
    output = single.output
    name = keys.file_name(output.key, output.format) if output else None
    return {"outputFilePath": name, "url": parts.link(name) if name else None}


def _job(parts: Parts, single: Single) -> dict[str, object]:
    word = image_word("thumbnails", single.state, is_begun=single.is_begun)
    event = {
        "id": keys.image_id(single.uid, 1),
        "retries": max(0, single.attempts - 1),
        "inputFilePath": keys.uploaded(single.source_url),
        **_thumbnail(parts, single),
        "sizeX": single.thumbnail.width,
        "sizeY": single.thumbnail.height,
    }
    failed = {"metadata": {"err": {"message": single.error}}} if word == "failed" else {}
    return {"id": single.uid, "status": word, "event": event, **failed}


def _word(_: Exception, problem: Problem) -> Refusal:
    return _refusal(problem.status, problem.detail)
