"""`bip`: a strict CSV in, a callback at the end. Its faults have sentences of their own."""

from typing import Final

from litestar import Request, Response, Router, get, post
from litestar.datastructures import State
from litestar.params import FromQuery

from imagemill.api.jobs import GivenCaller, GivenParts
from imagemill.api.problems import Problem
from imagemill.compat.forms import CALLBACKS, take_sheet
from imagemill.compat.profile import OPEN, SUBMITS, Refusal, Refused, router, text
from imagemill.core.errors import NotFoundError, RequestError, TooLargeError
from imagemill.core.job import Job
from imagemill.core.profiles import job_word, sheet_links
from imagemill.core.sheet import Fault, Rules, SheetError
from imagemill.core.sheet.header import TITLES, aliases, normalised
from imagemill.db import Caller

_COLUMNS: Final = (TITLES["serial"], TITLES["product"], TITLES["input"])
"""In the order in which its sheets have them."""

_NO_FILE: Final = (400, {"message": "No file uploaded"})


@get("/", opt=OPEN, sync_to_thread=False)
def greet() -> Response[str]:
    """Say that we are here."""
    return text("Server is running.")


@get("/health", opt=OPEN, sync_to_thread=False)
def health() -> Response[str]:
    """Say that we are well."""
    return text("ok")


@post("/jobs", opt=SUBMITS, request_max_body_size=None)
async def create_job(request: Request[Caller, None, State], parts: GivenParts) -> Response[object]:
    """Accept a sheet."""
    asked: dict[str, str] = {}

    def ask(fields: dict[str, str]) -> list[tuple[str, str]]:
        asked.update(fields)
        return [("callback_url", fields.get("webhook", ""))]

    try:
        accepted = await take_sheet(request, parts, "bip", ask, _NO_FILE)
    except RequestError as error:
        if not any(field in CALLBACKS for field, _ in error.errors):
            raise
        raise Refused(*_invalid("Invalid URL", "webhook", "body", asked.get("webhook"))) from error
    return Response({"message": "Job created", "job_id": accepted.job.id}, status_code=201)


@get("/jobs", sync_to_thread=True)
def show_job(parts: GivenParts, caller: GivenCaller, job_id: FromQuery[str | None] = None) -> Response[object]:
    """Show a job."""
    if not job_id:
        raise Refused(*_invalid("job_id is required", "job_id", "query", job_id))
    job = parts.store.job(job_id, caller.sees_only)
    return Response({"message": "Job status fetched", "data": _shown(job, parts.public_url())})


def routes() -> Router:
    """Return the profile."""
    return router("bip", [greet, health, create_job, show_job], _word)


def _shown(job: Job, base: str) -> dict[str, object]:
    callback = job.callback
    webhook = {"webhook": callback.url} if callback.url else {}
    return {
        "job_id": job.id,
        "status": job_word("bip", job.state),
        **webhook,
        "webhook_sent": callback.state == "delivered",
        **sheet_links(job, base),
    }


def _word(error: Exception, problem: Problem) -> Refusal:
    match error:
        case TooLargeError():
            return 400, {"message": "File size too large"}
        case SheetError(faults=faults) if any(fault.code == "not_a_table" for fault in faults):
            return 400, {"message": "Invalid file type"}
        case SheetError():
            return 422, _refusal(422, "Validation error") | {"errors": _errors(error)}
        case NotFoundError():
            return 404, _refusal(404, "Id Not Found")
    return problem.status, _refusal(problem.status, problem.detail)


def _refusal(status: int, message: str) -> dict[str, object]:
    return {"success": False, "status": status, "message": message}


def _invalid(msg: str, path: str, location: str, value: str | None) -> Refusal:
    given = {} if value is None else {"value": value}
    error = {"type": "field", **given, "msg": msg, "path": path, "location": location}
    return 422, _refusal(422, "Validation error") | {"errors": [error]}


def _errors(error: SheetError) -> list[dict[str, object]]:
    """Return each fault once: several bad addresses of a cell are one fault here."""
    # That no row names an image is said of each row already.
    found = [_error(fault, error.names) for fault in error.faults if fault.code != "no_images"]
    return [each for number, each in enumerate(found) if each not in found[max(0, number - 1) : number]]


def _canonical(name: str) -> str:
    """Return what the service called a column that its sheet may spell in another way."""
    known = aliases(Rules())
    return next((TITLES[role] for role in ("serial", "product", "input") if normalised(name) in known[role]), name)


def _error(fault: Fault, names: tuple[str, ...]) -> dict[str, object]:
    row, column, title = fault.row, fault.column, fault.column_name
    match fault.code:
        case "bad_url":
            message = f"{_COLUMNS[2]} is not valid in the row: {row}, column:{column}"
        case "missing_value":
            message = f"{_canonical(title)} is required in the {row} row / {column} column"
        case "duplicate_serial":
            message = f"{_COLUMNS[0]} is not unique in the {row} row"
        case "missing_column":
            column = _COLUMNS.index(title) + 1
            found = names[column - 1] if column <= len(names) else "undefined"
            message = (
                f"Header name {found} is not correct or missing in the {row} row / {column} column."
                f" The Header name should be {title}"
            )
        case _:
            message = fault.message
    return {"rowIndex": row, "columnIndex": column, "message": message}
