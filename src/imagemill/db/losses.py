"""Outputs that are recorded but not stored: which are worth a look, and what becomes of their images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from imagemill.core import keys
from imagemill.core.states import Move, origins, target
from imagemill.db.jobs import Jobs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_PAGE: Final = 5_000

# The outputs of a source by one recipe are lost together: an image has all of them or is not done.
_LOST: Final = "CREATE TEMP TABLE lost (source_sha256 TEXT, fingerprint TEXT, PRIMARY KEY (source_sha256, fingerprint))"

_LOSE: Final = (
    f"UPDATE image SET state = '{target(Move.LOSE)}', attempts = 0, crashes = 0, next_attempt_at = 0,"
    " source_sha256 = NULL, source_bytes = NULL, output = NULL, output_bytes = NULL, ssim = NULL, seconds = NULL"
    f" WHERE state IN ({', '.join(repr(state.value) for state in origins(Move.LOSE))}) AND (job_id, n) IN"
    " (SELECT i.job_id, i.n FROM lost l CROSS JOIN image i"
    " ON substr(i.source_sha256, 1, 12) = substr(l.source_sha256, 1, 12) AND i.source_sha256 = l.source_sha256"
    " JOIN job j ON j.id = i.job_id AND j.fingerprint = l.fingerprint)"
)

_REOPEN: Final = (
    "UPDATE job SET finished_at = NULL, cancelled_at = NULL WHERE finished_at IS NOT NULL AND deleted_at IS NULL"
    f" AND EXISTS (SELECT 1 FROM image WHERE job_id = job.id AND state = '{target(Move.LOSE)}') RETURNING id"
)


class Losses(Jobs):
    """Queries about what may have been lost."""

    def recent_outputs(self, window_s: float) -> Iterator[str]:
        """Return the stored names of the newest output and of those recorded at most `window_s` before it.

        Not before now: the clock went on while the power was off. Newest first, in pages.
        """
        newest = self._row("SELECT id + 1, created_at FROM output ORDER BY id DESC LIMIT 1")
        below, since = (newest[0], newest[1] - window_s) if newest else (0, 0.0)
        while rows := self._rows(
            "SELECT id, key, format, created_at FROM output WHERE id < ? ORDER BY id DESC LIMIT ?", (below, _PAGE)
        ):
            for below, key, form, created_at in rows:  # noqa: B007  the last id is where the next page begins
                if created_at < since:
                    return
                yield keys.file_name(key, form)

    def outputs_after(self, output_id: int, limit: int) -> tuple[list[str], int]:
        """Return the stored names of the next outputs, and the last one's id: 0, to begin anew, when there were few."""
        rows = self._rows("SELECT id, key, format FROM output WHERE id > ? ORDER BY id LIMIT ?", (output_id, limit))
        names = [keys.file_name(key, form) for _, key, form in rows]
        return names, rows[-1][0] if len(rows) == limit else 0

    def done_outputs(self, uid: str) -> Iterator[str]:
        """Return the stored names of a job's outputs, without thumbnails; in pages."""
        n = 0
        while rows := self._rows(
            "SELECT n, output FROM image WHERE job_id = (SELECT id FROM job WHERE uid = ?) AND n > ? AND state = 'done'"
            " ORDER BY n LIMIT ?",
            (uid, n, _PAGE),
        ):
            for n, output in rows:  # noqa: B007  the last n is where the next page begins
                yield output

    def lose_outputs(self, names: Iterable[str]) -> int:
        """Forget outputs that are not stored; return how many images are pending again for that.

        One transaction. Jobs that had ended are open again: a callback that waits to tell their end is taken back, one
        that is told will be followed by another.
        """
        with self._alone():
            self._touched(_LOST)
            self._many(
                "INSERT INTO lost SELECT source_sha256, fingerprint FROM output WHERE key = ? ON CONFLICT DO NOTHING",
                ((name.partition(".")[0],) for name in names),
            )
            images = self._touched(_LOSE)
            self._touched("DELETE FROM output WHERE (source_sha256, fingerprint) IN (SELECT * FROM lost)")
            for (job_id,) in self._rows(_REOPEN):
                self._take_back_untold(job_id)
            self._touched("DROP TABLE lost")
        return images
