"""Jobs: all of them, newest first, and what a year has saved."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import QueryParameter

from imagemill.api.jobs import Cursor, OfJobs
from imagemill.core.job import Job
from imagemill.core.states import JobState
from imagemill.db import JobFilter, Saving
from imagemill.web.chart import HEIGHT, WIDTH, bars, month_bounds
from imagemill.web.view import GivenView, View

PAGE: Final = 50

Words = Annotated[str, QueryParameter(name="q", max_length=200)]

_FILTERS: Final = (
    (None, "All"),
    (JobState.PROCESSING, "Working"),
    (JobState.PENDING, "Waiting"),
    (JobState.PAUSED, "Paused"),
    (JobState.COMPLETED, "Done"),
    (JobState.PARTIAL, "Some failed"),
    (JobState.FAILED, "Failed"),
    (JobState.CANCELLED, "Cancelled"),
)


@dataclass(frozen=True)
class Asked:
    """What of the jobs is to be shown."""

    state: JobState | None
    words: str
    cursor: str | None

    def url(self, path: str = "/jobs", **changes: str | None) -> str:
        """Return the address of this, with changes."""
        named = {"state": self.state, "q": self.words.strip(), "cursor": self.cursor} | changes
        query = urlencode({name: value for name, value in named.items() if value})
        return f"{path}?{query}" if query else path

    @property
    def is_narrowed(self) -> bool:
        """Whether some jobs may be left out."""
        return bool(self.state or self.words.strip() or self.cursor)

    def filters(self) -> list[tuple[str, str, bool]]:
        """Return the states that can be chosen: address, name, and whether it is."""
        return [(self.url(state=state, cursor=None), name, state == self.state) for state, name in _FILTERS]


@get("/jobs", sync_to_thread=True)
def show_jobs(view: GivenView, in_state: OfJobs = None, words: Words = "", cursor: Cursor = None) -> Response[str]:
    """Show them."""
    months = month_bounds(datetime.now(UTC))
    savings = view.parts.store.savings([month.timestamp() for month in months], view.caller.sees_only)
    year = Saving(
        jobs=sum(saving.jobs for saving in savings),
        images=sum(saving.images for saving in savings),
        source_bytes=sum(saving.source_bytes for saving in savings),
        output_bytes=sum(saving.output_bytes for saving in savings),
    )
    asked = Asked(in_state, words, cursor)
    return _listed(view, asked, "jobs.html", year=year, bars=bars(months, savings), width=WIDTH, height=HEIGHT)


@get("/jobs/list", sync_to_thread=True)
def show_job_list(view: GivenView, in_state: OfJobs = None, words: Words = "", cursor: Cursor = None) -> Response[str]:
    """Show the list alone, as it is looked for or goes on."""
    return _listed(view, Asked(in_state, words, cursor), "jobs_list.html")


def _listed(view: View, asked: Asked, template: str, **context: Any) -> Response[str]:  # noqa: ANN401 - what the template shows
    where = JobFilter(state=asked.state, words=asked.words.strip(), owner=view.caller.sees_only)
    jobs, next_cursor = view.parts.store.jobs(where, PAGE, asked.cursor)
    return view.page(
        template,
        asked=asked,
        jobs=jobs,
        titles=titles(view, jobs),
        next_url=asked.url(cursor=next_cursor) if next_cursor else "",
        first_url=asked.url(cursor=None) if asked.cursor else "",
        **context,
    )


def titles(view: View, jobs: list[Job]) -> dict[str, str]:
    """Return what to call each job: its name, its sheet's, or what it is."""
    unnamed = [job.id for job in jobs if not job.name]
    filenames = view.parts.store.sheet_filenames(unnamed) if unnamed else {}
    return {job.id: job.name or filenames.get(job.id) or _kind(job) for job in jobs}


def _kind(job: Job) -> str:
    return "A sheet without a name" if job.kind == "sheet" else "Images without a sheet"


ROUTES: Final[list[HTTPRouteHandler]] = [show_jobs, show_job_list]
