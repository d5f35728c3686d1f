"""Job: one of them, while it runs and afterwards. Parts of the page are asked for again as the job goes on."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Final, Literal
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery, URLEncodedBody

from imagemill.api.auth import NEEDS
from imagemill.api.jobs import shown
from imagemill.core.errors import IllegalTransitionError, ImageCode, RequestError
from imagemill.core.failures import Cause, Failures
from imagemill.core.job import Job, Told
from imagemill.core.states import JobState, Verb, allowed
from imagemill.web.looks import ByLook, Look, listed
from imagemill.web.pictures import Picture, name_of, picture
from imagemill.web.view import GivenView, View, see_other

NEWEST: Final = 16
GROUPS: Final = 20

Uid = FromPath[UUID]
Move = Literal["pause", "resume", "cancel", "delete", "redeliver"]


class RetryForm(msgspec.Struct, frozen=True):
    """Which failed images are tried again; all of them without a code."""

    code: str = ""
    host: Annotated[str, msgspec.Meta(max_length=300)] = ""


@dataclass(frozen=True)
class Seen:
    """A job as its page shows it."""

    job: Job
    title: str
    deliveries: list[Told]
    is_all_paused: bool

    @property
    def settled(self) -> int:
        """How many images have ended, by place."""
        counts = self.job.counts
        return counts.images - counts.pending - counts.running

    @property
    def is_open(self) -> bool:
        """Whether it goes on, or will."""
        return not self.job.is_finished

    def allows(self, verb: Verb) -> bool:
        """Say whether a verb does something now; said twice, it would do nothing."""
        state = self.job.state
        useful = {
            Verb.PAUSE: state is not JobState.PAUSED,
            Verb.RESUME: state is JobState.PAUSED and not self.is_all_paused,
            Verb.CANCEL: self.is_open,
        }
        return verb in allowed(state) and useful.get(verb, True)

    @property
    def took_s(self) -> float | None:
        """How long it took from its first image to its last."""
        job = self.job
        return (job.finished_at - job.started_at).total_seconds() if job.finished_at and job.started_at else None


@dataclass(frozen=True)
class Gallery:
    """A page of a job's images in one of the orders."""

    look: Look
    cursor: str | None
    next_cursor: str | None
    pictures: list[Picture]

    @property
    def looks(self) -> list[Look]:
        """The orders there are."""
        return list(Look)


@get("/jobs/{job_id:uuid}", sync_to_thread=True)
def show_job_page(
    view: GivenView, job_id: Uid, look: ByLook = Look.SHEET, cursor: FromQuery[str | None] = None
) -> Response[str]:
    """Show it."""
    seen = _seen(view, job_id)
    return view.page(
        "job.html",
        seen=seen,
        job=seen.job,
        failures=_failures(view, seen.job),
        name_of=name_of,
        newest=_newest(view, seen.job),
        asked=view.parts.store.submission(seen.job.id),
        gallery=_gallery(view, seen.job, look, cursor),
    )


@get("/jobs/{job_id:uuid}/live", sync_to_thread=True)
def show_live(view: GivenView, job_id: Uid) -> Response[str]:
    """Show what changes with the job's state."""
    seen = _seen(view, job_id)
    return view.page("job_live.html", seen=seen, job=seen.job)


@get("/jobs/{job_id:uuid}/callback", sync_to_thread=True)
def show_callback(view: GivenView, job_id: Uid) -> Response[str]:
    """Show how far the telling of its end is."""
    seen = _seen(view, job_id)
    return view.page("job_callback.html", seen=seen, job=seen.job)


@get("/jobs/{job_id:uuid}/failures", sync_to_thread=True)
def show_failures(view: GivenView, job_id: Uid) -> Response[str]:
    """Show why images failed."""
    job = _job(view, job_id)
    return view.page("job_failures.html", job=job, failures=_failures(view, job), name_of=name_of)


@get("/jobs/{job_id:uuid}/newest", sync_to_thread=True)
def show_newest(view: GivenView, job_id: Uid) -> Response[str]:
    """Show the images that were done last."""
    job = _job(view, job_id)
    return view.page("job_newest.html", job=job, newest=_newest(view, job))


@get("/jobs/{job_id:uuid}/images", sync_to_thread=True)
def show_images(
    view: GivenView, job_id: Uid, look: ByLook = Look.SHEET, cursor: FromQuery[str | None] = None
) -> Response[str]:
    """Show a page of its images."""
    job = _job(view, job_id)
    return view.page("job_images.html", job=job, gallery=_gallery(view, job, look, cursor))


@post("/jobs/{job_id:uuid}/retry", opt={NEEDS: "submit"}, sync_to_thread=True)
def retry_images(view: GivenView, job_id: Uid, data: URLEncodedBody[RetryForm]) -> Response[str]:
    """Try failed images again: all, or a group."""
    if data.code and data.code not in set(ImageCode):
        raise RequestError("There is no such cause.", [("code", "is not known")])
    cause = Cause(ImageCode(data.code), data.host) if data.code else Cause()
    with suppress(IllegalTransitionError):
        view.parts.pipeline.verbs.retry(str(job_id), view.caller.sees_only, None, cause)
    return see_other(f"/jobs/{job_id}")


@post("/jobs/{job_id:uuid}/{move:str}", opt={NEEDS: "submit"}, sync_to_thread=True)
def move_job(view: GivenView, job_id: Uid, move: FromPath[Move]) -> Response[str]:
    """Pause, resume, cancel or delete it, or make its callback again.

    What the state does not allow any more is not done: the page that follows shows how the job is now.
    """
    uid, owner, verbs = str(job_id), view.caller.sees_only, view.parts.pipeline.verbs
    with suppress(IllegalTransitionError):
        match move:
            case "pause":
                verbs.pause(uid, owner)
            case "resume":
                verbs.resume(uid, owner)
            case "cancel":
                verbs.cancel(uid, owner)
            case "delete":
                verbs.delete(uid, owner)
                return see_other("/jobs")
            case "redeliver":
                view.parts.pipeline.redeliver(view.parts.store.job(uid, owner))
    return see_other(f"/jobs/{job_id}")


def title_of(view: View, job: Job) -> str:
    """Return what a job is called: by its sender, by its sheet, or by what it has."""
    images = f"{job.counts.images:,} picture{'' if job.counts.images == 1 else 's'}"
    return job.name or view.parts.store.sheet_filename(job.id) or images


def _job(view: View, job_id: UUID) -> Job:
    return shown(view.parts.store.job(str(job_id), view.caller.sees_only), view.parts)


def _seen(view: View, job_id: UUID) -> Seen:
    job, store = _job(view, job_id), view.parts.store
    deliveries = store.deliveries(job.id) if job.callback.url else []
    return Seen(job, title_of(view, job), deliveries, store.paused_at() is not None)


def _failures(view: View, job: Job) -> Failures:
    return view.parts.store.failures(job.id, most=GROUPS) if job.counts.failed else Failures([], 0, 0)


def _newest(view: View, job: Job) -> list[Picture]:
    return [picture(image, view.parts) for image in view.parts.store.newest_images(job.id, NEWEST)]


def _gallery(view: View, job: Job, look: Look, cursor: str | None) -> Gallery:
    found = listed(view.parts.store, job.id, look, cursor)
    return Gallery(look, cursor, found.next_cursor, [picture(image, view.parts) for image in found.images])


ROUTES: Final[list[HTTPRouteHandler]] = [
    show_job_page,
    show_live,
    show_callback,
    show_failures,
    show_newest,
    show_images,
    retry_images,
    move_job,
]
