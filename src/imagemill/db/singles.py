"""Jobs of one uploaded image and one thumbnail, as old services list them: each is read together with its image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from imagemill.core.job import Output, Submission
from imagemill.core.states import ImageState
from imagemill.db.database import Queries
from imagemill.db.images import MAIN
from imagemill.db.jobs import moment, no_such_job

if TYPE_CHECKING:
    from datetime import datetime

    from imagemill.core.job import Profile
    from imagemill.core.recipe import Thumbnail

_SINGLES: Final = (
    "SELECT job.id, job.uid, job.submission, job.created_at, job.started_at, job.finished_at,"
    " i.state, i.attempts, i.error_message, i.url, o.name, o.key, o.bytes, o.format, o.width, o.height"
    " FROM job JOIN image i ON i.job_id = job.id AND i.n = 1"
    " LEFT JOIN output o ON i.state = 'done' AND o.source_sha256 = i.source_sha256 AND o.fingerprint = job.fingerprint"
    f" AND o.name <> '{MAIN}'"
)

_THEIRS: Final = "job.profile = ? AND job.deleted_at IS NULL AND job.owner = coalesce(?, job.owner)"


class Single(msgspec.Struct, frozen=True, kw_only=True):
    """One such job. `number` is its small id, `error` why it failed, `output` its thumbnail once that is there."""

    number: int
    uid: str
    thumbnail: Thumbnail
    created_at: datetime
    updated_at: datetime
    is_begun: bool
    state: ImageState
    attempts: int
    error: str | None
    source_url: str
    output: Output | None


class Singles(Queries):
    """Queries about them, by the profile that made them; `owner` is None for whoever may see all."""

    def singles(
        self, profile: Profile, owner: str | None, limit: int, offset: int = 0, *, is_done: bool = False
    ) -> list[Single]:
        """Return some, newest first; with `is_done` those whose thumbnail is there."""
        done = " AND o.key IS NOT NULL" if is_done else ""
        sql = f"{_SINGLES} WHERE {_THEIRS}{done} ORDER BY job.id DESC LIMIT ? OFFSET ?"
        return [_single(row) for row in self._rows(sql, (profile, owner, limit, offset))]

    def count_singles(self, profile: Profile, owner: str | None) -> int:
        """Return how many there are."""
        return int(self._rows(f"SELECT count(*) FROM job WHERE {_THEIRS}", (profile, owner))[0][0])

    def single(self, profile: Profile, owner: str | None, uid: str) -> Single:
        """Return one by its job's public id; NotFoundError where there is none, or it is another owner's."""
        return self._only(self._row(f"{_SINGLES} WHERE {_THEIRS} AND job.uid = ?", (profile, owner, uid)))

    def numbered(self, profile: Profile, owner: str | None, number: int) -> Single:
        """Return one by its small id; NotFoundError as `single`."""
        return self._only(self._row(f"{_SINGLES} WHERE {_THEIRS} AND job.id = ?", (profile, owner, number)))

    def _only(self, row: tuple[Any, ...] | None) -> Single:
        if row is None:
            raise no_such_job()
        return _single(row)


def _single(row: tuple[Any, ...]) -> Single:
    number, uid, submission, created_at, started_at, finished_at, state, attempts, error, url = row[:10]
    asked = msgspec.json.decode(submission, type=Submission)
    return Single(
        number=number,
        uid=uid,
        thumbnail=asked.recipe.thumbnails[0],
        created_at=moment(created_at),
        updated_at=moment(finished_at or started_at or created_at),
        is_begun=started_at is not None,
        state=ImageState(state),
        attempts=attempts,
        error=error,
        source_url=url,
        output=Output(*row[10:]) if row[11] else None,
    )
