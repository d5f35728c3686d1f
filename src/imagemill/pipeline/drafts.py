"""Drafts: sheets that were checked and wait for somebody to say "compress"; each has an owner and an end.

What is known of a draft is in the database, so that each of several servers knows it. Its sheet lies in a folder
beside the spool, which outlives a restart, with sources fetched to be shown; another server that needs the sheet has
it from the database (`sent`). Losing a draft costs one more upload.
"""

from __future__ import annotations

import secrets
import shutil
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from imagemill.core.errors import NotFoundError
from imagemill.core.job import Count, JobKind, Moment, Uid
from imagemill.core.sheet import Fault, Glance
from imagemill.pipeline import sent
from imagemill.pipeline.reading import READ_BYTES, Reading, read_again
from imagemill.pipeline.rules import rules, with_column

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imagemill.pipeline.parts import Parts

_PICTURES: Final = 12


class Places(msgspec.Struct, frozen=True):
    """How many rows a sheet has, how many images they name, and how many of these differ."""

    rows: Count
    images: Count
    unique: Count


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A sheet that was checked: what it holds, what is wrong with it, and some of its images by their addresses.

    It can become a job where it has no faults. `pictures` are drawn by lot; `expires_at` moves on with each use.
    """

    id: Uid
    kind: JobKind
    filename: str
    bytes: Count
    expires_at: Moment
    counts: Places
    table: Glance
    faults: list[Fault]
    fault_count: Count
    warnings: list[Fault]
    warning_count: Count
    pictures: list[str]


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a draft beside its sheet: whose it is, and what its last check found.

    `column` is the one that was chosen, `sample` are addresses drawn by lot; of a sheet with faults it has none.
    """

    owner: str
    kind: JobKind
    filename: str
    column: str | None = None
    images: int = 0
    unique: int = 0
    sample: list[str] = []

    @property
    def pictures(self) -> list[str]:
        """Those that are shown."""
        return self.sample[:_PICTURES]


class Kept(msgspec.Struct, frozen=True):
    """A draft's folder, and what is known of it."""

    folder: Path
    about: About

    @property
    def id(self) -> str:
        """What it is called by."""
        return self.folder.name


class Drafts:
    """All drafts there are. Who is named by `sees_only` sees his own; None sees all."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def keep(self, reading: Reading, sheet: Path, about: About) -> Draft:
        """Take over a sheet's file that was read to its end; an owner's oldest drafts go, where it is one too many."""
        for old in self._parts.store.surplus_drafts(about.owner, self._parts.settings.draft.per_owner - 1):
            self._forget(old)
        uid = str(uuid.uuid4())
        self._parts.store.add_draft(uid, about.owner, _text(about))  # first: a folder that nobody knows is removed
        try:
            kept = Kept(self._folder_of(uid), about)
            shutil.move(sheet, self._parts.folders.draft(uid))
            sent.share_draft(self._parts, uid)
            return self._described(kept, reading)
        except BaseException:
            self._forget(uid)
            raise

    def look(self, uid: str, sees_only: str | None, column: str | None = None) -> Draft:
        """Check a draft again, with another column of links."""
        kept = self.find(uid, sees_only)
        known = with_column(rules(self._parts.settings, kept.about.kind), kept.about.kind, column)
        desk = self._parts.folders.spool / f"check-{secrets.token_hex(8)}"
        desk.mkdir(mode=0o700)
        try:
            reading = read_again(self.sheet(kept), known, desk / "staging.db")
            try:
                return self._described(kept, reading)
            finally:
                reading.discard()
        finally:
            shutil.rmtree(desk, ignore_errors=True)

    def find(self, uid: str, sees_only: str | None) -> Kept:
        """Return a draft, which then is kept for longer; NotFoundError where there is none, or it is another's."""
        about = self._parts.store.use_draft(uid, sees_only)
        if about is None:
            raise _gone()
        return Kept(self._folder_of(uid), msgspec.json.decode(about, type=About))

    def sheet(self, kept: Kept) -> Path:
        """Return the file of a draft's sheet; NotFoundError where it has gone."""
        path = sent.draft(self._parts, kept.id)
        if path is None:
            raise _gone()
        return path

    def pieces(self, kept: Kept) -> Iterator[bytes]:
        """Yield the sheet's bytes; NotFoundError as above."""
        with self.sheet(kept).open("rb") as file:
            while data := file.read(READ_BYTES):
                yield data

    def delete(self, uid: str, sees_only: str | None) -> None:
        """Forget a draft."""
        self._forget(self.find(uid, sees_only).id)

    def sweep(self) -> None:
        """Forget those whose end has come, and what is here of those that another server has forgotten."""
        store = self._parts.store
        for uid in store.ended_drafts(self._parts.clock() - self._parts.settings.draft.keep_s):
            self._forget(uid)
        here = list(self._parts.folders.drafts.iterdir())
        known = store.known_drafts()
        for folder in here:
            if folder.name not in known:
                shutil.rmtree(folder, ignore_errors=True)

    def _described(self, kept: Kept, reading: Reading) -> Draft:
        reader, samples = reading.reader, self._parts.settings.estimate.samples
        sampled = reading.staging.sample(max(_PICTURES, samples))
        about = msgspec.structs.replace(
            kept.about,
            column=reading.rules.input_column,
            images=sampled.places,
            unique=sampled.unique,
            sample=[] if reader.faults.total else sampled.urls,
        )
        self._parts.store.describe_draft(kept.id, _text(about))
        sheet = self.sheet(kept)
        return Draft(
            id=kept.id,
            kind=about.kind,
            filename=about.filename,
            bytes=sheet.stat().st_size,
            expires_at=datetime.fromtimestamp(self._parts.clock() + self._parts.settings.draft.keep_s, UTC),
            counts=Places(reader.rows, sampled.places, sampled.unique),
            table=reading.glance(sheet),
            faults=reader.faults.listed,
            fault_count=reader.faults.total,
            warnings=reader.warnings.listed,
            warning_count=reader.warnings.total,
            pictures=about.pictures,
        )

    def _folder_of(self, uid: str) -> Path:
        folder = self._parts.folders.drafts / uid
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    def _forget(self, uid: str) -> None:
        self._parts.store.forget_draft(uid)
        sent.forget_draft(self._parts, uid)


def _text(about: About) -> str:
    return msgspec.json.encode(about).decode()


def _gone() -> NotFoundError:
    return NotFoundError("There is no such draft any more: send the sheet again.")
