"""What clients sent, where several machines need it: sheets and images in pieces, until their job or draft is removed.

In the database and not in the storage, which may be open to all: a sheet is a secret catalogue. One machine keeps them
in its data folder alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from imagemill.db.database import Queries

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

PIECE_BYTES: Final = 1 << 20

_FORGOTTEN_S: Final = 3600.0
"""What has no job after so long never will: it was sent by a machine that died."""


class Sent(Queries):
    """Queries about it, by the id of a job or a draft and a name: the SHA-256 of an image, nothing for the sheet."""

    def keep_sent(self, uid: str, name: str, pieces: Iterable[bytes]) -> None:
        """Keep a file. Not on the disk yet when this returns: it is with the job that is accepted next."""
        now = self._clock()
        with self._transaction():
            self._touched("DELETE FROM sent WHERE uid = ? AND name = ?", (uid, name))
            for n, piece in enumerate(pieces):
                sql = "INSERT INTO sent (uid, name, n, body, at) VALUES (?, ?, ?, ?, ?)"
                self._touched(sql, (uid, name, n, piece, now))

    def sent(self, uid: str, name: str) -> Iterator[bytes]:
        """Return the pieces of a file, none where there is no such file."""
        n = 0
        while row := self._row("SELECT body FROM sent WHERE uid = ? AND name = ? AND n = ?", (uid, name, n)):
            yield row[0]
            n += 1

    def forget_sent(self, uid: str, name: str | None = None) -> None:
        """Forget one file, or all of a job."""
        self._touched("DELETE FROM sent WHERE uid = ? AND name = coalesce(?, name)", (uid, name))

    def forget_unclaimed(self) -> int:
        """Forget what is no draft's and has no job, or none any more; return how many pieces those were."""
        return self._touched(
            "DELETE FROM sent WHERE at < ? AND NOT EXISTS (SELECT 1 FROM job WHERE uid = sent.uid)"
            " AND NOT EXISTS (SELECT 1 FROM draft WHERE uid = sent.uid)",
            (self._clock() - _FORGOTTEN_S,),
        )

    def unknown_jobs(self, uids: Sequence[str]) -> set[str]:
        """Return those of some ids that no job has, or none that is not deleted."""
        unknown = set(uids)
        for start in range(0, len(uids), 500):
            part = uids[start : start + 500]
            sql = f"SELECT uid FROM job WHERE deleted_at IS NULL AND uid IN ({','.join('?' * len(part))})"
            unknown -= {uid for (uid,) in self._rows(sql, part)}
        return unknown
