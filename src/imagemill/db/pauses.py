"""The pause of everything: one row in the database, so it outlives restarts and holds for every worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagemill.db.database import Queries
from imagemill.db.jobs import optional_moment

if TYPE_CHECKING:
    from datetime import datetime


class Pauses(Queries):
    """Queries about the whole of the work."""

    def pause_all(self) -> None:
        """Begin no further image of any job until `resume_all`; what is in hand may end."""
        with self._durable():
            self._touched("INSERT INTO pause (id, paused_at) VALUES (1, ?) ON CONFLICT DO NOTHING", (self._clock(),))

    def resume_all(self) -> None:
        """Let all jobs go on that are not paused themselves."""
        with self._durable():
            self._touched("DELETE FROM pause")

    def paused_at(self) -> datetime | None:
        """Return since when everything is paused; None when it is not."""
        row = self._row("SELECT paused_at FROM pause")
        return optional_moment(row[0]) if row else None

    def unfinished(self) -> tuple[int, int, int]:
        """Return how many jobs have not ended, and how many of their images' places wait and run."""
        jobs, waiting, running = self._rows(
            "SELECT count(*), coalesce(sum(pending), 0), coalesce(sum(running), 0) FROM job"
            " JOIN tally ON tally.job_id = job.id WHERE finished_at IS NULL"
        )[0]
        return jobs, int(waiting), int(running)
