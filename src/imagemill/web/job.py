"""Job: one of them, while it runs and afterwards."""

from typing import Final
from uuid import UUID

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from imagemill.web.view import GivenView


@get("/jobs/{job_id:uuid}", sync_to_thread=True)
def show_job_page(view: GivenView, job_id: FromPath[UUID]) -> Response[str]:
    """Show it."""
    return view.page("job.html", job=view.parts.store.job(str(job_id), view.caller.sees_only))


ROUTES: Final[list[HTTPRouteHandler]] = [show_job_page]
