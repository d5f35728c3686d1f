"""Jobs: all of them, newest first."""

from typing import Final

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from imagemill.db import JobFilter
from imagemill.web.view import GivenView


@get("/jobs", sync_to_thread=True)
def show_jobs(view: GivenView) -> Response[str]:
    """Show it."""
    jobs, next_cursor = view.parts.store.jobs(JobFilter(owner=view.caller.sees_only), 50, None)
    return view.page("jobs.html", jobs=jobs, next_cursor=next_cursor)


ROUTES: Final[list[HTTPRouteHandler]] = [show_jobs]
