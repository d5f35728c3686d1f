"""What a client does to a job, and what follows: work asked for, a callback made, files let go."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from imagemill.core import keys
from imagemill.core.failures import ALL
from imagemill.logs import about
from imagemill.pipeline import sent
from imagemill.pipeline.steps import Notify, Sweep, Work

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from imagemill.core.failures import Cause
    from imagemill.core.job import Image, Job
    from imagemill.db import Accepted
    from imagemill.pipeline.parts import Parts
    from imagemill.pipeline.steps import Step


log = logging.getLogger(__name__)


class Verbs:
    """Moves of whole jobs, or of all; jobs by their public ids, `owner` is None for whoever may see all.

    NotFoundError where there is no such job, IllegalTransitionError where its state does not allow the verb. Each may
    be said twice.
    """

    def __init__(self, parts: Parts, perform: Callable[[list[Step]], None]) -> None:
        self._parts = parts
        self._perform = perform

    def cancel(self, uid: str, owner: str | None = None) -> Job:
        """End a job now: what waits is not begun, what is in hand is dropped."""
        due = self._parts.store.cancel_job(uid, owner)
        _tell("cancelled", uid)
        if due is not None:
            self._perform([Notify(due)])
        return self._parts.store.job(uid)

    def pause(self, uid: str, owner: str | None = None) -> Job:
        """Begin nothing more of a job until it is resumed."""
        self._parts.store.pause_job(uid, owner)
        _tell("paused", uid)
        return self._parts.store.job(uid)

    def resume(self, uid: str, owner: str | None = None) -> Job:
        """Go on with a paused job."""
        job = self._parts.store.resume_job(uid, owner)
        _tell("resumed", uid)
        return self._working(uid, job)

    def retry(self, uid: str, owner: str | None = None, images: Iterable[str] | None = None, cause: Cause = ALL) -> Job:
        """Ask again for a job's failed and cancelled images: all, those of a cause, or those named by their ids."""
        job = self._parts.store.retry_job(uid, owner, images, cause)
        _tell("retried", uid)
        return self._working(uid, job)

    def delete(self, uid: str, owner: str | None = None) -> None:
        """Forget a job: at once for everybody, its rows and files in the minutes after."""
        self._parts.store.delete_job(uid, owner)
        _tell("deleted", uid)
        sent.forget(self._parts, uid)
        self._perform([Sweep()])

    def drop(self, image: Image) -> None:
        """Take an ended image away from its job: its outputs, and what was sent or kept of it, where nobody uses them.

        IllegalTransitionError while it has not ended.
        """
        _, place = keys.split_image_id(image.id) or ("", 0)
        self._parts.store.drop_image(image.job_id, place)
        sha256 = keys.uploaded(image.source_url)
        if sha256 and not self._parts.store.urls_of(image.job_id, keys.upload_url(sha256, "")):
            sent.forget_upload(self._parts, image.job_id, sha256)
        self._perform([Sweep()])

    def pause_all(self) -> None:
        """Begin nothing more of any job until `resume_all`."""
        self._parts.store.pause_all()
        log.warning("everything is paused")

    def resume_all(self) -> None:
        """Go on with every job that is not paused itself."""
        self._parts.store.resume_all()
        log.warning("everything goes on")
        self._perform([Work(job.id, job.priority) for job in self._parts.store.open_jobs()])

    def _working(self, uid: str, job: Accepted) -> Job:
        self._perform([Work(job.id, job.priority)])
        return self._parts.store.job(uid)


def _tell(what: str, uid: str) -> None:
    with about(job=uid):
        log.info("job %s", what)
