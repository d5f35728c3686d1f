"""THE STORY: accept → claim → fetch → compress → put → record → finish → notify; and recover, after an interruption.

Every step may be repeated, because every fact is in the database. Functions return the next steps; only `queue`
performs them.
"""

from __future__ import annotations

import random
from contextlib import ExitStack
from typing import TYPE_CHECKING

from imagemill.core import keys, retry
from imagemill.db import Sampled
from imagemill.pipeline import callbacks, images, losses, sent, sheets
from imagemill.pipeline.admission import Admission
from imagemill.pipeline.archive import archive
from imagemill.pipeline.drafts import Draft, Drafts, Kept
from imagemill.pipeline.estimate import estimated
from imagemill.pipeline.hands import Hands
from imagemill.pipeline.image_intake import ImageIntake
from imagemill.pipeline.intake import Accepted, Intake, Repeat, images_sheet
from imagemill.pipeline.leases import Leases
from imagemill.pipeline.outage import Outage
from imagemill.pipeline.parts import Parts
from imagemill.pipeline.previews import PictureIntake, Preview, Previews
from imagemill.pipeline.room import Room
from imagemill.pipeline.sheets import batched
from imagemill.pipeline.steps import Notify, Step, Sweep, Work
from imagemill.pipeline.sweep import Sweeper
from imagemill.pipeline.verbs import Verbs
from imagemill.pipeline.vitals import Vitals, vitals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from imagemill.core.estimate import Estimate
    from imagemill.core.job import Image, Job, JobKind, Profile, Source, Submission, Trial
    from imagemill.core.sheet import Row
    from imagemill.db import Claim, Fate

__all__ = [
    "Accepted",
    "Draft",
    "Drafts",
    "ImageIntake",
    "Intake",
    "Kept",
    "Leases",
    "Notify",
    "Outage",
    "Parts",
    "PictureIntake",
    "Pipeline",
    "Preview",
    "Previews",
    "Repeat",
    "Room",
    "Step",
    "Sweep",
    "Verbs",
    "Vitals",
    "Work",
    "batched",
    "images_sheet",
]

RECOVER_S = 60.0
"""How often `recover` runs; it is told the callbacks that come due until the next time."""


