"""What the tests of db, pipeline and queue begin with: a clock that stands still, and jobs made of rows of URLs."""

from __future__ import annotations

import hashlib
import itertools
import secrets
from collections.abc import Sequence
from pathlib import Path

import msgspec

from imagemill.core import keys
from imagemill.core.errors import ImageCode
from imagemill.core.job import ErrorInfo, Output, Source, Submission
from imagemill.core.states import ImageState
from imagemill.db import MAIN, Claim, NewJob, Record, Staging, Store

NOON = 1_780_000_000.0


class Clock:
    """Stands still until it is moved."""

    def __init__(self, now: float = NOON) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Seeded(msgspec.Struct, frozen=True):
    """An accepted job: its small id and its public one."""

    id: int
    uid: str
    images: int


class Seeds:
    """Makes jobs in a store."""

    def __init__(self, store: Store, folder: Path, clock: Clock) -> None:
        self.store, self.clock = store, clock
        self._folder = folder
        self._numbers = itertools.count(1)

    def staged(self, rows: Sequence[Sequence[str]], serials: Sequence[str] = ()) -> Staging:
        staging = Staging(self._folder / f"staging-{next(self._numbers)}.db")
        for row, (urls, serial) in enumerate(itertools.zip_longest(rows, serials, fillvalue=""), 2):
            staging.add(row, list(urls), str(serial))
        staging.seal()
        return staging

    def new(self, *, owner: str = "shop", sheet: bytes = b"sheet", rows: int = 0, asked: Submission) -> NewJob:
        return NewJob(
            uid=keys.job_id(int(self.clock() * 1000), secrets.randbits(42)),
            kind="sheet",
            owner=owner,
            submission=asked,
            filename="shop.csv",
            sheet_sha256=hashlib.sha256(sheet).hexdigest(),
            sheet_rows=rows,
            created_at=self.clock(),
        )

    def job(self, rows: Sequence[Sequence[str]], asked: Submission | None = None, *, owner: str = "shop") -> Seeded:
        new = self.new(owner=owner, rows=len(rows), asked=asked or Submission())
        accepted = self.store.accept_job(new, self.staged(rows))
        return Seeded(accepted.id, new.uid, accepted.images)

    def images(self, count: int, asked: Submission | None = None) -> Seeded:
        """Return a job of `count` distinct images, one a row."""
        return self.job([[f"http://a/{n}.jpg"] for n in range(1, count + 1)], asked)

    def claim(self, job: Seeded, most: int = 100, *, shares: int = 1, lease_s: float = 60.0) -> Claim:
        claim = self.store.claim_images(job.id, most=most, shares=shares, token=secrets.token_hex(8), lease_s=lease_s)
        assert claim is not None
        return claim


_SUMS = (
    *(f"coalesce(sum(i.places) FILTER (WHERE i.state = '{state}'), 0)" for state in ImageState),
    *(f"coalesce(sum(i.places * i.{column}), 0)" for column in ("source_bytes", "output_bytes")),
)


def mistallied(store: Store) -> list[tuple[int, ...]]:
    """Return the jobs whose tally is not what their images come to, with what it should be."""
    return store._rows(
        f"SELECT job.id, {', '.join(_SUMS)} FROM job LEFT JOIN image i ON i.job_id = job.id WHERE deleted_at IS NULL"
        " GROUP BY job.id EXCEPT SELECT * FROM tally"
    )


def source_of(text: str, size: int = 1000) -> Source:
    return Source(bytes=size, format="jpeg", width=40, height=30, sha256=hashlib.sha256(text.encode()).hexdigest())


def done(claim: Claim, n: int, *, made_of: str = "", size: int = 1000, output_bytes: int = 400) -> Record:
    """Return the record of an image whose source is told by `made_of` (its own by default)."""
    source = source_of(made_of or f"source {n}", size)
    key = keys.output_key(source.sha256, claim.fingerprint, MAIN)
    output = Output(name=MAIN, key=key, bytes=output_bytes, format="jpeg", width=40, height=30)
    return Record(n=n, seconds=0.25, source=source, outputs=[output])


def failed(n: int, code: ImageCode = ImageCode.NOT_AN_IMAGE, *, next_attempt_at: float | None = None) -> Record:
    error = ErrorInfo(code=code, message="what to do")
    return Record(n=n, seconds=0.25, error=error, next_attempt_at=next_attempt_at)
