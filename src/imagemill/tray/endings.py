"""Which jobs have ended since they were last looked at, and how that is told. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

import msgspec

from imagemill.core.job import Job
from imagemill.core.states import JobState
from imagemill.tray.view import counted, name_of

MOST: Final = 3
"""So many ends at once are told one by one; of more, only how many."""


class Notice(msgspec.Struct, frozen=True):
    """What is told once; a click on it opens `path` of the page."""

    title: str
    body: str
    path: str = "/"


class Endings:
    """Remembers what was unfinished. The first look only remembers: what had ended before is no news."""

    def __init__(self) -> None:
        self._open: set[str] = set()
        self._latest: datetime | None = None

    @property
    def awaited(self) -> frozenset[str]:
        """The jobs whose end is not known yet."""
        return frozenset(self._open)

    def forget(self, job_id: str) -> None:
        """Await this one no more: it is gone."""
        self._open.discard(job_id)

    def see(self, jobs: Iterable[Job]) -> list[Job]:
        """Take a look's jobs, in any state; return those that have ended since the last one."""
        seen = list(jobs)
        news = [job for job in seen if job.is_finished and self._is_news(job)]
        self._open |= {job.id for job in seen if not job.is_finished}
        self._open -= {job.id for job in seen if job.is_finished}
        times = [job.finished_at or job.created_at for job in seen]
        self._latest = max([self._latest or _BEFORE, *times])
        return news

    def _is_news(self, job: Job) -> bool:
        if job.id in self._open:
            return True
        return self._latest is not None and job.finished_at is not None and job.finished_at > self._latest


def notices(jobs: list[Job]) -> list[Notice]:
    """Return what is told of these ends. Who cancelled a job knows that."""
    told = [job for job in jobs if job.state is not JobState.CANCELLED]
    if len(told) > MOST:
        return [Notice(f"{len(told)} jobs have ended", "The page shows what became of each.", "/jobs")]
    return [Notice(_TITLES[job.state].format(name_of(job)), _body(job), f"/jobs/{job.id}") for job in told]


def _body(job: Job) -> str:
    done = f"{counted(job.counts.done, 'picture')}, {job.bytes.saved_percent:.0f} % smaller" if job.counts.done else ""
    failed = f"{counted(job.counts.failed, 'picture')} failed: the report says why" if job.counts.failed else ""
    return "; ".join(part for part in (done, failed) if part) or "There were no pictures in it."


_BEFORE: Final = datetime.min.replace(tzinfo=UTC)
_TITLES: Final = {
    JobState.COMPLETED: "{} is done",
    JobState.PARTIAL: "{} is done, but not all of it",
    JobState.FAILED: "{} has failed",
}