class Pipeline:
    """The steps of a job's life, in the order of their first use."""

    def __init__(self, parts: Parts, perform: Callable[[list[Step]], None]) -> None:
        self._parts = parts
        self._perform = perform
        self._admission = Admission(parts)
        self.verbs = Verbs(parts, perform)
        self.drafts = Drafts(parts)
        self.previews = Previews(parts, self.drafts)
        self._sweeper = Sweeper(parts)
        self._hands = Hands(parts)

    def intake(self, kind: JobKind = "sheet", *, is_new: bool = True, profile: Profile | None = None) -> Intake:
        """Begin to accept a sheet; NoRoomError when the disk is below its reserve, or too much is under way.

        Images that wait keep a new job out, but not one that may be continued (`is_new` false). `profile` says what the
        sheet must be, and how the job's callbacks look.
        """
        with ExitStack() as place:
            self._admission.enter(place, is_new=is_new)
            return Intake(self._parts, self._perform, place, kind, profile)

    def image_intake(self, profile: Profile | None = None) -> ImageIntake:
        """Begin to accept images themselves; refused as `intake` refuses."""
        with ExitStack() as place:
            self._admission.enter(place, is_new=True)
            return ImageIntake(self._parts, self._perform, place, "images", profile)

    def remote_sheet(self, url: str) -> Iterator[bytes]:
        """Return the bytes of a sheet that lies elsewhere; RequestError where it cannot be had."""
        return sheets.remote(self._parts, url)

    def survey(self, kind: JobKind = "sheet") -> Intake:
        """Begin to take a sheet in for an estimate only; NoRoomError as `intake`, and when too many are being made."""
        with ExitStack() as place:
            self._admission.enter_estimate(place)
            return Intake(self._parts, self._perform, place, kind)

    def checking(self, kind: JobKind = "sheet") -> Intake:
        """Begin to take a sheet in to be checked and kept as a draft; NoRoomError as `intake`, but for the backlog."""
        with ExitStack() as place:
            self._admission.enter(place, is_new=False)
            return Intake(self._parts, self._perform, place, kind)

    def look(self, uid: str, sees_only: str | None, column: str | None) -> Draft:
        """Check a draft again, with another column of links; NoRoomError as `intake`, for it reads the whole sheet."""
        with ExitStack() as place:
            self._admission.enter(place, is_new=False)
            return self.drafts.look(uid, sees_only, column)

    def picture_intake(self) -> PictureIntake:
        """Begin to take in a picture that a recipe is tried on; NoRoomError as `intake`, but for the backlog."""
        with ExitStack() as place:
            self._admission.enter(place, is_new=False)
            return self.previews.intake(place)

    def estimate_draft(self, kept: Kept, asked: Submission, is_given_up: Callable[[], bool]) -> Estimate | None:
        """Say what a draft would cost from what its check found; None where it was not checked as is asked for now."""
        about = kept.about
        if not about.sample or about.column != asked.image_column:
            return None
        if url := asked.callback_url or self._parts.settings.callback.url:
            self._parts.caller.check(url)
        urls = random.sample(about.sample, min(len(about.sample), self._parts.settings.estimate.samples))
        with ExitStack() as place:
            self._admission.enter_estimate(place)
            sampled = Sampled(about.images, about.unique, urls)
            return estimated(self._parts, sampled, asked.recipe, place.pop_all(), is_given_up)

    def pressure(self) -> str | None:
        """Return what keeps a new job out beside the disk, in words for an operator; None when nothing does."""
        return self._admission.pressure()

    def vitals(self) -> Vitals:
        """Return how the work is going, in numbers."""
        return vitals(self._parts)

    def claim(self, job_id: int) -> tuple[Claim | None, list[Step]]:
        """Take some images of a job under a lease."""
        return images.claim(self._parts, self._hands, job_id)

    def compress(self, claim: Claim) -> list[Step]:
        """Fetch, compress, put and record claimed images; the last one finishes the job."""
        return images.compress(self._parts, self._hands, claim)

    def notify(self, delivery_id: int) -> list[Step]:
        """Make one attempt at a callback."""
        return callbacks.notify(self._parts, delivery_id)

    def redeliver(self, job: Job) -> None:
        """Tell the last end of a job again, now."""
        self._perform(callbacks.redeliver(self._parts, job))

    def try_callback(self, url: str, secret: str | None) -> Trial:
        """Make a callback that tells of no job, and say what came back."""
        return callbacks.trial(self._parts, url, secret)

    def recover(self, *, at_start: bool = False) -> list[Step]:
        """Pick up what was interrupted: leases, ends of jobs, callbacks, work.

        At the start this machine holds nothing (the data folder is locked), so every lease of its own is given back,
        the spool is emptied, and what the power may have taken is looked for; leases that have run out are always. A
        wall clock that was put back is noticed by what would wait longer than anything may.
        """
        store = self._parts.store
        if at_start:
            self._parts.leases.release()
            if not store.is_shared:
                store.release_deliveries()
            self._forget_strays()
        store.release_leases(before=self._parts.clock())
        store.forget_keys()
        store.forget_unclaimed()
        sent.forget_copies(self._parts)
        self.drafts.sweep()
        store.forget_fetched(self._parts.settings.fetch.remember_urls)
        if at_start and not self._parts.storage.is_durable:
            losses.lose_missing(self._parts, store.recent_outputs(losses.SETTLED_S))
        store.hasten_images(retry.LONGEST_WAIT_S)
        store.hasten_deliveries(retry.LONGEST_CALLBACK_WAIT_S)
        over = [*store.finish_cancelling(), *store.finish_idle_jobs()]
        ended: list[Step] = [Notify(delivery) for delivery in over]
        due: list[Step] = [Notify(delivery, delay_s) for delivery, delay_s in store.due_deliveries(RECOVER_S)]
        return [*ended, *due, *(Work(job.id, job.priority) for job in store.open_jobs())]

    def sent_image(self, image: Image) -> Path | None:
        """Return the file of an image that a client sent itself; None where it did not, or it is gone."""
        sha256 = keys.uploaded(image.source_url)
        return sent.upload(self._parts, image.job_id, sha256) if sha256 else None

    def original(self, source: Source) -> Path | None:
        """Return the file of a source, where it is kept."""
        name, originals = keys.source_name(source.sha256, source.format), self._parts.originals
        return originals.path(name) or sent.copied(self._parts, originals, name)

    def sweep(self) -> list[Step]:
        """Remove a little of what nobody needs any more."""
        return self._sweeper.sweep()

    def input_path(self, job: Job) -> Path:
        """Return the upload of a job, byte for byte."""
        return sheets.input_path(self._parts, job)

    def output_sheet(self, job: Job, *, partial: bool = False) -> Iterator[bytes]:
        """Return the same sheet with one column more, in pieces."""
        return sheets.output_sheet(self._parts, job, partial=partial)

    def rows(self, job: Job) -> Iterator[tuple[Row, list[Fate]]]:
        """Return the rows of a job's sheet, each with what has become of its addresses so far."""
        return sheets.rows_of(self._parts, job)

    def archive(self, job: Job, *, partial: bool = False) -> Iterator[bytes]:
        """Return all pictures of a job as one ZIP file, in pieces."""
        return archive(self._parts, job, partial=partial)

    def report(self, job: Job) -> Iterator[bytes]:
        """Return the report, in pieces."""
        return sheets.report(self._parts, job)

    def _forget_strays(self) -> None:
        self._parts.folders.empty_spool()
        for uid in self._parts.folders.sent() - self._parts.store.known_uids():
            self._parts.folders.forget(uid)
