"""Job and Image as they are everywhere, from the database's door to the wire (API.md); times are UTC."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

import msgspec

from imagemill.core.errors import ImageWord
from imagemill.core.recipe import Recipe
from imagemill.core.states import ImageState, JobState

Uid = Annotated[str, msgspec.Meta(extra_json_schema={"format": "uuid"})]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]
Count = Annotated[int, msgspec.Meta(ge=0)]
Address = Annotated[str, msgspec.Meta(extra_json_schema={"format": "uri-reference"})]

JobKind = Literal["sheet", "images"]
"""What a client sent: a sheet, or images without one."""

Profile = Literal["bip", "csv-api", "thumbnails", "image-api"]
"""Old services whose clients we answer in their own words (`compat`)."""


class ImageOrder(StrEnum):
    """In which order a job's images are looked at; all but the first show what is done, each image once.

    `worst_ssim` shows the measured ones, the least like their source first; `largest` goes by the output.
    """

    POSITION = "position"
    WORST_SSIM = "worst_ssim"
    LEAST_SAVED = "least_saved"
    LARGEST = "largest"


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """What a client asks for beside the pictures: the recipe and the job's own settings (API.md).

    `image_column` is the sheet's column of links, by its name or as `#3`; None where it is to be recognised.
    `profile` is where it asked, and so how its callbacks look; no client of our own can say it.
    """

    recipe: Recipe = Recipe()
    on_failure: Literal["keep-url", "empty"] = "keep-url"
    errors_column: bool = False
    keep_original: bool = False
    callback_url: str | None = None
    callback_secret: str | None = None
    priority: int = 0
    name: str = ""
    expires_in_s: int | None = None
    image_column: str | None = None
    profile: Profile | None = None


class Counts(msgspec.Struct, frozen=True):
    """How many of what a job has. Images are counted by place in the sheet; `unique` counts distinct URLs."""

    rows: Count = 0
    images: Count = 0
    unique: Count = 0
    pending: Count = 0
    running: Count = 0
    done: Count = 0
    failed: Count = 0
    cancelled: Count = 0


class Volume(msgspec.Struct, frozen=True):
    """Bytes before and after over the done images of a job, each place counted."""

    source: Count = 0
    output: Count = 0
    saved_percent: float = 0.0


class Worst(msgspec.Struct, frozen=True):
    """The image of a job that is least like its source, of those that were measured. 1 is equal."""

    ssim: float
    image_id: Uid


class Callback(msgspec.Struct, frozen=True):
    """Where the end of a job is told, and how far that got. The query of `url` is hidden: it may be a key."""

    url: str | None = None
    state: Literal["none", "pending", "delivered", "failed"] = "none"
    attempts: Count = 0
    last_status: int | None = None
    next_attempt_at: Moment | None = None


class Links(msgspec.Struct, frozen=True):
    """Where a job's parts are found, as far as there are routes for them (API.md)."""

    self: Address
    images: Address
    input: Address
    output: Address
    report: Address
    archive: Address


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One submission and everything it causes.

    `images_per_s` is of the last seconds, while work goes on here; places of the same image are one.
    """

    id: Uid
    kind: JobKind
    name: str
    owner: str
    state: JobState
    priority: int
    recipe: Recipe
    counts: Counts
    bytes: Volume
    created_at: Moment
    started_at: Moment | None
    finished_at: Moment | None
    expires_at: Moment | None
    eta_s: float | None
    callback: Callback
    images_per_s: float | None = None
    worst_ssim: Worst | None = None
    links: Links | None = None

    @property
    def is_finished(self) -> bool:
        """Whether no image of it will change by itself any more."""
        return self.state in {JobState.COMPLETED, JobState.PARTIAL, JobState.FAILED, JobState.CANCELLED}


def without_query(url: str) -> str:
    """Return an address as it is shown: the setting's callback is seen by all who submit, and a query may be a key."""
    head, mark, _ = url.partition("?")
    return f"{head}?***" if mark else url


def linked(job: Job, base: str = "") -> Links:
    """Return the addresses of a job's parts: absolute where `base` is, else relative to the root."""
    own = f"{base}/api/v1/jobs/{job.id}"
    parts = ("images", "input", "output.csv", "report.csv", "images.zip")
    return Links(own, *(f"{own}/{part}" for part in parts))


def with_links(job: Job, base: str = "") -> Job:
    """Return the job with its `links`."""
    return msgspec.structs.replace(job, links=linked(job, base))


def with_pace(job: Job, images_per_s: float) -> Job:
    """Return a job that is at work with its pace of now, and the seconds that it still needs at that."""
    counts = job.counts
    places_per_s = images_per_s * counts.images / max(1, counts.unique)
    left_s = round((counts.pending + counts.running) / places_per_s, 1) if places_per_s else job.eta_s
    return msgspec.structs.replace(job, images_per_s=round(images_per_s, 1), eta_s=left_s)


class Source(msgspec.Struct, frozen=True):
    """The bytes we were given."""

    bytes: Count
    format: str
    width: Count
    height: Count
    sha256: str


class Output(msgspec.Struct, frozen=True):
    """The bytes we made. `key` names the stored file; `url` is filled in where the public address is known."""

    name: str
    key: str
    bytes: Count
    format: str
    width: Count
    height: Count
    url: str = ""


class ErrorInfo(msgspec.Struct, frozen=True):
    """A stable code and one sentence."""

    code: ImageWord
    message: str


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """One source URL of a job at one place of its sheet, and its fate."""

    id: Uid
    job_id: Uid
    row: Count
    position: Count
    source_url: str
    state: ImageState
    attempts: Count
    next_attempt_at: Moment | None
    error: ErrorInfo | None
    source: Source | None
    outputs: list[Output]
    saved_percent: float | None
    ssim: float | None
    seconds: float | None


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One try to deliver a callback: `status` is None when no answer came, and `error` then says why."""

    at: Moment
    status: int | None
    answer: str
    error: str | None
    retry_after_s: float | None = None


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What became of telling one end of a job; `id` is the callback's `webhook-id`, the same for every attempt."""

    id: Uid
    event: str
    url: str
    state: Literal["pending", "delivered", "failed"]
    created_at: Moment
    next_attempt_at: Moment | None
    attempts: list[Attempt]


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """A callback of some job, for a list of all: what became of it, and of its last attempt."""

    job_id: Uid
    job_name: str
    event: str
    url: str
    state: Literal["pending", "delivered", "failed"]
    created_at: Moment
    next_attempt_at: Moment | None
    attempts: Count
    last_status: int | None
    error: str | None


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """A callback made for trying: what was sent, and what came back."""

    url: str
    headers: dict[str, str]
    body: str
    attempt: Attempt
    seconds: float
