"""Failed images by their cause: counted over an index, with a few examples of each."""

from __future__ import annotations

from typing import Final

from imagemill.core import keys
from imagemill.core.failures import Example, Failures, Group, cause, next_step
from imagemill.db.places import Places

EXAMPLES: Final = 3

_FAILED: Final = "FROM image i WHERE i.job_id = ? AND i.state = 'failed'"

# The sums over all groups come with each of those that are shown.
GROUPS: Final = (
    "SELECT error_code, host, places, count(*) OVER (), sum(places) OVER () FROM"
    f" (SELECT i.error_code, i.host, sum(i.places) AS places {_FAILED} GROUP BY i.error_code, i.host) AS grouped"
    " ORDER BY places DESC, error_code, host LIMIT ?"
)

FIRST: Final = f"SELECT i.n {_FAILED} AND i.error_code = ? AND i.host = ? ORDER BY i.n LIMIT ?"

# By their numbers: for what the index does not hold, SQLite would walk all images of the job.
_EXAMPLES: Final = (
    "SELECT i.n, p.sheet_row, p.position, i.url, i.error_message FROM image i"
    f" JOIN place p ON p.job_id = i.job_id AND p.n = i.n WHERE i.job_id = ? AND i.n IN ({FIRST}) ORDER BY i.n"
)


class Causes(Places):
    """Queries about why images failed."""

    def failures(self, uid: str, *, most: int) -> Failures:
        """Return the groups of a job's failed images, the `most` largest, each with its first images in sheet order."""
        job_id, _ = self._found(uid)
        rows = self._rows(GROUPS, (job_id, most))
        groups = [self._group(uid, job_id, *row[:3]) for row in rows]
        groups.sort(key=lambda group: (-group.count, group.code, group.host))
        return Failures(groups, *(rows[0][3:] if rows else (0, 0)))

    def _group(self, uid: str, job_id: int, code: str, host: int, count: int) -> Group:
        rows = self._rows(_EXAMPLES, (job_id, job_id, code, host, EXAMPLES))
        examples = [
            Example(row, position, url, message, keys.image_id(uid, n)) for n, row, position, url, message in rows
        ]
        # Images accepted before hosts were noted are of one group, whatever their host: it bears no name.
        name = keys.host_of(examples[0].url) if examples and host else ""
        return Group(code, cause(code), name, count, examples, next_step(code))
