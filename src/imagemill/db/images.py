"""Images on their way: claimed under a lease, recorded while it holds, given back when it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from imagemill.core import keys
from imagemill.core.errors import ImageCode
from imagemill.core.job import ErrorInfo, Output, Source, Submission
from imagemill.core.states import Move, origins, target
from imagemill.db.dialect import Grip
from imagemill.db.jobs import IS_WORKED, Jobs
from imagemill.db.lanes import OPEN, Doors, Lanes
from imagemill.db.validators import Validators

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAIN = "image"
"""The name of an image's own output; the others are thumbnails."""

# In which order the images of a job ended, whatever the clock did meanwhile: `settled_images` goes on from there.
_REVISION = (
    "1 + coalesce((SELECT max(revision) FROM image AS other WHERE other.job_id = image.job_id"
    " AND other.revision IS NOT NULL), 0)"
)

_REPLACED = ("source_sha256", "fingerprint", "name", "bytes", "format", "width", "height", "created_at", "ssim")

OUTPUTS = "SELECT o.source_sha256, o.name, o.key, o.bytes, o.format, o.width, o.height FROM output o"


_KNOWN = (
    "SELECT o.name, o.key, o.bytes, o.format, o.width, o.height, s.bytes, s.format, s.width, s.height, s.sha256, o.ssim"
    " FROM output o JOIN source s ON s.sha256 = o.source_sha256"
    " WHERE o.fingerprint = ? AND o.source_sha256 IN ({}) ORDER BY o.name"
)


class Claimed(msgspec.Struct, frozen=True):
    """One image in hand: how often it was tried, and how often it crashed a child."""

    n: int
    url: str
    attempts: int
    crashes: int


