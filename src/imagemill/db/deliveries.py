"""Callbacks on their way out: an outbox row per end of a job, and a row per attempt."""

from __future__ import annotations

from typing import Any

import msgspec

from imagemill.core.job import Attempt, Profile, Sent, Submission, Told, without_query
from imagemill.db.database import Queries
from imagemill.db.jobs import moment, optional_moment

_OF_JOB = "job_id = (SELECT id FROM job WHERE uid = ?)"


class Delivery(msgspec.Struct, frozen=True):
    """One callback to make: `attempts` counts those already made, `profile` says how it looks."""

    id: int
    uid: str
    job_uid: str
    event: str
    url: str
    attempts: int
    created_at: float
    secret: str | None
    profile: Profile | None = None


class Deliveries(Queries):
    """Queries about callbacks."""

    def claim_delivery(self, delivery_id: int, lease_s: float) -> Delivery | None:
        """Take a due callback; None when it is not due, is done, or somebody else is at it.

        On the disk, and with it the end of the job: after a power cut the job shall not end once more, and be told
        under another id.
        """
        now = self._clock()
        with self._durable():
            row = self._row(
                "UPDATE delivery SET lease_until = ? WHERE id = ? AND state = 'pending' AND next_attempt_at <= ?"
                " AND (lease_until IS NULL OR lease_until < ?)"
                " RETURNING id, uid, job_id, event, url, attempts, created_at",
                (now + lease_s, delivery_id, now, now),
            )
        job = self._row("SELECT uid, submission FROM job WHERE id = ?", (row[2],)) if row else None
        if row is None or job is None:
            return None
        asked = msgspec.json.decode(job[1], type=Submission)
        return Delivery(row[0], row[1], job[0], row[3], row[4], row[5], row[6], asked.callback_secret, asked.profile)

    def record_attempt(
        self, delivery: Delivery, attempt: Attempt, *, state: str, next_attempt_at: float | None
    ) -> None:
        """Write what an attempt came to, and what follows."""
        with self._transaction():
            self._touched(
                # Nothing where the callback was taken back meanwhile: its number may be another's by now.
                "INSERT INTO attempt (delivery_id, n, at, status, answer, error) SELECT ?, ?, ?, ?, ?, ?"
                " WHERE EXISTS (SELECT 1 FROM delivery WHERE id = ? AND uid = ?) ON CONFLICT DO NOTHING",
                (
                    delivery.id,
                    delivery.attempts + 1,
                    attempt.at.timestamp(),
                    attempt.status,
                    attempt.answer,
                    attempt.error,
                    delivery.id,
                    delivery.uid,
                ),
            )
            self._touched(
                "UPDATE delivery SET state = ?, attempts = ?, last_status = ?, next_attempt_at = ?, lease_until = NULL"
                " WHERE id = ? AND uid = ? AND state = 'pending' AND attempts = ?",
                (
                    state,
                    delivery.attempts + 1,
                    attempt.status,
                    next_attempt_at,
                    delivery.id,
                    delivery.uid,
                    delivery.attempts,
                ),
            )

    def release_deliveries(self) -> None:
        """Give back the callbacks that were in hand when the power went."""
        self._touched("UPDATE delivery SET lease_until = NULL WHERE state = 'pending' AND lease_until IS NOT NULL")

    def hasten_deliveries(self, longest_s: float) -> int:
        """Make due what would wait longer than anything may, or waits untried: the wall clock was put back."""
        now = self._clock()
        return self._touched(
            "UPDATE delivery SET next_attempt_at = ? WHERE state = 'pending' AND lease_until IS NULL"
            " AND next_attempt_at > CASE attempts WHEN 0 THEN ? ELSE ? END",
            (now, now, now + longest_s),
        )

    def due_deliveries(self, within_s: float) -> list[tuple[int, float]]:
        """Return (id, seconds until due) of the callbacks that are due within some seconds."""
        now = self._clock()
        rows = self._rows(
            "SELECT id, next_attempt_at FROM delivery WHERE state = 'pending' AND next_attempt_at <= ?"
            " ORDER BY next_attempt_at",
            (now + within_s,),
        )
        return [(row[0], max(0.0, row[1] - now)) for row in rows]

    def deliveries(self, uid: str) -> list[Told]:
        """Return a job's callbacks, the newest first, each with its attempts in order."""
        rows = self._rows(
            "SELECT id, uid, event, url, state, created_at, next_attempt_at FROM delivery"
            f" WHERE {_OF_JOB} ORDER BY id DESC",
            (uid,),
        )
        return [_told(row, self._attempts(row[0])) for row in rows]

    def recent_deliveries(self, limit: int, owner: str | None = None) -> list[Sent]:
        """Return the newest callbacks of all jobs, or of an owner's, the newest first."""
        rows = self._rows(
            "SELECT job.uid, CASE job.name WHEN '' THEN job.filename ELSE job.name END, event, url, state,"
            " delivery.created_at, next_attempt_at, attempts, last_status, attempt.error"
            " FROM delivery JOIN job ON job.id = delivery.job_id"
            " LEFT JOIN attempt ON attempt.delivery_id = delivery.id AND attempt.n = delivery.attempts"
            " WHERE deleted_at IS NULL AND owner = coalesce(?, owner) ORDER BY delivery.id DESC LIMIT ?",
            (owner, limit),
        )
        return [_sent(row) for row in rows]

    def redeliver(self, uid: str) -> int | None:
        """Make a job's newest callback due now, whatever became of it; None where there is none, or it is in hand.

        Its attempts go on counting, so one that fails after the schedule's end is the last again.
        """
        now = self._clock()
        row = self._row(
            "UPDATE delivery SET state = 'pending', next_attempt_at = ?"
            f" WHERE id = (SELECT max(id) FROM delivery WHERE {_OF_JOB}) AND (lease_until IS NULL OR lease_until < ?)"
            " RETURNING id",
            (now, uid, now),
        )
        return row[0] if row else None

    def _attempts(self, delivery_id: int) -> list[Attempt]:
        rows = self._rows(
            "SELECT at, status, answer, error FROM attempt WHERE delivery_id = ? ORDER BY n", (delivery_id,)
        )
        return [Attempt(at=moment(row[0]), status=row[1], answer=row[2], error=row[3]) for row in rows]


def _sent(row: tuple[Any, ...]) -> Sent:
    return Sent(
        job_id=row[0],
        job_name=row[1],
        event=row[2],
        url=without_query(row[3]),
        state=row[4],
        created_at=moment(row[5]),
        next_attempt_at=optional_moment(row[6]),
        attempts=row[7],
        last_status=row[8],
        error=row[9],
    )


def _told(row: tuple[Any, ...], attempts: list[Attempt]) -> Told:
    _, uid, event, url, state, created_at, next_attempt_at = row
    return Told(
        id=uid,
        event=event,
        url=url,
        state=state,
        created_at=moment(created_at),
        next_attempt_at=optional_moment(next_attempt_at),
        attempts=attempts,
    )
