"""How clients of old services are spoken to: their words for states, and the shapes of their callbacks (COMPAT.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from imagemill.core.job import linked
from imagemill.core.states import ImageState, JobState

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from imagemill.core.job import Job, Profile

_WORDS: Final[dict[Profile, tuple[str, str, str, str]]] = {
    "bip": ("queued", "processing", "completed", "failed"),
    "csv-api": ("pending", "processing", "completed", "failed"),
    "thumbnails": ("queued", "processing", "success", "failed"),
    "image-api": ("UNPROCESSED", "PROCESSING", "SUCCEEDED", "FAILED"),
}
"""For what waits, works, is done, and failed."""

_JOB_STEPS: Final = {
    JobState.PENDING: 0,
    JobState.PROCESSING: 1,
    JobState.PAUSED: 1,
    JobState.COMPLETED: 2,
    JobState.PARTIAL: 2,
    JobState.FAILED: 3,
    JobState.CANCELLED: 3,
}
"""A job with some failed images is complete to these clients: their sheets show which those are."""

_IMAGE_STEPS: Final = {
    ImageState.PENDING: 0,
    ImageState.RUNNING: 1,
    ImageState.DONE: 2,
    ImageState.FAILED: 3,
    ImageState.CANCELLED: 3,
}


def job_word(profile: Profile, state: JobState) -> str:
    """Return a profile's word for a job's state."""
    return _WORDS[profile][_JOB_STEPS[state]]


def image_word(profile: Profile, state: ImageState, *, is_begun: bool) -> str:
    """Return a profile's word for an image's state; one that waits to be tried again (`is_begun`) is at work."""
    return _WORDS[profile][max(_IMAGE_STEPS[state], int(is_begun))]


def row_word(profile: Profile, states: list[ImageState]) -> str:
    """Return a profile's word for a row of a sheet, from the states of its images: it failed when all of them did."""
    steps = {_IMAGE_STEPS[state] for state in states}
    if steps & {0, 1}:
        return _WORDS[profile][0 if steps == {0} else 1]
    return _WORDS[profile][3 if steps == {3} else 2]


def sheet_links(job: Job, base: str) -> dict[str, str]:
    """Return where the sheets of a `bip` job are; the output only when it is complete."""
    links = linked(job, base)
    found = {"input_csv_url": links.input}
    return found | {"output_csv_url": links.output} if job.is_finished else found


def download_url(job: Job, base: str) -> str:
    """Return where the output of a `csv-api` job is downloaded."""
    return f"{base}/compat/csv-api/api/download/{job.id}"


def _bip(job: Job, _: datetime, base: str) -> dict[str, object]:
    return {"job_id": job.id, "status": job_word("bip", job.state), **sheet_links(job, base)}


def _csv_api(job: Job, at: datetime, base: str) -> dict[str, object]:
    status = job_word("csv-api", job.state)
    return {"requestId": job.id, "status": status, "timestamp": at, "outputCsvUrl": download_url(job, base)}


CALLBACKS: Final[dict[Profile | None, Callable[[Job, datetime, str], dict[str, object]]]] = {
    "bip": _bip,
    "csv-api": _csv_api,
}
"""What a profile's callback says of a job's end at a time, addresses beginning with `base`; others have none."""
