"""Compare: one image before and after, and the way to the next one."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from imagemill.api.auth import NEEDS
from imagemill.core import failures, keys
from imagemill.core.errors import IllegalTransitionError, NotFoundError
from imagemill.core.job import Image, Job
from imagemill.core.states import ImageState
from imagemill.web.job import title_of
from imagemill.web.looks import ByLook, Look, beside, listed
from imagemill.web.pictures import picture
from imagemill.web.view import GivenView, View, see_other

_UNSHOWABLE: Final = {"tiff": "TIFF"}
"""Formats that hardly a browser shows."""


@dataclass(frozen=True)
class Original:
    """Whether there is a source to look at: where it lies, or in words why there is none to be seen."""

    url: str | None
    why_not: str = ""


@get("/jobs/{job_id:uuid}/compare", sync_to_thread=True)
def begin_comparison(view: GivenView, job_id: FromPath[UUID], look: ByLook = Look.WORST) -> Response[str]:
    """Go to the first image in an order."""
    job = view.parts.store.job(str(job_id), view.caller.sees_only)
    found = listed(view.parts.store, job.id, look, limit=1)
    if found.images:
        return see_other(f"/jobs/{job.id}/images/{found.images[0].id}?order={look}")
    return view.page("compare_none.html", job=job, title=title_of(view, job), look=look, looks=list(Look))


@get("/jobs/{job_id:uuid}/images/{image_id:uuid}", sync_to_thread=True)
def show_comparison(
    view: GivenView, job_id: FromPath[UUID], image_id: FromPath[UUID], look: ByLook = Look.SHEET
) -> Response[str]:
    """Show it."""
    job = view.parts.store.job(str(job_id), view.caller.sees_only)
    place = keys.split_image_id(str(image_id))
    if place is None or place[0] != job.id:
        raise NotFoundError("There is no such image in this job.")
    image = view.parts.store.image(job.id, place[1])
    return view.page(
        "compare.html",
        job=job,
        title=title_of(view, job),
        picture=picture(image, view.parts),
        image=image,
        original=_original(view, job, image),
        beside=beside(view.parts.store, job.id, place[1], look),
        look=look,
        looks=list(Look),
        cause=failures.cause(image.error.code) if image.error else "",
        next_step=failures.next_step(image.error.code) if image.error else "",
    )


@post("/jobs/{job_id:uuid}/images/{image_id:uuid}/retry", opt={NEEDS: "submit"}, sync_to_thread=True)
def retry_image(
    view: GivenView, job_id: FromPath[UUID], image_id: FromPath[UUID], look: ByLook = Look.SHEET
) -> Response[str]:
    """Try one again; what the job's state does not allow any more is not done."""
    with suppress(IllegalTransitionError):
        view.parts.pipeline.verbs.retry(str(job_id), view.caller.sees_only, [str(image_id)])
    return see_other(f"/jobs/{job_id}/images/{image_id}?order={look}")


def _original(view: View, job: Job, image: Image) -> Original:
    url = f"/api/v1/images/{image.id}/original"
    if image.source and image.source.format in _UNSHOWABLE:
        return Original(None, f"The original is a {_UNSHOWABLE[image.source.format]}, which browsers do not show.")
    if view.parts.pipeline.sent_image(image):
        return Original(url)
    if not view.parts.store.submission(job.id).keep_original:
        return Original(None, "The original was not kept.")
    if image.state is not ImageState.DONE or image.source is None:
        return Original(None, "There is no original yet.")
    is_kept = view.parts.pipeline.original(image.source) is not None
    return Original(url) if is_kept else Original(None, "The original is not there any more.")


ROUTES: Final[list[HTTPRouteHandler]] = [begin_comparison, show_comparison, retry_image]
