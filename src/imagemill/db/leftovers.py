"""What deleted jobs leave behind: rows, taken away a few at a time, and files, let go when nobody uses them any more.

A file may go when no image has it, and when nobody is about to have it: a worker may have looked an output up
(`known_outputs`), or stored the same file anew, and not recorded that yet. So it goes in three steps:

1. The transaction that removes a deleted job's images notes their files as leftovers. A crash forgets none.
2. `doom_leftovers`, one IMMEDIATE transaction: a leftover that is used again is none; one whose recipe has a leased
   image anywhere has to wait; the others' output rows go, and they are marked `is_going`. No claim can begin in
   between, so nobody who has looked at such a row is at work: who claims later finds no row.
3. The files are removed outside of any transaction (over a network that is slow), then the marks (`forget_leftovers`).
   Who claims after step 2 and makes the same file again waits before it stores it while the mark is there (`is_going`):
   a late removal never meets a new file. Step 2 cannot mark a name of that worker's recipe while it has its lease.

A worker that has lost its lease may still store a file, but can record nothing: that file is a stray, which is found by
`note_strays` and goes the same way; since its recipe is not known, nothing at all may be leased at step 2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from imagemill.core import keys
from imagemill.core.errors import IllegalTransitionError, NotFoundError
from imagemill.core.states import OPEN, ImageState, Move, origins, target
from imagemill.db.database import Queries
from imagemill.db.dialect import Grip

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Shelf = Literal["outputs", "originals"]

STEP: Final = 5_000
"""Rows removed in one transaction, about 0.1 s."""

_MARKS: Final = 500

_EXTENSION: Final = (
    "CASE {} " + " ".join(f"WHEN '{form}' THEN '{end}'" for form, end in keys.EXTENSIONS.items()) + " END"
)

_NOTE_OUTPUTS: Final = (
    "INSERT INTO leftover (shelf, name, source_sha256, fingerprint)"
    f" SELECT 'outputs', o.key || '.' || {_EXTENSION.format('o.format')}, o.source_sha256, o.fingerprint FROM image i"
    " JOIN output o ON o.source_sha256 = i.source_sha256 AND o.fingerprint = ? WHERE i.job_id = ? AND i.n <= ?"
    " ON CONFLICT DO NOTHING"
)

_NOTE_ORIGINALS: Final = (
    "INSERT INTO leftover (shelf, name, source_sha256, fingerprint)"
    f" SELECT 'originals', s.sha256 || '.' || {_EXTENSION.format('s.format')}, s.sha256, '' FROM image i"
    " JOIN source s ON s.sha256 = i.source_sha256 WHERE i.job_id = ? AND i.n <= ? ON CONFLICT DO NOTHING"
)

# Joined with nothing, so that SQLite does not put the constant into substr(), where it would not know the index again.
_USERS: Final = (
    "SELECT 1 FROM image i JOIN job j ON j.id = i.job_id WHERE substr(i.source_sha256, 1, 12) = substr(?, 1, 12)"
    " AND i.source_sha256 IS NOT NULL AND i.source_sha256 || '' = ? AND {} LIMIT 1"
)

# The text, not what it means: PostgreSQL refuses to read JSON with a \u0000 anywhere. No string in it has bare quotes.
KEEPS_SOURCES: Final = """j.submission LIKE '%"keep_original":true%'"""


_DROP: Final = (
    f"UPDATE image SET state = '{target(Move.DROP)}', error_code = 'cancelled',"
    " error_message = 'it was deleted; retry asks for it again', source_sha256 = NULL, source_bytes = NULL,"
    " output = NULL, output_bytes = NULL, ssim = NULL"
    f" WHERE job_id = ? AND n = ? AND state IN ({', '.join(repr(state.value) for state in origins(Move.DROP))})"
)


class Leftover(msgspec.Struct, frozen=True):
    """A file that may go now: on which shelf it lies, and its name there."""

    shelf: Shelf
    name: str


class Removal(msgspec.Struct, frozen=True):
    """One step of a deleted job's removal; `is_whole` when it was the last."""

    uid: str
    is_whole: bool


