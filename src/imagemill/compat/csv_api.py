"""`csv-api`: a CSV in, its products with their images out, as far as they are."""

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

import msgspec
from litestar import Request, Router, get, post
from litestar.datastructures import State
from litestar.params import FromPath
from litestar.response import Stream
from litestar.types import ASGIApp

from imagemill.api.downloads import output_sheet, streamed
from imagemill.api.jobs import GivenCaller, GivenParts
from imagemill.api.parts import Parts
from imagemill.api.problems import Problem
from imagemill.api.published import GivenPublished
from imagemill.compat.forms import CALLBACKS, take_sheet
from imagemill.compat.profile import OPEN, SUBMITS, Refusal, router
from imagemill.core.errors import NotFoundError
from imagemill.core.job import Job
from imagemill.core.profiles import download_url, job_word, row_word
from imagemill.core.sheet import Row, SheetError
from imagemill.core.states import ImageState
from imagemill.db import Caller, Fate

MOST_PRODUCTS: Final = 10_000
"""So many rows are listed in a status; the output sheet has them all."""

_NO_FILE: Final = (400, {"error": "No CSV file uploaded"})


@post("/api/upload", status_code=200, opt=SUBMITS, request_max_body_size=None)
async def upload(request: Request[Caller, None, State], parts: GivenParts) -> dict[str, str]:
    """Accept a sheet."""
    accepted = await take_sheet(request, parts, "csv-api", _asked, _NO_FILE)
    return dict.fromkeys(("requestId", "requestID", "request_id"), accepted.job.id)


@get("/api/status/{job_id:str}", sync_to_thread=True)
def show_status(parts: GivenParts, caller: GivenCaller, job_id: FromPath[str]) -> Stream:
    """Show how far a job is, and what has become of each product."""
    job = parts.store.job(job_id, caller.sees_only)
    return Stream(streamed(_status(parts, job)), media_type="application/json")


# Two routes, one each: of several paths Litestar 2.25 makes copies that wrap the function once more.
@get("/api/status/{job_id:str}/csv", sync_to_thread=True)
def show_output(parts: GivenParts, caller: GivenCaller, job_id: FromPath[str]) -> Stream:
    """Write the output sheet."""
    return output_sheet(parts, parts.store.job(job_id, caller.sees_only))


@get("/api/download/{job_id:str}", sync_to_thread=True)
def download(parts: GivenParts, caller: GivenCaller, job_id: FromPath[str]) -> Stream:
    """Write the output sheet."""
    return output_sheet(parts, parts.store.job(job_id, caller.sees_only))


@get("/processed_images/{name:str}", opt=OPEN, sync_to_thread=False)
def show_picture(published: GivenPublished, name: FromPath[str]) -> ASGIApp:
    """Send an image; who knows its name may have it, as under /images."""
    return published.picture(name)


def routes() -> Router:
    """Return the profile."""
    return router("csv-api", [upload, show_status, show_output, download, show_picture], _word)


def _asked(fields: dict[str, str]) -> list[tuple[str, str]]:
    given = next((fields[name] for name in CALLBACKS if fields.get(name, "").strip()), "")
    return [("callback_url", given)]


def _status(parts: Parts, job: Job) -> Iterator[bytes]:
    """Yield the answer piece by piece: it may be as long as the sheet."""
    counts = job.counts
    failed = counts.failed + counts.cancelled
    ended = counts.done + failed
    percent = 100 * ended // counts.images if counts.images else 100
    progress = {"total": counts.images, "processed": ended, "failed": failed, "percent": percent}
    head: dict[str, Any] = {"requestId": job.id, "status": job_word("csv-api", job.state), "progress": progress}
    yield msgspec.json.encode(head)[:-1] + b',"products":['
    for number, (row, fates) in enumerate(islice(parts.pipeline.rows(job), MOST_PRODUCTS)):
        yield b"," * bool(number) + msgspec.json.encode(_product(parts, row, fates))
    address = download_url(job, parts.public_url()) if job.is_finished else None
    yield b'],"outputCsvUrl":' + msgspec.json.encode(address) + b"}"


def _product(parts: Parts, row: Row, fates: list[Fate]) -> dict[str, object]:
    return {
        "serialNumber": row.serial,
        "productName": row.product,
        "status": row_word("csv-api", [fate.state for fate in fates]),
        "inputImageUrls": row.urls_raw,
        "outputImageUrls": [
            parts.link(fate.output) if fate.output and fate.state is ImageState.DONE else None for fate in fates
        ],
    }


def _word(error: Exception, problem: Problem) -> Refusal:
    if isinstance(error, SheetError):
        return 400, {"error": "Invalid CSV format", "details": error.faults}
    if isinstance(error, NotFoundError):
        return 404, {"error": "Request not found"}
    return problem.status, {"error": problem.detail}