class Claim(msgspec.Struct, frozen=True):
    """Some images of one job under one lease. A result counts only while the token still holds."""

    job_id: int
    job_uid: str
    owner: str
    token: str
    submission: Submission
    fingerprint: str
    images: list[Claimed]


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one claimed image: done (source and outputs), failed (error), or postponed (error and a time).

    With `is_attempt` false it waits for that time untried. `validator` is what the origin said of the source.
    """

    n: int
    seconds: float
    error: ErrorInfo | None = None
    next_attempt_at: float | None = None
    is_attempt: bool = True
    source: Source | None = None
    outputs: list[Output] = []
    validator: str = ""
    ssim: float | None = None

    @property
    def move(self) -> Move:
        """The transition this record asks for."""
        if self.error is None:
            return Move.COMPLETE
        if not self.is_attempt:
            return Move.RELEASE
        return Move.FAIL if self.next_attempt_at is None else Move.POSTPONE


class Images(Jobs, Lanes, Validators):
    """Queries about single images."""

    def claim_images(
        self, job_id: int, *, most: int, shares: int, token: str, lease_s: float, doors: Doors = OPEN
    ) -> Claim | None:
        """Take due images of a job, a `shares`-th of all it has but at least one and at most `most`, of one host.

        None when it has none that are due behind open doors, is paused, or has ended.
        """
        now = self._clock()
        with self._transaction(job_id, Grip.CLAIM):
            job = self._row(
                f"SELECT uid, submission, fingerprint, started_at, images, owner FROM job WHERE id = ? AND {IS_WORKED}",
                (job_id,),
            )
            if job and job[3] is None:
                self._dialect.hold(job_id, Grip.RECORD)  # it is to be written, and images come after jobs
            limit = max(1, min(most, job[4] // shares)) if job else 0
            lane = self._open_lanes(job_id, doors, now, 1) if job else []
            taken = self._take(job_id, lane[0], limit, token, now, lease_s) if lane else []
            if job and taken and job[3] is None:
                self._touched("UPDATE job SET started_at = ? WHERE id = ? AND started_at IS NULL", (now, job_id))
        if job is None or not taken:
            return None
        submission = msgspec.json.decode(job[1], type=Submission)
        return Claim(
            job_id=job_id,
            job_uid=job[0],
            owner=job[5],
            token=token,
            submission=submission,
            fingerprint=job[2],
            images=taken,
        )

    def _take(self, job_id: int, host: int, limit: int, token: str, now: float, lease_s: float) -> list[Claimed]:
        rows = self._rows(
            "WITH due AS (SELECT n FROM image WHERE job_id = ? AND state = 'pending' AND host = ?"
            f" AND next_attempt_at <= ? ORDER BY next_attempt_at, n LIMIT ?{self._dialect.skipping})"
            f" UPDATE image SET state = '{target(Move.CLAIM)}', lease = ?, lease_until = ?"
            " WHERE job_id = ? AND n IN (SELECT n FROM due) RETURNING n, url, attempts, crashes",
            (job_id, host, now, limit, token, now + lease_s, job_id),
        )
        return [Claimed(*row) for row in sorted(rows)]

    def record_images(self, claim: Claim, records: Sequence[Record], returned: Iterable[int] = ()) -> int | None:
        """Write what became of claimed images, give back the ones in `returned`, and end the job when it was the last.

        One transaction. Records whose lease is lost are dropped: somebody else has the image now. Returns the callback
        that is due, where the job has ended and asked for one.
        """
        with self._transaction(claim.job_id):
            held = self._held(claim, [record.n for record in records])
            kept = [record for record in records if record.n in held]
            self._keep_outputs(claim, kept)
            urls = {image.n: image.url for image in claim.images}
            self._remember((urls[r.n], r.validator, r.source.sha256) for r in kept if r.source)
            for move, write in (
                (Move.COMPLETE, self._complete),
                (Move.FAIL, self._fail),
                (Move.POSTPONE, self._postpone),
                (Move.RELEASE, self._put_off),
            ):
                write(claim, [record for record in kept if record.move is move])
            self._release(claim, returned)
            return self._finish_job(claim.job_id)

    def _held(self, claim: Claim, wanted: Sequence[int]) -> set[int]:
        marks = ",".join("?" * len(wanted))
        sql = f"SELECT n FROM image WHERE job_id = ? AND n IN ({marks}) AND lease = ? AND state = 'running'"
        return {n for (n,) in self._rows(sql, (claim.job_id, *wanted, claim.token))}

    def _keep_outputs(self, claim: Claim, records: Sequence[Record]) -> None:
        now = self._clock()
        sources = {record.source.sha256: record.source for record in records if record.source}
        self._many(
            "INSERT INTO source (sha256, bytes, format, width, height) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            [(s.sha256, s.bytes, s.format, s.width, s.height) for _, s in sorted(sources.items())],
        )
        # A known output may have been stored again, because its file was gone: its row becomes the newest.
        self._many(
            "INSERT INTO output"
            " (key, source_sha256, fingerprint, name, bytes, format, width, height, created_at, ssim)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET id = excluded.id,"
            f" {', '.join(f'{column} = excluded.{column}' for column in _REPLACED)}",
            sorted(row for record in records for row in _kept(record, claim.fingerprint, now)),
        )

    def _complete(self, claim: Claim, records: Sequence[Record]) -> None:
        self._many(
            _write(
                Move.COMPLETE,
                "attempts = attempts + 1, error_code = NULL, error_message = NULL, source_sha256 = ?, source_bytes = ?,"
                f" output = ?, output_bytes = ?, ssim = ?, seconds = ?, revision = {_REVISION}",
            ),
            [(*_made(record), record.seconds, claim.job_id, record.n, claim.token) for record in records],
        )

    def _fail(self, claim: Claim, records: Sequence[Record]) -> None:
        self._many(
            _write(
                Move.FAIL,
                "attempts = attempts + 1, crashes = crashes + ?, error_code = ?, error_message = ?, seconds = ?,"
                f" revision = {_REVISION}",
            ),
            [(*_wrong(record), record.seconds, claim.job_id, record.n, claim.token) for record in records],
        )

    def _postpone(self, claim: Claim, records: Sequence[Record]) -> None:
        self._many(
            _write(
                Move.POSTPONE,
                "attempts = attempts + 1, crashes = crashes + ?, error_code = ?, error_message = ?,"
                " next_attempt_at = ?",
            ),
            [(*_wrong(record), record.next_attempt_at, claim.job_id, record.n, claim.token) for record in records],
        )

    def _put_off(self, claim: Claim, records: Sequence[Record]) -> None:
        self._many(
            _write(Move.RELEASE, "error_code = ?, error_message = ?, next_attempt_at = ?"),
            [(*_wrong(record)[1:], record.next_attempt_at, claim.job_id, record.n, claim.token) for record in records],
        )

    def give_up_host(self, job_id: int, host: int, error: ErrorInfo) -> tuple[int, int | None]:
        """Fail what waits for a host in a job; return how many images, and the callback that is due, if any.

        A few thousand images at a time, so that others can write in between.
        """
        failed = 0
        while more := self.fail_lane(job_id, host, error.code, error.message):
            failed += more
        with self._transaction(job_id):
            return failed, self._finish_job(job_id)

    def _release(self, claim: Claim, returned: Iterable[int]) -> None:
        # An interrupted attempt is not counted: the image goes back as it came.
        self._many(
            _write(Move.RELEASE, "next_attempt_at = next_attempt_at"),
            [(claim.job_id, n, claim.token) for n in returned],
        )

    def prolong_leases(self, claims: Iterable[Claim], lease_s: float) -> int:
        """Let leases that still hold end later, `lease_s` from now; return how many those are."""
        until = self._clock() + lease_s
        return sum(self._prolong(claim, until) for claim in claims)

    def _prolong(self, claim: Claim, until: float) -> int:
        with self._transaction(claim.job_id):
            return self._touched(
                "UPDATE image SET lease_until = ? WHERE job_id = ? AND lease = ? AND state = 'running'"
                f" AND n IN ({','.join('?' * len(claim.images))})",
                (until, claim.job_id, claim.token, *(image.n for image in claim.images)),
            )

    def is_worked(self, job_id: int) -> bool:
        """Say whether images of a job are still wanted: it has not ended, and nobody has paused or cancelled it."""
        return self._row(f"SELECT 1 FROM job WHERE id = ? AND {IS_WORKED}", (job_id,)) is not None

    def release_leases(self, *, before: float | None = None, of: str = "") -> int:
        """Return leased images to pending: those whose lease has ended before, or all of one machine's.

        A machine's are told by what its tokens begin with.
        """
        ended = "state = 'running' AND " + ("substr(lease, 1, ?) = ?" if before is None else "lease_until < ?")
        params = (len(of), of) if before is None else (before,)
        if not self._row(f"SELECT 1 FROM image WHERE {ended} LIMIT 1", params):  # a look that locks nobody out
            return 0
        with self._alone():
            return self._touched(
                f"UPDATE image SET state = '{target(Move.RELEASE)}', lease = NULL, lease_until = NULL WHERE {ended}",
                params,
            )

    def hasten_images(self, longest_s: float) -> int:
        """Make due what would wait longer than anything may: the wall clock was put back after it was postponed."""
        now = self._clock()
        late = (
            # + keeps SQLite from reading all that the jobs have: few images are postponed.
            "state = 'pending' AND next_attempt_at > 0 AND next_attempt_at > ?"
            " AND +job_id IN (SELECT id FROM job WHERE finished_at IS NULL)"
        )
        if not self._row(f"SELECT 1 FROM image WHERE {late} LIMIT 1", (now + longest_s,)):
            return 0
        with self._alone():
            return self._touched(f"UPDATE image SET next_attempt_at = ? WHERE {late}", (now, now + longest_s))

    def known_outputs(
        self, sources: Sequence[str], fingerprint: str
    ) -> dict[str, tuple[Source, list[Output], float | None]]:
        """Return what was made of equal bytes with an equal recipe before, by the SHA-256 of the source.

        The source, the outputs, and the main one's SSIM where it was measured.
        """
        known: dict[str, tuple[Source, list[Output], float | None]] = {}
        for row in self._rows(_KNOWN.format(",".join("?" * len(sources))), (fingerprint, *sources)):
            # The main output is the first by its name, and has the SSIM.
            _, outputs, _ = known.setdefault(row[10], (Source(*row[6:11]), [], row[11]))
            outputs.append(Output(*row[:6]))
        return known

    def source_formats(self, sources: Sequence[str]) -> dict[str, str]:
        """Return the formats of sources that were compressed before, by their SHA-256."""
        marks = ",".join("?" * len(sources))
        return dict(self._rows(f"SELECT sha256, format FROM source WHERE sha256 IN ({marks})", sources))


def _write(move: Move, changes: str) -> str:
    """Return the update that ends a lease; it touches only an image whose state allows the move, under its token."""
    states = ", ".join(f"'{state}'" for state in origins(move))
    return (
        f"UPDATE image SET state = '{target(move)}', lease = NULL, lease_until = NULL, {changes}"
        f" WHERE job_id = ? AND n = ? AND lease = ? AND state IN ({states})"
    )


def _made(record: Record) -> tuple[object, ...]:
    source, main = record.source, next((output for output in record.outputs if output.name == MAIN), None)
    if source is None or main is None:
        message = f"image {record.n} is recorded as done without a source or an output"
        raise ValueError(message)
    return source.sha256, source.bytes, keys.file_name(main.key, main.format), main.bytes, record.ssim


def _kept(record: Record, fingerprint: str, now: float) -> list[tuple[object, ...]]:
    if record.source is None:
        return []
    sha256, ssim = record.source.sha256, {MAIN: record.ssim}
    return [
        (o.key, sha256, fingerprint, o.name, o.bytes, o.format, o.width, o.height, now, ssim.get(o.name))
        for o in record.outputs
    ]


def _wrong(record: Record) -> tuple[object, ...]:
    error = record.error or ErrorInfo(code=ImageCode.INTERNAL, message="")
    return int(error.code == ImageCode.DECODE_CRASHED), error.code, error.message
