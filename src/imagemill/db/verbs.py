"""What a client does to a job: cancel, pause, resume, retry, delete. Each is safe to say twice, and at any moment.

A verb looks at the job's state and writes in one transaction, so of two at once the second finds what the first has
done. What concerns very many images is written in steps, so that nobody waits for seconds, and `recover` goes on with
what a crash has left undone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from imagemill.core import keys
from imagemill.core.errors import IllegalTransitionError, RequestError
from imagemill.core.failures import ALL, Cause
from imagemill.core.states import ImageState, Move, Verb, allowed, job_state, origins, target
from imagemill.db.jobs import IS_DONE, IS_MISSING, IS_OPEN, Accepted, Jobs, no_such_job

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

STEP: Final = 10_000
"""Images written in one transaction, about 0.1 s."""

_MARKS: Final = 500

_CANCEL: Final = (
    f"UPDATE image SET state = '{target(Move.CANCEL)}', lease = NULL, lease_until = NULL, error_code = 'cancelled',"
    " error_message = 'the job was cancelled; retry asks for this image again' WHERE job_id = ? AND n IN ({})"
)

# `running` before `pending`: what is in hand shall stop first.
_CANCELLABLE: Final = (
    f"SELECT n FROM image WHERE job_id = ? AND state IN ({', '.join(repr(s.value) for s in origins(Move.CANCEL))})"
    " ORDER BY state DESC LIMIT ?"
)

_STATES: Final = ", ".join(repr(state.value) for state in origins(Move.RETRY))
_RETRIABLE: Final = f"SELECT n FROM image WHERE job_id = ? AND n > ? AND state IN ({_STATES}){{}} ORDER BY n LIMIT ?"

_RETRY: Final = (
    f"UPDATE image SET state = '{target(Move.RETRY)}', attempts = 0, crashes = 0, next_attempt_at = 0,"
    " error_code = NULL, error_message = NULL, seconds = NULL"
    f" WHERE job_id = ? AND state IN ({_STATES}) AND n IN ({{}})"
)

_REOPEN: Final = (
    "UPDATE job SET finished_at = NULL, cancelled_at = NULL,"
    " paused_at = CASE WHEN finished_at IS NULL THEN paused_at END"
    f" WHERE id = ? AND (finished_at IS NOT NULL OR cancelled_at IS NOT NULL) AND {IS_OPEN}"
)


class Verbs(Jobs):
    """Queries that change a whole job on somebody's word. All raise NotFoundError and IllegalTransitionError."""

    def cancel_job(self, uid: str, owner: str | None = None) -> int | None:
        """End a job: what waits is not begun, what runs is not recorded. Return the callback that is due."""
        with self._durable(self._id(uid)):
            job_id = self._permitted(uid, owner, Verb.CANCEL)
            self._touched(
                "UPDATE job SET cancelled_at = ? WHERE id = ? AND finished_at IS NULL AND cancelled_at IS NULL",
                (self._clock(), job_id),
            )
            due = self._cancel_step(job_id)
        return self._cancel_images(job_id) if due is None else due

    def finish_cancelling(self) -> list[int]:
        """Cancel what is left of jobs whose cancelling was interrupted; return the callbacks that are due."""
        jobs = self._rows("SELECT id FROM job WHERE cancelled_at IS NOT NULL AND finished_at IS NULL")
        due = [self._cancel_images(job_id) for (job_id,) in jobs]
        return [delivery for delivery in due if delivery is not None]

    def pause_job(self, uid: str, owner: str | None = None) -> None:
        """Begin no further image of a job until it is resumed; what is in hand may end."""
        with self._durable(self._id(uid)):
            job_id = self._permitted(uid, owner, Verb.PAUSE)
            self._touched(
                "UPDATE job SET paused_at = ? WHERE id = ? AND finished_at IS NULL AND paused_at IS NULL",
                (self._clock(), job_id),
            )

    def resume_job(self, uid: str, owner: str | None = None) -> Accepted:
        """Let a job go on; return what the queue needs to know of it."""
        with self._durable(self._id(uid)):
            job_id = self._permitted(uid, owner, Verb.RESUME)
            self._touched("UPDATE job SET paused_at = NULL WHERE id = ? AND paused_at IS NOT NULL", (job_id,))
            return self._accepted(job_id)

    def retry_job(
        self, uid: str, owner: str | None = None, images: Iterable[str] | None = None, cause: Cause = ALL
    ) -> Accepted:
        """Ask again for the images that ended without an output: for all, those of a cause, or those named by ids.

        Their attempts and crashes count anew. A job that had ended is open again: a callback that waits to tell its
        end is taken back, one that is told will be followed by another.
        """
        with self._durable(self._id(uid)):
            job_id = self._permitted(uid, owner, Verb.RETRY)
            wanted = None if images is None else self._images_of(uid, job_id, images)
            n = self._retry_step(job_id, 0, wanted, cause)
        while n is not None:
            with self._step(job_id):
                n = self._retry_step(job_id, n, wanted, cause)
        return self._accepted(job_id)

    def delete_job(self, uid: str, owner: str | None = None) -> None:
        """Make a job unknown at once; what it has left goes by `remove_rows` and `take_leftovers`.

        Nobody is called back any more. It counts as cancelled and ended, so nothing of it is claimed, and what runs is
        not recorded.
        """
        now = self._clock()
        with self._durable(self._id(uid)):
            job_id = self._permitted(uid, owner, Verb.DELETE)
            self._touched(
                "UPDATE job SET deleted_at = ?, cancelled_at = coalesce(cancelled_at, ?),"
                " finished_at = coalesce(finished_at, ?) WHERE id = ? AND deleted_at IS NULL",
                (now, now, now, job_id),
            )
            running = "SELECT n FROM image WHERE job_id = ? AND state = 'running'"
            self._touched(_CANCEL.format(running), (job_id, job_id))
            self._take_back_untold(job_id)

    def _permitted(self, uid: str, owner: str | None, verb: Verb) -> int:
        """Return the small id of a job that allows a verb now; inside the verb's transaction, so `now` stays true."""
        row = self._row(
            f"SELECT owner, id, started_at, paused_at, cancelled_at, {IS_OPEN}, {IS_DONE}, {IS_MISSING} FROM job"
            " WHERE uid = ? AND deleted_at IS NULL",
            (uid,),
        )
        if row is None or owner not in {None, row[0]}:
            raise no_such_job()
        facts = {"started": row[2] is not None, "paused": row[3] is not None, "cancelled": row[4] is not None}
        counts = {ImageState.PENDING: row[5], ImageState.DONE: row[6], ImageState.FAILED: row[7]}
        state = job_state(counts, **facts)
        if verb not in allowed(state):
            message = f"this job is {state}, so {verb} has nothing to do: it allows {', '.join(allowed(state))}"
            raise IllegalTransitionError(message)
        return int(row[1])

    def _cancel_images(self, job_id: int) -> int | None:
        """Cancel the rest of a job in steps, unless somebody retries it meanwhile; return the callback that is due."""
        while self._row(f"SELECT 1 FROM job WHERE id = ? AND cancelled_at IS NOT NULL AND {IS_OPEN}", (job_id,)):
            with self._step(job_id):
                due = self._cancel_step(job_id)
            if due is not None:
                return due
        return None

    def _cancel_step(self, job_id: int) -> int | None:
        if self._row("SELECT 1 FROM job WHERE id = ? AND cancelled_at IS NOT NULL", (job_id,)):
            self._touched(_CANCEL.format(_CANCELLABLE), (job_id, job_id, STEP))
        return self._finish_job(job_id)

    def _retry_step(self, job_id: int, after: int, wanted: Sequence[int] | None, cause: Cause) -> int | None:
        """Retry the next images in the order of their numbers; return the last number, None when there are no more.

        Each step opens the job again: the images of the one before may have ended already.
        """
        last = self._retry_all(job_id, after, cause) if wanted is None else self._retry_some(job_id, after, wanted)
        if last is not None and self._touched(_REOPEN, (job_id,)):
            self._take_back_untold(job_id)
        return last

    def _retry_all(self, job_id: int, after: int, cause: Cause) -> int | None:
        condition, values = _of_cause(cause)
        retriable, params = _RETRIABLE.format(condition), (job_id, after, *values, STEP)
        row = self._row(f"SELECT max(n) FROM ({retriable}) AS found", params)
        self._touched(_RETRY.format(retriable), (job_id, *params))
        return row[0] if row else None

    def _retry_some(self, job_id: int, after: int, wanted: Sequence[int]) -> int | None:
        numbers = [n for n in wanted if n > after][:_MARKS]
        self._touched(_RETRY.format(",".join("?" * len(numbers))), (job_id, *numbers))
        return numbers[-1] if numbers else None

    def _images_of(self, uid: str, job_id: int, ids: Iterable[str]) -> list[int]:
        """Return the numbers of a job's images by their ids, sorted; RequestError where one is not of this job."""
        places = [_place(uid, text) for text in ids]
        found: set[int] = set()
        for start in range(0, len(places), _MARKS):
            part = sorted(set(places[start : start + _MARKS]))
            marks = ",".join("?" * len(part))
            rows = self._rows(f"SELECT image_n FROM place WHERE job_id = ? AND n IN ({marks})", (job_id, *part))
            if len(rows) < len(part):
                raise _foreign()
            found |= {n for (n,) in rows}
        return sorted(found)

    def _accepted(self, job_id: int) -> Accepted:
        row = self._row("SELECT id, images, priority FROM job WHERE id = ?", (job_id,)) or (job_id, 0, 0)
        return Accepted(id=row[0], images=row[1], priority=row[2])


def _of_cause(cause: Cause) -> tuple[str, list[object]]:
    """Return the condition on failed images that a cause is, and its values."""
    # A group without a name is of images that were accepted before hosts were noted.
    host = None if cause.host is None else keys.host_number(cause.host) if cause.host else 0
    given = [(column, value) for column, value in (("error_code", cause.code), ("host", host)) if value is not None]
    return "".join(f" AND {column} = ?" for column, _ in given), [value for _, value in given]


def _place(uid: str, text: str) -> int:
    found = keys.split_image_id(text)
    if found is None or found[0] != uid:
        raise _foreign()
    return found[1]


def _foreign() -> RequestError:
    message = "some ids are not of this job's images: take them from GET /api/v1/jobs/{id}/images"
    return RequestError(message, [("images", "has ids that are not of this job's images")])
