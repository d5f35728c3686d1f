"""Images on their way: claimed under a lease, recorded while it holds, given back when it ends."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from imagemill.core import keys
from imagemill.core.errors import ImageCode
from imagemill.core.job import ErrorInfo, Output, Source, Submission
from imagemill.core.states import Move, origins, target
from imagemill.db.dialect import Grip
from imagemill.db.jobs import IS_WORKED, Jobs
from imagemill.db.lanes import OPEN, Doors, Lanes, open_lane
from imagemill.db.validators import Validators

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

MAIN = "image"
"""The name of an image's own output; the others are thumbnails."""

# In which order the images of a job ended, whatever the clock did meanwhile: `settled_images` goes on from there.
_REVISION = (
    "1 + coalesce((SELECT max(revision) FROM image AS other WHERE other.job_id = image.job_id"
    " AND other.revision IS NOT NULL), 0)"
)

_REPLACED = ("source_sha256", "fingerprint", "name", "bytes", "format", "width", "height", "created_at", "ssim")

IS_CLEARING = "EXISTS (SELECT 1 FROM leftover WHERE is_going)"

# A record counts only while its claim holds.
_IS_HELD = "EXISTS (SELECT 1 FROM image WHERE job_id = ? AND n = ? AND lease = ? AND state = 'running')"

OUTPUTS = "SELECT o.source_sha256, o.name, o.key, o.bytes, o.format, o.width, o.height FROM output o"


# How many images of a job are claimed at once; none of one that is not worked on.
_SHARE = (
    "coalesce((SELECT CASE WHEN images < ? THEN 1 WHEN images / ? > ? THEN ? ELSE images / ? END FROM job"
    f" WHERE id = ? AND {IS_WORKED}), 0)"
)

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
    is_clearing: bool = False
    """Whether any file is being removed. Where none is, none of the claim's names will be while it is held."""


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


class Handful(msgspec.Struct, frozen=True):
    """What became of images of one claim; those in `returned` go back as they came."""

    claim: Claim
    records: Sequence[Record]
    returned: Sequence[int] = ()


Ended: TypeAlias = "list[tuple[Claim, Record]]"


