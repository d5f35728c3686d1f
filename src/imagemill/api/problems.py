"""The one door through which errors leave: RFC 9457 problem details, one table from error class to status.

What a client reads is `detail` and the stable `code`; `cause`, tracebacks and anything unforeseen go to the log only,
under the id that the answer carries as `instance`.
"""

import html
import logging
import uuid
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, Final

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.types import Send
from msgspec import UNSET, UnsetType

from imagemill.core.errors import (
    BackupError,
    ForbiddenError,
    IllegalTransitionError,
    ImageCode,
    ImageError,
    ImagemillError,
    KeyReusedError,
    NameTakenError,
    NoRoomError,
    NotFinishedError,
    NotFoundError,
    PictureError,
    RemoteError,
    RequestError,
    SettingError,
    StartError,
    TooLargeError,
    TooManyRequestsError,
    UnauthorizedError,
    UnfitError,
    UnreadableError,
)
from imagemill.core.sheet import Fault, FaultWord, SheetError
from imagemill.db import StoreError
from imagemill.logs import bound

MEDIA_TYPE: Final = "application/problem+json"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Kind:
    """How a class of errors looks on the wire."""

    status: int
    title: str


_INTERNAL: Final = Kind(500, "Something went wrong inside imagemill")

TABLE: Final[dict[type[ImagemillError], Kind]] = {
    RequestError: Kind(422, "The request is not right"),
    SheetError: Kind(422, "The sheet has faults"),
    UnauthorizedError: Kind(401, "A token is needed"),
    ForbiddenError: Kind(403, "The token may not do this"),
    NotFoundError: Kind(404, "There is no such thing"),
    PictureError: Kind(422, "The picture cannot be shown"),
    NotFinishedError: Kind(409, "The job has not ended yet"),
    IllegalTransitionError: Kind(409, "The job's state does not allow this"),
    KeyReusedError: Kind(409, "The key belongs to another request"),
    NameTakenError: Kind(409, "The name is taken"),
    TooLargeError: Kind(413, "The upload is too large"),
    TooManyRequestsError: Kind(429, "Too many requests"),
    NoRoomError: Kind(503, "There is no room for more work now"),
    StoreError: Kind(503, "The database cannot be reached now"),
    UnreadableError: Kind(503, "The storage cannot be reached now"),
    # These belong to images, to the start and to the command line: over HTTP they are a fault of ours.
    ImageError: _INTERNAL,
    SettingError: _INTERNAL,
    StartError: _INTERNAL,
    UnfitError: _INTERNAL,
    BackupError: _INTERNAL,
    RemoteError: _INTERNAL,
    ImagemillError: _INTERNAL,
}

_STORE_RETRY_AFTER_S: Final = 10

WRONG_PARAMETERS: Final = "Some parameters are not right: `errors` names them."

_ARGUMENTS: Final = {"in_state": "state"}
"""Parameters whose names on the wire are reserved words of Litestar's routes."""

_CODES: Final = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    408: "slow_body",
    413: "too_large",
    415: "unsupported_media_type",
    416: "range_not_satisfiable",
    421: "bad_host",
    500: "internal",
}
"""Codes of what HTTP itself refuses, by status."""


_OTHER: Final = "refused"
CODES: Final = frozenset(
    {*_CODES.values(), _OTHER, *ImageCode} | {error.code for error, kind in TABLE.items() if kind is not _INTERNAL}
)
"""Every code a problem may have; those of images are why a picture cannot be shown."""

ProblemWord = Annotated[str, msgspec.Meta(extra_json_schema={"enum": sorted(CODES)})]


