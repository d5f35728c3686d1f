"""Drafts: sheets that were checked and wait for somebody to say "compress"; each has an owner and an end.

A draft is a folder with the sheet, what is known of it (`about.json`), and sources fetched to be shown. It is no fact
of the database: losing it costs one more upload. It lies beside the spool and not in it, so that it outlives a restart.
"""

from __future__ import annotations

import contextlib
import os
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
from imagemill.pipeline.reading import READ_BYTES, Reading, read_again
from imagemill.pipeline.rules import rules, with_column

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imagemill.pipeline.parts import Parts

_PICTURES: Final = 12
_ABOUT: Final = "about.json"
_SHEET: Final = "sheet"


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
    def sheet(self) -> Path:
        """The sheet, byte for byte."""
        return self.folder / _SHEET

    def pieces(self) -> Iterator[bytes]:
        """Yield the sheet's bytes."""
        try:
            with self.sheet.open("rb") as file:
                while data := file.read(READ_BYTES):
                    yield data
        except FileNotFoundError as error:
            raise _gone() from error


class Drafts:
    """All drafts there are. Who is named by `sees_only` sees his own; None sees all."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._folder = parts.folders.drafts

    def keep(self, reading: Reading, sheet: Path, about: About) -> Draft:
        """Take over a sheet's file that was read to its end."""
        self._make_room(about.owner)
        folder = self._folder / str(uuid.uuid4())
        folder.mkdir(mode=0o700)
        shutil.move(sheet, folder / _SHEET)
        return self._described(Kept(folder, about), reading)

    def look(self, uid: str, sees_only: str | None, column: str | None = None) -> Draft:
        """Check a draft again, with another column of links."""
        kept = self.find(uid, sees_only)
        known = with_column(rules(self._parts.settings, kept.about.kind), kept.about.kind, column)
        desk = self._parts.folders.spool / f"check-{secrets.token_hex(8)}"
        desk.mkdir(mode=0o700)
        try:
            reading = read_again(kept.sheet, known, desk / "staging.db")
            try:
                return self._described(kept, reading)
            finally:
                reading.discard()
        finally:
            shutil.rmtree(desk, ignore_errors=True)

    def find(self, uid: str, sees_only: str | None) -> Kept:
        """Return a draft, which then is kept for longer; NotFoundError where there is none, or it is another's."""
        folder = self._folder / uid
        about = _about(folder)
        if about is None or sees_only not in {None, about.owner}:
            raise _gone()
        self._touch(folder)
        return Kept(folder, about)

    def delete(self, uid: str, sees_only: str | None) -> None:
        """Forget a draft."""
        shutil.rmtree(self.find(uid, sees_only).folder, ignore_errors=True)

    def sweep(self) -> None:
        """Forget those whose end has come."""
        ended_at = self._parts.clock() - self._parts.settings.draft.keep_s
        for folder in self._folder.iterdir():
            if _used_at(folder) < ended_at:
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
        self._note(kept.folder, about)
        return Draft(
            id=kept.folder.name,
            kind=about.kind,
            filename=about.filename,
            bytes=kept.sheet.stat().st_size,
            expires_at=datetime.fromtimestamp(self._parts.clock() + self._parts.settings.draft.keep_s, UTC),
            counts=Places(reader.rows, sampled.places, sampled.unique),
            table=reading.glance(kept.sheet),
            faults=reader.faults.listed,
            fault_count=reader.faults.total,
            warnings=reader.warnings.listed,
            warning_count=reader.warnings.total,
            pictures=about.pictures,
        )

    def _note(self, folder: Path, about: About) -> None:
        part = folder / f"about-{secrets.token_hex(4)}"
        part.write_bytes(msgspec.json.encode(about))
        part.replace(folder / _ABOUT)
        self._touch(folder)

    def _touch(self, folder: Path) -> None:
        now = self._parts.clock()
        os.utime(folder / _ABOUT, (now, now))

    def _make_room(self, owner: str) -> None:
        """Forget an owner's oldest drafts where a further one would be too many."""
        own = [folder for folder in self._folder.iterdir() if (about := _about(folder)) and about.owner == owner]
        own.sort(key=_used_at, reverse=True)
        for folder in own[self._parts.settings.draft.per_owner - 1 :]:
            shutil.rmtree(folder, ignore_errors=True)


def _about(folder: Path) -> About | None:
    try:
        return msgspec.json.decode((folder / _ABOUT).read_bytes(), type=About)
    except FileNotFoundError:
        return None


def _used_at(folder: Path) -> float:
    """Return when a draft was used last; of one that is being made, when that began."""
    for path in (folder / _ABOUT, folder):
        with contextlib.suppress(FileNotFoundError):
            return path.stat().st_mtime
    return 0.0


def _gone() -> NotFoundError:
    return NotFoundError("There is no such draft any more: send the sheet again.")