class Images(Jobs, Lanes, Validators):
    """Queries about single images."""

    def claim_images(
        self, job_id: int, *, most: int, shares: int, token: str, lease_s: float, doors: Doors = OPEN
    ) -> Claim | None:
        """Take due images of a job, a `shares`-th of all it has but at least one and at most `most`, of one host.

        None when it has none that are due behind open doors, is paused, or has ended.
        """
        now = self._clock()
        lane, found_in = open_lane(job_id, doors, now)
        due = f"job_id = ? AND state = 'pending' AND host = {lane} AND next_attempt_at <= ?"
        params = (job_id, *found_in, now)
        with self._transaction(job_id, Grip.CLAIM):
            # Nothing that is marked later will be of this claim's: what marks it is alone (db/leftovers.py).
            job = self._ask(
                f"SELECT uid, owner, submission, fingerprint, {IS_CLEARING} FROM job WHERE id = ?", (job_id,)
            )
            self._many(  # before its images, which come after jobs
                f"UPDATE job SET started_at = ? WHERE id = ? AND started_at IS NULL AND {IS_WORKED}"
                f" AND EXISTS (SELECT 1 FROM image WHERE {due})",
                [(now, job_id, *params)],
            )
            taken = self._ask(
                f"WITH due AS (SELECT n FROM image WHERE {due} ORDER BY next_attempt_at, n"
                f" LIMIT {_SHARE}{self._dialect.skipping})"
                f" UPDATE image SET state = '{target(Move.CLAIM)}', lease = ?, lease_until = ?"
                " WHERE job_id = ? AND n IN (SELECT n FROM due) RETURNING n, url, attempts, crashes",
                (*params, shares, shares, most, most, shares, job_id, token, now + lease_s, job_id),
            )
        images = [Claimed(*row) for row in sorted(taken())]
        return _claim(job_id, token, job()[0], images) if images else None

    def record_images(self, claim: Claim, records: Sequence[Record], returned: Iterable[int] = ()) -> int | None:
        """Write what became of images of one claim, as `record_together` does."""
        return self.record_together([Handful(claim, records, list(returned))])

    def record_together(self, handfuls: Sequence[Handful]) -> int | None:
        """Write what became of claimed images of one job, and end the job when the last was among them.

        One transaction. Records whose lease is lost are dropped: somebody else has the image now. Returns the callback
        that is due, where the job has ended and asked for one.
        """
        job_id = handfuls[0].claim.job_id
        ended = [(handful.claim, record) for handful in handfuls for record in handful.records]
        with self._transaction(job_id):
            self._keep_outputs(ended)
            urls = {image.n: image.url for handful in handfuls for image in handful.claim.images}
            self._remember((urls[r.n], r.validator, r.source.sha256) for _, r in ended if r.source)
            for move, write in (
                (Move.COMPLETE, self._complete),
                (Move.FAIL, self._fail),
                (Move.POSTPONE, self._postpone),
                (Move.RELEASE, self._put_off),
            ):
                write([(claim, record) for claim, record in ended if record.move is move])
            self._release(handfuls)
            return self._finish_job(job_id)

    def _keep_outputs(self, ended: Ended) -> None:
        now, made = self._clock(), [(claim, record, record.source) for claim, record in ended if record.source]
        self._many(
            f"INSERT INTO source (sha256, bytes, format, width, height) SELECT ?, ?, ?, ?, ? WHERE {_IS_HELD}"
            " ON CONFLICT DO NOTHING",
            sorted((s.sha256, s.bytes, s.format, s.width, s.height, *_lease(claim, r)) for claim, r, s in made),
        )
        # A known output may have been stored again, because its file was gone: its row becomes the newest.
        self._many(
            "INSERT INTO output"
            " (key, source_sha256, fingerprint, name, bytes, format, width, height, created_at, ssim)"
            f" SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ? WHERE {_IS_HELD} ON CONFLICT (key) DO UPDATE SET id = excluded.id,"
            f" {', '.join(f'{column} = excluded.{column}' for column in _REPLACED)}",
            sorted((row for claim, record in ended for row in _kept(claim, record, now)), key=itemgetter(0)),
        )

    def _complete(self, ended: Ended) -> None:
        self._many(
            _write(
                Move.COMPLETE,
                "attempts = attempts + 1, error_code = NULL, error_message = NULL, source_sha256 = ?, source_bytes = ?,"
                f" output = ?, output_bytes = ?, ssim = ?, seconds = ?, revision = {_REVISION}",
            ),
            [(*_made(record), record.seconds, *_lease(claim, record)) for claim, record in ended],
        )

    def _fail(self, ended: Ended) -> None:
        self._many(
            _write(
                Move.FAIL,
                "attempts = attempts + 1, crashes = crashes + ?, error_code = ?, error_message = ?, seconds = ?,"
                f" revision = {_REVISION}",
            ),
            [(*_wrong(record), record.seconds, *_lease(claim, record)) for claim, record in ended],
        )

    def _postpone(self, ended: Ended) -> None:
        self._many(
            _write(
                Move.POSTPONE,
                "attempts = attempts + 1, crashes = crashes + ?, error_code = ?, error_message = ?,"
                " next_attempt_at = ?",
            ),
            [(*_wrong(record), record.next_attempt_at, *_lease(claim, record)) for claim, record in ended],
        )

    def _put_off(self, ended: Ended) -> None:
        self._many(
            _write(Move.RELEASE, "error_code = ?, error_message = ?, next_attempt_at = ?"),
            [(*_wrong(record)[1:], record.next_attempt_at, *_lease(claim, record)) for claim, record in ended],
        )

    def _release(self, handfuls: Sequence[Handful]) -> None:
        # An interrupted attempt is not counted: the image goes back as it came.
        self._many(
            _write(Move.RELEASE, "next_attempt_at = next_attempt_at"),
            [(handful.claim.job_id, n, handful.claim.token) for handful in handfuls for n in handful.returned],
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

    def prolong_leases(self, claims: Iterable[Claim], lease_s: float) -> int:
        """Let leases that still hold end later, `lease_s` from now; return how many those are."""
        until, by_job = self._clock() + lease_s, sorted(claims, key=lambda claim: claim.job_id)
        return sum(
            self._prolong(job_id, list(of_job), until)
            for job_id, of_job in itertools.groupby(by_job, lambda claim: claim.job_id)
        )

    def _prolong(self, job_id: int, claims: Sequence[Claim], until: float) -> int:
        with self._transaction(job_id):
            prolonged = [
                self._ask(
                    "UPDATE image SET lease_until = ? WHERE job_id = ? AND lease = ? AND state = 'running'"
                    f" AND n IN ({','.join('?' * len(claim.images))}) RETURNING n",
                    (until, job_id, claim.token, *(image.n for image in claim.images)),
                )
                for claim in claims
            ]
        return sum(len(images()) for images in prolonged)

    def is_worked(self, job_id: int) -> bool:
        """Say whether images of a job are still wanted: it has not ended, and nobody has paused or cancelled it."""
        return self._row(f"SELECT 1 FROM job WHERE id = ? AND {IS_WORKED}", (job_id,)) is not None

    def cancelled_of(self, job_ids: Collection[int]) -> set[int]:
        """Return those of some jobs that are cancelled, or deleted."""
        marks = ", ".join("?" * len(job_ids))
        rows = self._rows(f"SELECT id FROM job WHERE id IN ({marks}) AND cancelled_at IS NULL", tuple(job_ids))
        return set(job_ids) - {job_id for (job_id,) in rows}

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


def _claim(job_id: int, token: str, job: tuple[Any, ...], images: list[Claimed]) -> Claim:
    uid, owner, submission, fingerprint, is_clearing = job
    return Claim(
        job_id=job_id,
        job_uid=uid,
        owner=owner,
        token=token,
        submission=msgspec.json.decode(submission, type=Submission),
        fingerprint=fingerprint,
        images=images,
        is_clearing=bool(is_clearing),
    )


def _made(record: Record) -> tuple[object, ...]:
    source, main = record.source, next((output for output in record.outputs if output.name == MAIN), None)
    if source is None or main is None:
        message = f"image {record.n} is recorded as done without a source or an output"
        raise ValueError(message)
    return source.sha256, source.bytes, keys.file_name(main.key, main.format), main.bytes, record.ssim


def _lease(claim: Claim, record: Record) -> tuple[object, ...]:
    """Return what `_IS_HELD` asks for."""
    return claim.job_id, record.n, claim.token


def _kept(claim: Claim, record: Record, now: float) -> list[tuple[object, ...]]:
    if record.source is None:
        return []
    sha256, ssim, held = record.source.sha256, {MAIN: record.ssim}, _lease(claim, record)
    return [
        (o.key, sha256, claim.fingerprint, o.name, o.bytes, o.format, o.width, o.height, now, ssim.get(o.name), *held)
        for o in record.outputs
    ]


def _wrong(record: Record) -> tuple[object, ...]:
    error = record.error or ErrorInfo(code=ImageCode.INTERNAL, message="")
    return int(error.code == ImageCode.DECODE_CRASHED), error.code, error.message
