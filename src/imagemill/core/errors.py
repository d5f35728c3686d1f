"""The error tree, drawn once. Each error says what the client can do (`detail`) and, for the log only, its `cause`.

Codes are stable and public (API.md); the HTTP status of each class is in `api/problems.py`, the exit code in `cli`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

import msgspec


class ImageCode(StrEnum):
    """Why an image failed: the codes of API.md."""

    DNS_FAILED = "dns_failed"
    CONNECT_FAILED = "connect_failed"
    TLS_FAILED = "tls_failed"
    TIMEOUT = "timeout"
    HTTP_STATUS = "http_status"
    TOO_MANY_REDIRECTS = "too_many_redirects"
    BLOCKED_ADDRESS = "blocked_address"
    TOO_LARGE = "too_large"
    TRUNCATED = "truncated"
    NOT_AN_IMAGE = "not_an_image"
    UNSUPPORTED_FORMAT = "unsupported_format"
    TOO_MANY_PIXELS = "too_many_pixels"
    DECODE_FAILED = "decode_failed"
    DECODE_CRASHED = "decode_crashed"
    DECODE_TIMEOUT = "decode_timeout"
    STORAGE_FAILED = "storage_failed"
    CANCELLED = "cancelled"
    INTERNAL = "internal"


ImageWord = Annotated[str, msgspec.Meta(extra_json_schema={"enum": [code.value for code in ImageCode]})]
"""A code as it is told: one of these. A reader takes any, which may be of a later version."""


class ImagemillError(Exception):
    """Root of every error we raise: `detail` is for the client; `cause` is for the log and never sent out."""

    code = "internal"

    def __init__(self, detail: str, *, cause: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.cause = cause


class ImageError(ImagemillError):
    """One image could not be fetched, compressed or put.

    `transient` says whether trying again can help; None leaves that to `core.retry`, by code.
    `retry_after_s` is what the origin asked for, in seconds, when it did; `status` is its answer, when that was it.
    With `is_attempt` false nothing was tried: the image waits so long, and that counts for nothing.
    """

    def __init__(
        self,
        image_code: ImageCode,
        detail: str,
        *,
        transient: bool | None = None,
        retry_after_s: float | None = None,
        status: int | None = None,
        is_attempt: bool = True,
        cause: str = "",
    ) -> None:
        super().__init__(detail, cause=cause)
        self.image_code = image_code
        self.transient = transient
        self.retry_after_s = retry_after_s
        self.status = status
        self.is_attempt = is_attempt


class SettingError(ImagemillError):
    """A setting has an unknown name or a bad value; `detail` names the setting, its origin and what it accepts."""

    code = "bad_setting"


class StartError(ImagemillError):
    """The appliance cannot start as it is: mixed PIL, port taken, data folder in use, newer schema."""

    code = "cannot_start"


class UnfitError(StartError):
    """It cannot start, and starting again will not help: settings, database and program do not fit together."""

    code = "unfit"


class BackupError(ImagemillError):
    """A backup cannot be made, or not be trusted, or not be restored there."""

    code = "bad_backup"


class RequestError(ImagemillError):
    """A request's fields are wrong: `errors` is a list of (field, message)."""

    code = "invalid_request"

    def __init__(self, detail: str, errors: list[tuple[str, str]] | None = None) -> None:
        super().__init__(detail)
        self.errors = errors or []


class UnauthorizedError(ImagemillError):
    """No token, or one that is not known."""

    code = "unauthorized"


class ForbiddenError(ImagemillError):
    """The token is known but may not do this."""

    code = "forbidden"


class NotFoundError(ImagemillError):
    """No such thing, or not the caller's."""

    code = "not_found"


class PictureError(ImagemillError):
    """A picture that was to be shown cannot be had: `code` says why, as an image's does (`ImageCode`)."""

    code = "picture_failed"

    def __init__(self, detail: str, *, code: str = "", cause: str = "") -> None:
        super().__init__(detail, cause=cause)
        self.code = code or self.code


class NotFinishedError(ImagemillError):
    """The output of a job is asked for before its end."""

    code = "not_finished"


class IllegalTransitionError(ImagemillError):
    """The job's state does not allow this move."""

    code = "illegal_transition"


class KeyReusedError(ImagemillError):
    """An Idempotency-Key comes again with another request than its first."""

    code = "idempotency_key_reused"


class NameTakenError(ImagemillError):
    """Something of this name is there already."""

    code = "name_taken"


class TooLargeError(ImagemillError):
    """An upload is over `max_upload_bytes`."""

    code = "too_large"


PICTURE_UNREADABLE: Final = "a picture cannot be read now: ask again after Retry-After seconds"


class UnreadableError(ImagemillError):
    """A picture that is stored, and cannot be read now: come again after `retry_after_s` seconds."""

    code = "storage_unavailable"
    retry_after_s = 10


class NoRoomError(ImagemillError):
    """Disk below its reserve, or the queue is full: come again after `retry_after_s` seconds."""

    code = "no_room"

    def __init__(self, detail: str, *, retry_after_s: int = 60, cause: str = "") -> None:
        super().__init__(detail, cause=cause)
        self.retry_after_s = retry_after_s


class TooManyRequestsError(ImagemillError):
    """A token or an address asks too often: come again after `retry_after_s` seconds."""

    code = "rate_limited"

    def __init__(self, detail: str, *, retry_after_s: int = 1) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class RemoteError(ImagemillError):
    """A running imagemill refused what a client of ours asked, or could not be asked at all (`status` 0).

    `answer` is its problem details as they came.
    """

    code = "remote"

    def __init__(self, detail: str, *, status: int = 0, code: str = "", answer: bytes = b"", cause: str = "") -> None:
        super().__init__(detail, cause=cause)
        self.status = status
        self.code = code or self.code
        self.answer = answer