class Wrong(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong: with a `field` of the request, or with a cell of the sheet (`core.sheet.Fault`)."""

    field: str | UnsetType = UNSET
    row: int | UnsetType = UNSET
    column: int | UnsetType = UNSET
    column_name: str | UnsetType = UNSET
    code: FaultWord | UnsetType = UNSET
    message: str


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """RFC 9457 problem details. `errors` and `error_count` are there for wrong fields and for faulty sheets."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: ProblemWord
    errors: list[Wrong] | UnsetType = UNSET
    error_count: int | UnsetType = UNSET


def problem_of(error: Exception) -> tuple[Problem, dict[str, str]]:
    """Return what the client is told of an error, and the headers that go with it."""
    if isinstance(error, ValidationException):
        error = _request_error(error)
    if isinstance(error, ImagemillError):
        kind = next(TABLE[known] for known in type(error).__mro__ if known in TABLE)
        found = _problem(kind, error.code, error.detail, _extra(error))
    elif isinstance(error, HTTPException):
        kind = Kind(error.status_code, HTTPStatus(error.status_code).phrase)
        found = _problem(kind, _CODES.get(error.status_code, _OTHER), error.detail, {})
    else:
        found = _problem(_INTERNAL, "internal", "", {})
    if found.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _log(error, found)
    return found, _headers(error)


def answer_problem(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:  # noqa: ARG001 - Litestar's signature
    """Answer an error inside Litestar: the exception handler of every route."""
    problem, headers = problem_of(error)
    return Response(msgspec.json.encode(problem), status_code=problem.status, media_type=MEDIA_TYPE, headers=headers)


async def send_problem(
    send: Send, error: Exception, headers: tuple[tuple[bytes, bytes], ...] = (), *, is_for_people: bool = False
) -> None:
    """Answer an error where there is no Litestar around: for people as a page that needs no other file."""
    problem, more = problem_of(error)
    body = _plain_page(problem) if is_for_people else msgspec.json.encode(problem)
    media_type = b"text/html; charset=utf-8" if is_for_people else MEDIA_TYPE.encode()
    length = (b"content-length", b"%d" % len(body))
    own = tuple((name.lower().encode(), value.encode("latin-1")) for name, value in more.items())
    head = ((b"content-type", media_type), length, *own, *headers)
    await send({"type": "http.response.start", "status": problem.status, "headers": head})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _plain_page(problem: Problem) -> bytes:
    title, detail = html.escape(problem.title), html.escape(problem.detail)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">'
        f"<title>imagemill: {title}</title></head><body><h1>{title}</h1><p>{detail}</p></body></html>"
    ).encode()


def _problem(kind: Kind, code: str, detail: str, extra: dict[str, Any]) -> Problem:
    instance = f"urn:uuid:{bound().get('request') or uuid.uuid4()}"
    if kind is _INTERNAL or kind.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        code, detail = "internal", f"This is not your fault. The log has the cause under {instance}."
        extra = {}
    type_uri = f"urn:imagemill:problem:{code}"
    return Problem(
        type=type_uri, title=kind.title, status=kind.status, detail=detail, instance=instance, code=code, **extra
    )


def _extra(error: ImagemillError) -> dict[str, Any]:
    if isinstance(error, SheetError):
        wrong = [Wrong(**{name: getattr(fault, name) for name in Fault.__struct_fields__}) for fault in error.faults]
        return {"errors": wrong, "error_count": error.total}
    if isinstance(error, RequestError) and error.errors:
        return {"errors": [Wrong(field=field, message=message) for field, message in error.errors]}
    return {}


def _headers(error: Exception) -> dict[str, str]:
    if isinstance(error, UnauthorizedError):
        return {"WWW-Authenticate": 'Bearer realm="imagemill"'}
    if isinstance(error, NoRoomError | StoreError | TooManyRequestsError | UnreadableError):
        return {"Retry-After": str(getattr(error, "retry_after_s", _STORE_RETRY_AFTER_S))}
    return dict(getattr(error, "headers", None) or {})


def _request_error(error: ValidationException) -> RequestError:
    """Say in our words what Litestar found wrong with parameters."""
    found = error.extra if isinstance(error.extra, list) else []
    named = [(str(entry.get("key", "")), str(entry.get("message", ""))) for entry in found if isinstance(entry, dict)]
    errors = [(_ARGUMENTS.get(name, name), message) for name, message in named]
    return RequestError(WRONG_PARAMETERS, errors)


def _log(error: Exception, problem: Problem) -> None:
    cause = getattr(error, "cause", "")
    if problem.code == "internal":
        logger.error("%s: %s %s", problem.instance, error, cause, exc_info=error)
    else:
        logger.warning("%s: answered %d %s: %s %s", problem.instance, problem.status, problem.code, error, cause)
