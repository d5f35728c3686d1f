"""Jobs: accepted in one durable transaction, read with what derives from their images, ended once."""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from imagemill.core import keys
from imagemill.core.errors import NotFoundError, RequestError
from imagemill.core.job import Callback, Counts, Job, JobKind, Submission, Volume, Worst, without_query
from imagemill.core.states import OPEN, ImageState, JobState, job_state
from imagemill.db.database import translated
from imagemill.db.repeats import Repeats
from imagemill.logs import about

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imagemill.db.repeats import Key
    from imagemill.db.staging import Staging

log = logging.getLogger(__name__)

_TALLY = f"{', '.join(ImageState)}, source_bytes, output_bytes"

IS_OPEN = "EXISTS (SELECT 1 FROM image WHERE job_id = job.id AND state IN ('pending', 'running'))"
IS_DONE = "EXISTS (SELECT 1 FROM image WHERE job_id = job.id AND state = 'done')"
IS_MISSING = "EXISTS (SELECT 1 FROM image WHERE job_id = job.id AND state IN ('failed', 'cancelled'))"

_ALL_PAUSED = "EXISTS (SELECT 1 FROM pause)"

IS_WORKED = f"finished_at IS NULL AND paused_at IS NULL AND cancelled_at IS NULL AND NOT {_ALL_PAUSED}"
"""Images of such a job are claimed."""

_IS_PAUSED = f"(paused_at IS NOT NULL OR {_ALL_PAUSED})"
"""Nothing of such a job goes on, because of itself or of everything; verbs look at the job's own pause."""

_JOBS = (
    "SELECT id, uid, kind, name, owner, priority, submission, sheet_rows, places, images,"
    f" created_at, started_at, finished_at, {_IS_PAUSED}, cancelled_at, expires_at, {_TALLY}"
    " FROM job JOIN tally ON tally.job_id = job.id"
)

# The same derivation as core.states.job_state, for filtering; a test holds the two against each other.
# It reads the tally, which is for showing; what is done to a job is decided by its images.
_STATE_IS: dict[JobState, str] = {
    JobState.PENDING: f"pending + running > 0 AND NOT {_IS_PAUSED} AND started_at IS NULL",
    JobState.PROCESSING: f"pending + running > 0 AND NOT {_IS_PAUSED} AND started_at IS NOT NULL",
    JobState.PAUSED: f"pending + running > 0 AND {_IS_PAUSED}",
    JobState.CANCELLED: "pending + running = 0 AND cancelled_at IS NOT NULL",
    JobState.COMPLETED: "pending + running = 0 AND cancelled_at IS NULL AND failed + cancelled = 0",
    JobState.PARTIAL: "pending + running = 0 AND cancelled_at IS NULL AND failed + cancelled > 0 AND done > 0",
    JobState.FAILED: "pending + running = 0 AND cancelled_at IS NULL AND failed + cancelled > 0 AND done = 0",
}


_SAYS = "lower(name || ' ' || filename || ' ' || owner) LIKE lower(?) ESCAPE '!'"


class NewJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job about to be accepted; its places are in the staging file."""

    uid: str
    kind: JobKind
    owner: str
    submission: Submission
    filename: str
    sheet_sha256: str
    sheet_rows: int
    created_at: float


class JobFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which jobs a list shows; None is no condition. Times are seconds since 1970.

    `words` is looked for in the names of jobs, sheets and owners, in either case.
    """

    state: JobState | None = None
    owner: str | None = None
    name: str | None = None
    words: str | None = None
    created_after: float | None = None
    created_before: float | None = None


class Accepted(msgspec.Struct, frozen=True):
    """What the queue needs to know of a job: its small id and how many images it has."""

    id: int
    images: int
    priority: int


