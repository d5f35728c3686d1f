"""Callbacks on their way out: an outbox row per end of a job, and a row per attempt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from imagemill.core.job import Submission
from imagemill.db.database import Queries

if TYPE_CHECKING:
    from imagemill.core.job import Attempt


class Delivery(msgspec.Struct, frozen=True):
    """One callback to make: `attempts` counts those already made."""

    id: int
    uid: str
    job_uid: str
    event: str
    url: str
    attempts: int
    created_at: float
    secret: str | None


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
        secret = msgspec.json.decode(job[1], type=Submission).callback_secret
        return Delivery(row[0], row[1], job[0], row[3], row[4], row[5], row[6], secret)

    def record_attempt(
        self, delivery: Delivery, attempt: Attempt, *, state: str, next_attempt_at: float | None
    ) -> None:
        """Write what an attempt came to, and what follows."""
        with self._transaction():
            self._touched(
                "INSERT INTO attempt (delivery_id, n, at, status, answer, error) VALUES (?, ?, ?, ?, ?, ?)"
                " ON CONFLICT DO NOTHING",
                (
                    delivery.id,
                    delivery.attempts + 1,
                    attempt.at.timestamp(),
                    attempt.status,
                    attempt.answer,
                    attempt.error,
                ),
            )
            self._touched(
                "UPDATE delivery SET state = ?, attempts = ?, last_status = ?, next_attempt_at = ?, lease_until = NULL"
                " WHERE id = ? AND state = 'pending' AND attempts = ?",
                (state, delivery.attempts + 1, attempt.status, next_attempt_at, delivery.id, delivery.attempts),
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
