"""Accept: a sheet comes in by pieces, is written and checked while it comes, and becomes a job or leaves nothing."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import secrets
import shutil
from typing import TYPE_CHECKING, Final

import msgspec

from imagemill.core import keys
from imagemill.core.job import Job, JobKind, Profile, Submission
from imagemill.core.sheet import Fault
from imagemill.db import Key, KeyTaken, NewJob
from imagemill.logs import about
from imagemill.pipeline import sent
from imagemill.pipeline.drafts import About
from imagemill.pipeline.estimate import estimated
from imagemill.pipeline.losses import lose_missing
from imagemill.pipeline.reading import Reading, read_again
from imagemill.pipeline.rules import rules, with_column
from imagemill.pipeline.steps import Work
from imagemill.storage.local import flush_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from imagemill.core.estimate import Estimate
    from imagemill.pipeline.drafts import Draft, Drafts
    from imagemill.pipeline.parts import Parts
    from imagemill.pipeline.steps import Step

log = logging.getLogger(__name__)

IMAGES_HEADER: Final = b"Input Image Urls\r\n"
_CHECK_BYTES: Final = 4 << 20
"""How often the disk is looked at while a sheet comes in."""
_GROWTH: Final = 3
"""Rows that were staged are ranked beside, written to the log, and from there to the database."""


class Accepted(msgspec.Struct, frozen=True):
    """A job that is durable, and what its sheet might have meant otherwise."""

    job: Job
    warnings: list[Fault]


class Repeat(msgspec.Struct, frozen=True):
    """A client's name for its request (`Idempotency-Key`), and the SHA-256 of the request's fields."""

    key: str
    fields: str


class Intake:
    """One sheet on its way in: `feed` … `feed`, then `accept` or `estimate`.

    `discard` when it ends otherwise; that is always allowed. A job of the kind `images` has a sheet too, which was
    written by us (`images_sheet`): it keeps their order, and says what the client takes home.
    """

    def __init__(
        self,
        parts: Parts,
        perform: Callable[[list[Step]], None],
        place: contextlib.ExitStack,
        kind: JobKind = "sheet",
        profile: Profile | None = None,
    ) -> None:
        """Take over `place`, which is closed at the end."""
        self._kind: JobKind = kind
        self._profile: Profile | None = profile
        self._rules = rules(parts.settings, kind, profile)
        self._parts = parts
        self._perform = perform
        self._folder = parts.folders.spool / f"intake-{secrets.token_hex(8)}"
        self._folder.mkdir(mode=0o700)
        self._path = self._folder / "sheet"
        self._file = self._path.open("xb")
        self._digest = hashlib.sha256()
        self._reading = Reading(self._rules, self._folder / "staging.db")
        self._unchecked_bytes = 0
        self._place = place.pop_all()

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the sheet; faults are collected, not raised. NoRoomError when the disk fills up."""
        with self._parts.room.watched():
            self._file.write(data)
        self._digest.update(data)
        self._reading.feed(data)
        self._unchecked_bytes += len(data)
        if self._unchecked_bytes >= _CHECK_BYTES:
            self._parts.room.check()
            self._unchecked_bytes = 0

    def accept(
        self,
        submission: Submission,
        *,
        owner: str,
        filename: str,
        repeat: Repeat | None = None,
        continue_same: bool = False,
    ) -> Accepted:
        """Make it a job. When this returns, the job is on the disk and its work is asked for.

        SheetError lists every fault; RequestError where the callback may not be called. Where `repeat` names a request
        that became a job already, that job is returned (KeyReusedError: it asked for something else). With
        `continue_same` an earlier job of the same bytes that asks for the same is returned instead of a new one;
        pictures of it that somebody has removed are made again.
        """
        try:
            self._read(submission)
            asked = msgspec.structs.replace(self._with_callback(submission), profile=self._profile)
            if continue_same and (same := self._parts.store.same_job(self._digest.hexdigest(), asked, owner)):
                self._continue(same)
                return self._accepted(same)
            key = self._key(repeat, owner) if repeat else None
            return self._accepted(self._job_of(key) or self._insert(asked, owner, filename, key))
        finally:
            self.discard()

    def estimate(self, submission: Submission, is_given_up: Callable[[], bool] = lambda: False) -> Estimate:
        """Say what the sheet would cost as a job, and leave nothing; refused as `accept` would refuse it.

        `is_given_up` is asked now and then whether anybody still wants to know.
        """
        try:
            self._read(submission)
            self._with_callback(submission)
            sampled = self._reading.staging.sample(self._parts.settings.estimate.samples)
            place = self._place.pop_all()
        finally:
            self.discard()
        return estimated(self._parts, sampled, submission.recipe, place, is_given_up)

    def draft(self, drafts: Drafts, column: str | None, *, owner: str, filename: str) -> Draft:
        """Say what is in the sheet and what is wrong with it, and keep it as a draft, whatever that is."""
        try:
            self._close(column)
            self._file.close()
            about = About(owner=owner, kind=self._kind, filename=filename)
            return drafts.keep(self._reading, self._path, about)
        finally:
            self.discard()

    def discard(self) -> None:
        """Leave nothing on the disk."""
        with contextlib.suppress(OSError):
            self._file.close()
        self._reading.discard()
        shutil.rmtree(self._folder, ignore_errors=True)
        self._place.close()

    def _read(self, submission: Submission) -> None:
        """Read the sheet to its end, as was asked for; SheetError lists all that is wrong with it."""
        self._close(submission.image_column)
        self._reading.check()

    def _close(self, column: str | None) -> None:
        """End the reading; a chosen column may be named behind the sheet, which then is read again."""
        if column is None:
            self._reading.close()
            return
        known = with_column(self._rules, self._kind, column)
        self._file.flush()
        self._reading.discard()
        self._reading = read_again(self._path, known, self._folder / "chosen.db")

    def _with_callback(self, submission: Submission) -> Submission:
        section = self._parts.settings.callback
        url = submission.callback_url or section.url
        if url is None:
            return submission
        self._parts.caller.check(url)
        return msgspec.structs.replace(
            submission, callback_url=url, callback_secret=submission.callback_secret or section.secret
        )

    def _accepted(self, uid: str) -> Accepted:
        return Accepted(job=self._parts.store.job(uid), warnings=list(self._reading.reader.warnings))

    def _key(self, repeat: Repeat, owner: str) -> Key:
        content = hashlib.sha256(f"{self._digest.hexdigest()}/{repeat.fields}".encode()).hexdigest()
        expires_at = self._parts.clock() + self._parts.settings.idempotency_s
        return Key(owner=owner, name=repeat.key, content=content, expires_at=expires_at)

    def _job_of(self, key: Key | None) -> str | None:
        return self._parts.store.job_of_key(key) if key else None

    def _continue(self, uid: str) -> None:
        store = self._parts.store
        if lose_missing(self._parts, store.done_outputs(uid)):
            # What is lost may have been other jobs' too.
            self._perform([Work(job.id, job.priority) for job in store.open_jobs()])

    def _insert(self, submission: Submission, owner: str, filename: str, key: Key | None) -> str:
        now = self._parts.clock()
        new = NewJob(
            uid=keys.job_id(int(now * 1000), secrets.randbits(42)),
            kind=self._kind,
            owner=owner,
            submission=submission,
            filename=filename,
            sheet_sha256=self._digest.hexdigest(),
            sheet_rows=self._reading.reader.rows,
            created_at=now,
        )
        self._parts.room.check(_GROWTH * self._reading.staging.size_bytes())
        with self._parts.room.watched():
            self._keep(new.uid)
        self._reading.staging.seal()
        try:
            sent.share(self._parts, new.uid)
            accepted = self._parts.store.accept_job(new, self._reading.staging, key)
        except BaseException as error:
            sent.forget(self._parts, new.uid)
            # Two requests with one key, at once: the faster one's job is the answer to both.
            if isinstance(error, KeyTaken) and (faster := self._job_of(key)):
                return faster
            raise
        with about(job=new.uid):
            log.info("job accepted: %d rows, %d images", new.sheet_rows, accepted.images)
        self._perform([Work(accepted.id, accepted.priority)])
        return new.uid

    def _keep(self, uid: str) -> None:
        """Move what was sent to where it stays."""
        # Before the rows that speak of it: a crash in between leaves a sheet without a job, which `recover` removes.
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._path.replace(self._parts.folders.sheets / uid)
        flush_folder(self._parts.folders.sheets)


def images_sheet(urls: Iterable[str]) -> Iterator[bytes]:
    """Yield the sheet of a job of images: one column, one address a row, quoted."""
    yield IMAGES_HEADER
    yield from map(images_row, urls)


def images_row(url: str) -> bytes:
    """Return one row of it."""
    quoted = url.replace('"', '""')
    return f'"{quoted}"\r\n'.encode()
