"""A job's lanes: its images of one host each, found by steps over the index from one host to the next.

A claim takes images of one lane, and a host that is left alone costs one step, however many images wait for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from imagemill.core.states import Move, target
from imagemill.db.database import Queries
from imagemill.db.jobs import IS_WORKED

if TYPE_CHECKING:
    from collections.abc import Collection

_PENDING: Final = "image WHERE job_id = ? AND state = 'pending'"

# From a host on, in the order of their numbers, which say nothing: so every lane has its turn.
_LANES: Final = (
    "WITH RECURSIVE lane (host) AS ("
    f"SELECT (SELECT host FROM {_PENDING} AND host >= ? ORDER BY host LIMIT 1)"
    f" UNION ALL SELECT (SELECT host FROM {_PENDING} AND host > lane.host ORDER BY host LIMIT 1)"
    " FROM lane WHERE host IS NOT NULL)"
)
_DUE: Final = f"(SELECT next_attempt_at FROM {_PENDING} AND host = lane.host ORDER BY next_attempt_at LIMIT 1)"
# Counted lane by lane: asked for all at once, PostgreSQL may look for the lanes anew for each image.
_SOME: Final = (
    f"SELECT count(*) FROM (SELECT 1 FROM {_PENDING} AND host = lane.host AND next_attempt_at <= ? LIMIT ?) AS here"
)
_MOST_LOOKED_AT: Final = 2_000
_GIVEN_UP_AT_ONCE: Final = 5_000
_AT_WORK: Final = f"SELECT 1 FROM job WHERE id = ? AND {IS_WORKED}"

# Each with a revision of its own, as if it had ended alone (`Images`).
_GIVEN_UP: Final = (
    "SELECT n, row_number() OVER (ORDER BY n)"
    " + coalesce((SELECT max(revision) FROM image WHERE job_id = ? AND revision IS NOT NULL), 0) AS revision"
    f" FROM {_PENDING} AND host = ? LIMIT {_GIVEN_UP_AT_ONCE}"
)


class Doors(msgspec.Struct, frozen=True):
    """Which hosts' images may be claimed: not the `shut` ones (seconds until they may), and with `only` no others."""

    shut: dict[int, float] = {}
    only: Collection[int] | None = None
    start: int = 0


OPEN: Final = Doors()


class Due(msgspec.Struct, frozen=True):
    """How many images could be claimed now, counted up to a limit; where none, when the next could be."""

    images: int
    next_at: float | None = None


class Lanes(Queries):
    """Queries about a job's images by their host."""

    def due_images(self, job_id: int, limit: int, doors: Doors = OPEN) -> Due:
        """Return how many images of a job could be claimed, up to `limit`, or when the next can be.

        A paused job has none: asked for work, it would only ask again.
        """
        now = self._clock()
        lanes, params = _lanes(f"({_SOME}) AS due", 0, job_id, doors, now)
        sql = f"SELECT coalesce(sum(due), 0) FROM ({lanes} AND EXISTS ({_AT_WORK}) LIMIT ?) AS lanes"
        images = int(self._rows(sql, (*params[:3], job_id, now, limit, *params[3:], job_id, limit))[0][0])
        if not images and self._row(_AT_WORK, (job_id,)):
            return Due(0, self._next_at(job_id, doors, now))
        return Due(min(images, limit))

    def fail_lane(self, job_id: int, host: int, code: str, message: str) -> int:
        """Fail some images of a job that wait for a host which was given up, untried; return how many."""
        # Joined with nothing, so that PostgreSQL finds an image by its number and not by its state, among a million.
        with self._transaction(job_id):
            return self._touched(
                f"UPDATE image SET state = '{target(Move.GIVE_UP)}', error_code = ?, error_message = ?,"
                f" revision = given_up.revision FROM ({_GIVEN_UP}) AS given_up"
                " WHERE image.job_id = ? AND image.n = given_up.n AND state || '' = 'pending'",
                (code, message, job_id, job_id, host, job_id),
            )

    def _next_at(self, job_id: int, doors: Doors, now: float) -> float | None:
        sql = f"{_LANES} SELECT host, {_DUE} FROM lane WHERE host IS NOT NULL LIMIT {_MOST_LOOKED_AT}"
        lanes = self._rows(sql, (job_id, doors.start, job_id, job_id))
        if not lanes and doors.start:
            lanes = self._rows(sql, (job_id, 0, job_id, job_id))
        return min((max(due_at, now + doors.shut.get(host, 0.0)) for host, due_at in lanes), default=None)


def open_lane(job_id: int, doors: Doors, now: float) -> tuple[str, tuple[object, ...]]:
    """Return what finds one host with images that are due, from `doors.start` on and around; and its values."""
    onwards, params = _lanes("host", doors.start, job_id, doors, now)
    around, others = _lanes("host", 0, job_id, doors, now)
    return f"coalesce(({onwards} LIMIT 1), ({around} LIMIT 1))", (*params, *others)


def _lanes(what: str, start: int, job_id: int, doors: Doors, now: float) -> tuple[str, tuple[object, ...]]:
    """Return what finds something of each lane from a host on whose images are due, and its values."""
    chosen = doors.shut if doors.only is None else doors.only
    which = f"host {'NOT ' if doors.only is None else ''}IN ({','.join('?' * len(chosen))})"
    sql = f"{_LANES} SELECT {what} FROM lane WHERE host IS NOT NULL AND {which} AND {_DUE} <= ?"
    return sql, (job_id, start, job_id, *chosen, job_id, now)
