"""Compare: one image before and after."""

from typing import Final
from uuid import UUID

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from imagemill.web.view import GivenView


@get("/jobs/{job_id:uuid}/images/{image_id:str}", sync_to_thread=True)
def show_comparison(view: GivenView, job_id: FromPath[UUID], image_id: FromPath[str]) -> Response[str]:
    """Show it."""
    job = view.parts.store.job(str(job_id), view.caller.sees_only)
    return view.page("compare.html", job=job, image_id=image_id)


ROUTES: Final[list[HTTPRouteHandler]] = [show_comparison]