class Jobs(Repeats):
    """Queries about whole jobs."""

    def accept_job(self, new: NewJob, staging: Staging, key: Key | None = None) -> Accepted:
        """Write the job and all its images in one transaction; when this returns, the power may go.

        With a `key`, its use is part of the transaction: KeyTaken, and nothing is written, when it is used already.
        """
        with translated(self._dialect), self._dialect.reading(staging.path) as bring, self._durable():
            if key:
                self._keep_key(key, new.uid)
            accepted = self._insert_job(new, staging)
            bring(accepted.id, ImageState.PENDING.value)
        return accepted

    def _insert_job(self, new: NewJob, staging: Staging) -> Accepted:
        row = self._row(
            "INSERT INTO job (uid, kind, name, owner, priority, submission, fingerprint, filename, sheet_sha256,"
            " sheet_rows, places, images, created_at, expires_at, profile)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
            _values(new, staging),
        )
        job_id = row[0] if row else 0
        return Accepted(id=job_id, images=staging.images, priority=new.submission.priority)

    def same_job(self, sheet_sha256: str, submission: Submission, owner: str) -> str | None:
        """Return an owner's newest job of equal sheet bytes that asks for the same; None when there is none."""
        row = self._row(
            "SELECT uid FROM job WHERE sheet_sha256 = ? AND submission = ? AND owner = ? AND deleted_at IS NULL"
            " ORDER BY id DESC LIMIT 1",
            (sheet_sha256, _encode(submission), owner),
        )
        return row[0] if row else None

    def job(self, uid: str, owner: str | None = None) -> Job:
        """Return a job; NotFoundError when there is none or it is another owner's."""
        row = self._row(f"{_JOBS} WHERE uid = ? AND deleted_at IS NULL", (uid,))
        if row is None or owner not in {None, row[4]}:
            raise no_such_job()
        return self._job(row)

    def jobs(self, where: JobFilter, limit: int, cursor: str | None) -> tuple[list[Job], str | None]:
        """Return a page of jobs, newest first, and the next cursor; a cursor stays right while jobs are added."""
        clauses, params = _conditions(where, cursor)
        rows = self._rows(f"{_JOBS} WHERE {clauses} ORDER BY id DESC LIMIT ?", (*params, limit + 1))
        page = [self._job(row) for row in rows[:limit]]
        return page, str(rows[limit - 1][0]) if len(rows) > limit else None

    def submission(self, uid: str) -> Submission:
        """Return what the job was asked to do, its secrets included."""
        row = self._row("SELECT submission FROM job WHERE uid = ? AND deleted_at IS NULL", (uid,))
        if row is None:
            raise no_such_job()
        return _decode(row[0])

    def sheet_filename(self, uid: str) -> str:
        """Return the name the client gave its sheet: for showing, never for a path."""
        row = self._row("SELECT filename FROM job WHERE uid = ? AND deleted_at IS NULL", (uid,))
        return row[0] if row else ""

    def sheet_filenames(self, uids: Sequence[str]) -> dict[str, str]:
        """Return the same for many jobs."""
        marks = ", ".join("?" * len(uids))
        return dict(self._rows(f"SELECT uid, filename FROM job WHERE uid IN ({marks})", uids))

    def known_uids(self) -> set[str]:
        """Return the ids of all jobs: which kept sheets are still somebody's."""
        return {uid for (uid,) in self._rows("SELECT uid FROM job WHERE deleted_at IS NULL")}

    def open_jobs(self) -> list[Accepted]:
        """Return the jobs that are not finished, paused or being cancelled, the most urgent first."""
        rows = self._rows(f"SELECT id, images, priority FROM job WHERE {IS_WORKED} ORDER BY priority DESC, id")
        return [Accepted(id=row[0], images=row[1], priority=row[2]) for row in rows]

    def open_images(self) -> int:
        """Return how many images the jobs have that have not ended, those that are done included: no count of rows."""
        return int(self._rows("SELECT coalesce(sum(images), 0) FROM job WHERE finished_at IS NULL")[0][0])

    def finish_idle_jobs(self) -> list[int]:
        """End the jobs whose last image was recorded but whose end was not; return the callbacks that are due."""
        idle = self._rows(f"SELECT id FROM job WHERE finished_at IS NULL AND NOT {IS_OPEN}")
        due = [self._finish_idle(job_id) for (job_id,) in idle]
        return [delivery for delivery in due if delivery is not None]

    def _finish_idle(self, job_id: int) -> int | None:
        with self._transaction(job_id):
            return self._finish_job(job_id)

    def _finish_job(self, job_id: int) -> int | None:
        """End a job whose images all have ended, exactly once; return its callback's delivery, where it has one.

        Runs inside the transaction that recorded the last image (or found it recorded).
        """
        now = self._clock()
        row = self._row(
            f"UPDATE job SET finished_at = ? WHERE id = ? AND finished_at IS NULL AND NOT {IS_OPEN}"
            " RETURNING submission, uid, cancelled_at",
            (now, job_id),
        )
        if row is None:
            return None
        counts = _counts(self._rows(f"SELECT {_TALLY} FROM tally WHERE job_id = ?", (job_id,))[0])
        state = job_state(counts, started=True, paused=False, cancelled=row[2] is not None)
        with about(job=row[1]):
            log.info("job finished: %s, %s", state, ", ".join(f"{n} {kind}" for kind, n in counts.items()) or "empty")
        url = _decode(row[0]).callback_url
        return None if url is None else self._add_delivery(job_id, f"job.{state}", url, now)

    def _add_delivery(self, job_id: int, event: str, url: str, now: float) -> int:
        """Write the outbox row of a callback; its id is made here, once, so that every attempt bears the same."""
        uid = keys.message_id(job_id, event, now)
        row = self._row(
            "INSERT INTO delivery (uid, job_id, event, url, state, next_attempt_at, created_at)"
            " VALUES (?, ?, ?, ?, 'pending', ?, ?) RETURNING id",
            (uid, job_id, event, url, now, now),
        )
        return row[0] if row else 0

    def _take_back_untold(self, job_id: int) -> None:
        """Forget a callback that was not told yet: what it would tell is not so any more."""
        untold = "FROM delivery WHERE job_id = ? AND state = 'pending'"
        self._touched(f"DELETE FROM attempt WHERE delivery_id IN (SELECT id {untold})", (job_id,))
        self._touched(f"DELETE {untold}", (job_id,))

    def _job(self, row: tuple[Any, ...]) -> Job:
        (job_id, uid, kind, name, owner, priority, submission, sheet_rows, places, images) = row[:10]
        created_at, started_at, finished_at, is_paused, cancelled_at, expires_at = row[10:16]
        counts, (source_bytes, output_bytes) = _counts(row[16:]), row[-2:]
        asked = _decode(submission)
        return Job(
            id=uid,
            kind=kind,
            name=name,
            owner=owner,
            priority=priority,
            recipe=asked.recipe,
            state=job_state(
                counts, started=started_at is not None, paused=bool(is_paused), cancelled=cancelled_at is not None
            ),
            counts=Counts(
                rows=sheet_rows, images=places, unique=images, **{str(state): n for state, n in counts.items()}
            ),
            bytes=Volume(
                source=source_bytes, output=output_bytes, saved_percent=saved_percent(source_bytes, output_bytes)
            ),
            created_at=moment(created_at),
            started_at=optional_moment(started_at),
            finished_at=optional_moment(finished_at),
            expires_at=optional_moment(expires_at),
            eta_s=None if finished_at else eta_s(self._clock(), started_at, counts),
            callback=self._callback(job_id, asked.callback_url),
            worst_ssim=self._worst(job_id, uid),
        )

    def _worst(self, job_id: int, uid: str) -> Worst | None:
        row = self._row(
            "SELECT ssim, n FROM image WHERE job_id = ? AND ssim IS NOT NULL ORDER BY ssim, n LIMIT 1", (job_id,)
        )
        return Worst(row[0], keys.image_id(uid, row[1])) if row else None

    def _callback(self, job_id: int, url: str | None) -> Callback:
        if url is None:
            return Callback()
        url = without_query(url)
        row = self._row(
            "SELECT state, attempts, last_status, next_attempt_at FROM delivery WHERE job_id = ?"
            " ORDER BY id DESC LIMIT 1",
            (job_id,),
        )
        if row is None:
            return Callback(url=url, state="pending")
        return Callback(
            url=url, state=row[0], attempts=row[1], last_status=row[2], next_attempt_at=optional_moment(row[3])
        )