class Leftovers(Queries):
    """Queries about what is to be removed."""

    def delete_expired(self, retention_s: float) -> int:
        """Mark ended jobs as deleted whose time has come: their own, or `retention_s` after their end where not 0.

        A job whose end is still to be told stays until it is.
        """
        now = self._clock()
        ended_before = now - retention_s if retention_s else 0.0
        return self._touched(
            "UPDATE job SET deleted_at = ? WHERE deleted_at IS NULL AND finished_at IS NOT NULL"
            " AND (expires_at <= ? OR finished_at < ?)"
            " AND NOT EXISTS (SELECT 1 FROM delivery WHERE job_id = job.id AND state = 'pending')",
            (now, now, ended_before),
        )

    def remove_rows(self) -> Removal | None:
        """Remove some rows of one deleted job, noting the files that may be left; None when there is no such job."""
        job = self._row(
            f"SELECT id, uid, fingerprint, {KEEPS_SOURCES} FROM job j WHERE deleted_at IS NOT NULL ORDER BY id LIMIT 1"
        )
        if job is None:
            return None
        with self._step(job[0]):
            is_more = self._remove_images(job[0], job[2], keeps_sources=bool(job[3])) or self._remove_places(job[0])
            if not is_more:
                self._remove_job(job[0], job[1])
        return Removal(uid=job[1], is_whole=not is_more)

    def drop_image(self, uid: str, place: int) -> None:
        """Take an ended image's outputs away from its job, at all its places; may be said twice.

        Its files are noted as leftovers. IllegalTransitionError while it has not ended.
        """
        with self._transaction(self._id(uid), Grip.VERB):
            row = self._row(
                "SELECT j.id, j.fingerprint, i.n, i.state FROM job j JOIN place p ON p.job_id = j.id AND p.n = ?"
                " JOIN image i ON i.job_id = j.id AND i.n = p.image_n WHERE j.uid = ? AND j.deleted_at IS NULL",
                (place, uid),
            )
            if row is None:
                message = "there is no such image"
                raise NotFoundError(message)
            if ImageState(row[3]) in OPEN:
                message = "the image has not ended: cancel its job first, or wait"
                raise IllegalTransitionError(message)
            self._touched(_NOTE_OUTPUTS.replace("i.n <= ?", "i.n = ?"), (row[1], row[0], row[2]))
            self._touched(_NOTE_ORIGINALS.replace("i.n <= ?", "i.n = ?"), (row[0], row[2]))
            self._touched(_DROP, (row[0], row[2]))

    def urls_of(self, uid: str, prefix: str) -> list[str]:
        """Return the addresses of a job's images that begin so, without those that were dropped or cancelled."""
        sql = (
            "SELECT url FROM image WHERE job_id = (SELECT id FROM job WHERE uid = ?)"
            " AND substr(url, 1, ?) = ? AND state <> 'cancelled'"
        )
        return [url for (url,) in self._rows(sql, (uid, len(prefix), prefix))]

    def doom_leftovers(self, most: int) -> list[Leftover] | None:
        """Decide which leftovers go (see the module's head), and mark them; those that are used are none any more.

        None when there is none to decide about now.
        """
        if not self._candidates(most):  # a look that locks nobody out
            return None
        with self._alone():
            doomed: list[Leftover] = []
            for shelf, name, source, fingerprint in self._candidates(most):
                if self._is_used(shelf, name, source, fingerprint):
                    self._touched("DELETE FROM leftover WHERE shelf = ? AND name = ?", (shelf, name))
                else:
                    doomed += self._doom(shelf, name, source, fingerprint)
        return list(dict.fromkeys(doomed))

    def going_leftovers(self) -> list[Leftover]:
        """Return what is decided to go and perhaps still there."""
        return [Leftover(*row) for row in self._rows("SELECT shelf, name FROM leftover WHERE is_going")]

    def forget_leftovers(self, gone: Iterable[Leftover]) -> None:
        """Note that files are gone: their names may be used again."""
        with self._transaction():
            self._many(
                "DELETE FROM leftover WHERE shelf = ? AND name = ? AND is_going",
                [(leftover.shelf, leftover.name) for leftover in gone],
            )

    def is_going(self, shelf: Shelf, name: str) -> bool:
        """Say whether a file of this name is being removed: who wants to store one has to wait."""
        sql = "SELECT 1 FROM leftover WHERE shelf = ? AND name = ? AND is_going"
        return self._row(sql, (shelf, name)) is not None

    def note_strays(self, shelf: Shelf, names: Sequence[str]) -> int:
        """Note those of some stored files that no row speaks of; return how many are new."""
        now, unknown = self._clock(), set(names)
        for start in range(0, len(names), _MARKS):
            unknown -= self._spoken_of(shelf, names[start : start + _MARKS])
        with self._transaction():
            before = int(self._rows("SELECT count(*) FROM stray")[0][0])
            self._many(
                "INSERT INTO stray (shelf, name, seen_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                [(shelf, name, now) for name in sorted(unknown)],
            )
            return int(self._rows("SELECT count(*) FROM stray")[0][0]) - before

    def let_strays_go(self, older_than_s: float) -> int:
        """Make leftovers of the strays that are known so long; return how many."""
        now = self._clock()
        with self._transaction():
            strays = self._touched(
                "INSERT INTO leftover (shelf, name, source_sha256, fingerprint)"
                " SELECT shelf, name, '', '' FROM stray WHERE seen_at <= ? ON CONFLICT DO NOTHING",
                (now - older_than_s,),
            )
            # A clock that was put back must not make a stray young for ever.
            self._touched("DELETE FROM stray WHERE seen_at <= ? OR seen_at > ?", (now - older_than_s, now))
        return strays

    def _remove_images(self, job_id: int, fingerprint: str, *, keeps_sources: bool) -> bool:
        last = self._row(
            "SELECT max(n) FROM (SELECT n FROM image WHERE job_id = ? ORDER BY n LIMIT ?) AS first", (job_id, STEP)
        )
        if last is None or last[0] is None:
            return False
        self._touched(_NOTE_OUTPUTS, (fingerprint, job_id, last[0]))
        if keeps_sources:
            self._touched(_NOTE_ORIGINALS, (job_id, last[0]))
        self._touched("DELETE FROM image WHERE job_id = ? AND n <= ?", (job_id, last[0]))
        return True

    def _remove_places(self, job_id: int) -> bool:
        places = "SELECT n FROM place WHERE job_id = ? ORDER BY n LIMIT ?"
        return self._touched(f"DELETE FROM place WHERE job_id = ? AND n IN ({places})", (job_id, job_id, STEP)) > 0

    def _remove_job(self, job_id: int, uid: str) -> None:
        deliveries = "SELECT id FROM delivery WHERE job_id = ?"
        self._touched(f"DELETE FROM attempt WHERE delivery_id IN ({deliveries})", (job_id,))
        self._touched("DELETE FROM delivery WHERE job_id = ?", (job_id,))
        self._touched("DELETE FROM request_key WHERE job_uid = ?", (uid,))
        self._touched("DELETE FROM sent WHERE uid = ?", (uid,))
        self._touched("DELETE FROM job WHERE id = ?", (job_id,))

    def _candidates(self, most: int) -> list[tuple[Any, ...]]:
        rows = self._rows(
            "SELECT DISTINCT j.fingerprint FROM image i JOIN job j ON j.id = i.job_id WHERE i.state = 'running'"
        )
        # '' is the recipe of what any job may be about to use: with anybody at work it is busy too.
        busy = ["", *(fingerprint for (fingerprint,) in rows)] if rows else []
        marks = ",".join("?" * len(busy))
        return self._rows(
            "SELECT shelf, name, source_sha256, fingerprint FROM leftover"
            f" WHERE NOT is_going AND fingerprint NOT IN ({marks}) ORDER BY shelf, name LIMIT ?",
            (*busy, most),
        )

    def _is_used(self, shelf: Shelf, name: str, source: str, fingerprint: str) -> bool:
        if not source:
            return name in self._spoken_of(shelf, [name])
        condition = "j.fingerprint = ?" if shelf == "outputs" else f"{KEEPS_SOURCES} AND '' = ?"
        return self._row(_USERS.format(condition), (source, source, fingerprint)) is not None

    def _doom(self, shelf: Shelf, name: str, source: str, fingerprint: str) -> list[Leftover]:
        """Mark a file and what goes with it: a source's outputs by one recipe are known all together or not at all."""
        names = [name]
        if shelf == "outputs":
            made = (source, fingerprint)
            rows = self._rows("SELECT key, format FROM output WHERE source_sha256 = ? AND fingerprint = ?", made)
            names += [keys.file_name(*row) for row in rows]
            self._touched("DELETE FROM output WHERE source_sha256 = ? AND fingerprint = ?", made)
        self._many(
            "INSERT INTO leftover (shelf, name, source_sha256, fingerprint, is_going) VALUES (?, ?, ?, ?, true)"
            " ON CONFLICT (shelf, name) DO UPDATE SET is_going = true",
            [(shelf, name, source, fingerprint) for name in names],
        )
        if source and self._row(_USERS.format("true"), (source, source)) is None:
            self._touched(
                "DELETE FROM source WHERE sha256 = ? AND NOT EXISTS"
                " (SELECT 1 FROM output WHERE source_sha256 = source.sha256)",
                (source,),
            )
        return [Leftover(shelf, name) for name in names]

    def _spoken_of(self, shelf: Shelf, names: Sequence[str]) -> set[str]:
        """Return those of some stored files that rows speak of."""
        stems = [name.partition(".")[0] for name in names]
        if shelf == "outputs":
            marks = ",".join("?" * len(stems))
            rows = self._rows(f"SELECT key, format FROM output WHERE key IN ({marks})", stems)
            return {keys.file_name(*row) for row in rows}
        used = _USERS.format(KEEPS_SOURCES)
        return {name for name, stem in zip(names, stems, strict=True) if self._row(used, (stem, stem))}
