"""Making a backup, also while the appliance runs: what could not be made again, and with `outputs` the pictures too.

The order is what makes it whole. Sheets and uploads are there before the rows that speak of them, and go after these:
so they are copied before the database, and again what came meanwhile. A job that was deleted in between is deleted in
the copy too. Kept originals and pictures come last: of these the copy may know some that are gone, and those are made
again, or not know some that are newer, and those are removed.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import zipfile
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from imagemill import __version__
from imagemill.appliance import parcel
from imagemill.appliance.parcel import Entry, Manifest, Tell, silent
from imagemill.core.errors import BackupError
from imagemill.db import copy_database, forget_jobs, inspect, job_counts
from imagemill.settings import as_toml
from imagemill.storage import Folders, LocalStorage, exchange, flush_folder, local_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imagemill.settings import Loaded, Settings

_PIECE: Final = 1 << 20
_SMALL: Final = 1 << 31
"""From here on a ZIP entry's size takes eight bytes."""


def make_backup(loaded: Loaded, target: Path, *, has_outputs: bool, tell: Tell = silent) -> Manifest:
    """Write a new file, mode 0600: it has the token and every secret. It is there when it is whole, or not at all."""
    folders = Folders(Path(loaded.settings.data_dir))
    outputs = local_folder(loaded.settings.storage, folders.outputs)
    _check(loaded.settings, folders, target)
    if has_outputs and outputs is None:
        message = "outputs are kept in S3, which is backed up by its own means: leave --outputs away"
        raise BackupError(message)
    with _beside(target) as scratch:
        packed = scratch / "packed"
        descriptor = os.open(packed, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            with zipfile.ZipFile(file, "w") as archive:
                manifest = _packed(Packing(archive, tell), scratch, loaded, folders, outputs if has_outputs else None)
            file.flush()
            os.fsync(file.fileno())
        packed.replace(target)
    flush_folder(target.absolute().parent)
    return manifest


def _check(settings: Settings, folders: Folders, target: Path) -> None:
    if settings.database.url is not None:
        message = (
            "the database is on PostgreSQL, which is backed up by its own means, also while imagemill works: first"
            " pg_dump, then the pictures; docs/operations.md says how, and how to put them back"
        )
        raise BackupError(message)
    if exchange.is_half_exchanged(folders.root):
        message = f"a restore into {folders.root} was broken off: start imagemill, which finishes it, and try again"
        raise BackupError(message)
    if not folders.database.is_file():
        message = f"there is nothing to back up in {folders.root}: name the data folder by --data-dir"
        raise BackupError(message)
    if target.exists():
        message = f"{target} exists already: name a new file, or move the old one away"
        raise BackupError(message)


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    parent = target.absolute().parent
    with tempfile.TemporaryDirectory(dir=parent, prefix=".imagemill-backup-") as scratch:
        yield Path(scratch)


def _packed(packing: Packing, scratch: Path, loaded: Loaded, folders: Folders, outputs: Path | None) -> Manifest:
    packing.add_sent(folders)
    copy = scratch / parcel.DATABASE
    copy_database(folders.database, copy)
    packing.add_sent(folders)
    soundness = inspect(copy)
    if soundness.faults:
        message = f"{folders.database} is damaged ({soundness.faults[0]}): a backup of it would be too"
        raise BackupError(message)
    forget_jobs(copy, keep=packing.sheets)
    packing.add_stored("sources/images", folders.sources)
    if outputs is not None:
        packing.add_stored(parcel.OUTPUTS, outputs)
    packing.add(parcel.DATABASE, copy)
    packing.add(parcel.TOKEN, folders.token)
    packing.add_text(parcel.SETTINGS, as_toml(loaded, is_masked=False, left_out=frozenset({"data_dir"})))
    jobs, unfinished = job_counts(copy)
    manifest = Manifest(
        format=parcel.FORMAT,
        version=__version__,
        schema=soundness.schema,
        created_at=datetime.now(UTC),
        jobs=jobs,
        unfinished=unfinished,
        has_outputs=outputs is not None,
        files=packing.files,
    )
    packing.close(manifest)
    return manifest


class Packing:
    """An archive on its way: what is in it, with its sum."""

    def __init__(self, archive: zipfile.ZipFile, tell: Tell) -> None:
        self._archive = archive
        self._tell = tell
        self._bytes = 0
        self._names: set[str] = set()
        self.files: list[Entry] = []

    @property
    def sheets(self) -> set[str]:
        """The ids of the jobs whose sheets are in it."""
        return {name.rpartition("/")[2] for name in self._names if name.startswith("sources/sheets/")}

    def add(self, name: str, path: Path) -> None:
        """Add a file once; one that has gone meanwhile is left out."""
        if name in self._names:
            return
        try:
            source = path.open("rb")
        except FileNotFoundError:
            return
        with source:
            size = os.fstat(source.fileno()).st_size
            with self._archive.open(self._info(name), "w", force_zip64=size >= _SMALL) as target:
                digest = hashlib.sha256()
                size = 0
                while data := source.read(_PIECE):
                    digest.update(data)
                    target.write(data)
                    size += len(data)
        self._note(Entry(name, size, digest.hexdigest()))

    def add_text(self, name: str, text: str) -> None:
        """Add a text."""
        data = text.encode()
        self._archive.writestr(self._info(name), data)
        self._note(Entry(name, len(data), hashlib.sha256(data).hexdigest()))

    def add_sent(self, folders: Folders) -> None:
        """Add what clients sent; the uploads of a job before its sheet: who has the sheet has them all."""
        for uid in sorted({*_names(folders.sheets), *_names(folders.uploads)}):
            for name in _names(folders.uploads / uid):
                self._add_ours(f"sources/uploads/{uid}/{name}", folders.uploads / uid / name)
            self._add_ours(f"sources/sheets/{uid}", folders.sheets / uid)

    def add_stored(self, prefix: str, folder: Path) -> None:
        """Add the files of a local storage."""
        if not folder.is_dir():
            return
        for name in LocalStorage(folder).names():
            self._add_ours(f"{prefix}/{name[:2]}/{name}", folder / name[:2] / name)

    def _add_ours(self, name: str, path: Path) -> None:
        """Add a file unless somebody else put it there."""
        if parcel.is_ours(name):
            self.add(name, path)

    def close(self, manifest: Manifest) -> None:
        """Say at the end what is in it."""
        self._archive.writestr(parcel.MANIFEST, msgspec.json.encode(manifest), zipfile.ZIP_DEFLATED)

    def _note(self, entry: Entry) -> None:
        self._names.add(entry.name)
        self.files.append(entry)
        self._bytes += entry.bytes
        self._tell(len(self.files), self._bytes)

    def _info(self, name: str) -> zipfile.ZipInfo:
        info = zipfile.ZipInfo(name, datetime.now(UTC).timetuple()[:6])
        info.external_attr = 0o100600 << 16
        is_packed = name.startswith(("sources/images/", "sources/uploads/", f"{parcel.OUTPUTS}/"))
        info.compress_type = zipfile.ZIP_STORED if is_packed else zipfile.ZIP_DEFLATED
        return info


def _names(folder: Path) -> list[str]:
    """Return what is in a folder; one that is not there, or goes just now, has nothing."""
    try:
        return sorted(path.name for path in folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