def no_such_job() -> NotFoundError:
    """Return what is said where a job is unknown, or another owner's."""
    return NotFoundError("there is no such job: list them with `imagemill jobs`, or GET /api/v1/jobs")


def _counts(tally: tuple[int, ...]) -> dict[ImageState, int]:
    """Return the places by their image's state, of which there are some."""
    return {state: count for state, count in zip(ImageState, tally, strict=False) if count}


def saved_percent(before: int, after: int) -> float:
    """Return how much smaller the output is, in percent of the source, to one decimal."""
    return round(100 * (1 - after / before), 1) if before else 0.0


def eta_s(now: float, started_at: float | None, counts: dict[ImageState, int]) -> float | None:
    """Return the seconds a job still needs at its pace since its start; None before the first image has ended."""
    ended = sum(n for state, n in counts.items() if state not in OPEN)
    if started_at is None or not ended:
        return None
    return round((now - started_at) * sum(counts.get(state, 0) for state in OPEN) / ended, 1)


def moment(seconds: float) -> datetime:
    """Return a stored time as the struct carries it: UTC, whole milliseconds."""
    return datetime.fromtimestamp(round(seconds, 3), UTC)


def optional_moment(seconds: float | None) -> datetime | None:
    """Return a stored time that may be missing."""
    return None if seconds is None else moment(seconds)


def _encode(submission: Submission) -> str:
    return msgspec.json.encode(submission, order="sorted").decode()


def _decode(text: str) -> Submission:
    return msgspec.json.decode(text, type=Submission)


def _values(new: NewJob, staging: Staging) -> tuple[object, ...]:
    asked = new.submission
    expires_at = new.created_at + asked.expires_in_s if asked.expires_in_s else None
    fingerprint = keys.fingerprint(asked.recipe)
    described = (new.uid, new.kind, asked.name, new.owner, asked.priority, _encode(asked), fingerprint)
    sheet = (new.filename, new.sheet_sha256, new.sheet_rows, staging.places, staging.images)
    return (*described, *sheet, new.created_at, expires_at, asked.profile)


def _conditions(where: JobFilter, cursor: str | None) -> tuple[str, tuple[object, ...]]:
    candidates: tuple[tuple[str, object], ...] = (
        ("owner = ?", where.owner),
        ("name = ?", where.name),
        (_SAYS, f"%{_literally(where.words)}%" if where.words else None),
        ("created_at > ?", where.created_after),
        ("created_at < ?", where.created_before),
        ("id < ?", ordinal(cursor)),
    )
    chosen = [(clause, value) for clause, value in candidates if value is not None]
    clauses = [clause for clause, _ in chosen] + ([_STATE_IS[where.state]] if where.state else [])
    return " AND ".join(["deleted_at IS NULL", *clauses]), tuple(value for _, value in chosen)


def _literally(words: str) -> str:
    """Return words for LIKE, in which no character means another."""
    return re.sub(r"([!%_])", r"!\1", words)


def ordinal(cursor: str | None) -> int | None:
    """Return the number a cursor carries; RequestError when it is not one of ours."""
    if cursor is None:
        return None
    if not cursor.isascii() or not cursor.isdigit() or len(cursor) > 18:
        raise foreign_cursor()
    return int(cursor)


def foreign_cursor() -> RequestError:
    """Return what is said of a cursor that we did not give."""
    message = "this cursor is not one of ours: take next_cursor of the page before"
    return RequestError(message, [("cursor", "is not one of ours")])
