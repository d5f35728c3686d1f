"""Restoring a backup: everything is unpacked and checked beside, then put in place; what was there is moved aside.

The archive is read as if a stranger had made it: only names of ours, only what the manifest says, in size and sum.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import zipfile
import zlib
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from imagemill.appliance import parcel
from imagemill.appliance.parcel import Entry, Manifest, Tell, silent
from imagemill.core.errors import BackupError
from imagemill.db import Store, inspect, open_database
from imagemill.storage import Folders, LocalStorage, flush_folder, local_folder, locked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imagemill.settings import Settings

ASIDE: Final = "before-restore-"
_PART: Final = ".restoring"
_PIECE: Final = 1 << 20
_MANIFEST_BYTES: Final = 512 << 20
_PAGE: Final = 1000
_METHODS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_BROKEN: Final = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)
"""What zipfile says of archives that are cut off, changed, locked or made with bad intent."""


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it: `again` counts images whose pictures were not there, and which are made again."""

    manifest: Manifest
    again: int
    settings: str | None
    aside: str | None


def restore(file: Path, settings: Settings, *, replaces: bool = False, tell: Tell = silent) -> Restored:
    """Put a backup where an appliance with these settings looks for its things. BackupError, and nothing is changed.

    With `replaces` what is there is moved into a folder of its own. StartError while an appliance uses the folder.
    """
    if settings.database.url is not None:
        message = "a backup has a database of its own: restore it without database.url, or by pg_restore"
        raise BackupError(message)
    folders = Folders(Path(settings.data_dir))
    with _archive(file) as archive:
        manifest = checked_manifest(archive)
        folders.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(folders.lock), _unpacking(folders.root) as part:
            present = _present(folders.root)
            if present and not replaces:
                message = (
                    f"{folders.root} is not empty: name another --data-dir, or move what is there aside by --force"
                )
                raise BackupError(message)
            _check_room(folders.root, manifest, settings.disk_reserve_mb << 20)
            _unpack_all(archive, manifest, part, tell)
            again = _settled(part, settings)
            aside = _moved_aside(folders.root, present)
            _put_in_place(part, folders.root)
            _give_to_owner(folders.root)
    restored = folders.root / parcel.SETTINGS
    settings_file = str(restored) if restored.is_file() else None
    return Restored(manifest=manifest, again=again, settings=settings_file, aside=str(aside) if aside else None)


@contextmanager
def _archive(file: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(file) as archive:
            yield archive
    except _BROKEN as error:
        message = f"{file} is no whole backup of imagemill: {str(error) or type(error).__name__}. Nothing was changed"
        raise BackupError(message, cause=repr(error)) from error


def checked_manifest(archive: zipfile.ZipFile) -> Manifest:
    """Return what a backup says of itself, after holding it against the archive's own list (BackupError)."""
    try:
        with archive.open(parcel.MANIFEST) as file:
            manifest = msgspec.json.decode(file.read(_MANIFEST_BYTES), type=Manifest)
    except (KeyError, msgspec.MsgspecError) as error:
        message = f"{archive.filename} is no backup that this imagemill can read: it has no manifest of ours"
        raise BackupError(message, cause=repr(error)) from error
    if manifest.format != parcel.FORMAT:
        message = (
            f"{archive.filename} was made by imagemill {manifest.version}: restore it with that one, or a newer one"
        )
        raise BackupError(message)
    _check_names(archive, manifest)
    return manifest


def _check_names(archive: zipfile.ZipFile, manifest: Manifest) -> None:
    said = {entry.name: entry.bytes for entry in manifest.files}
    found = [info for info in archive.infolist() if info.filename != parcel.MANIFEST]
    strange = [name for name in said if not parcel.is_ours(name)]
    is_same = len(said) == len(manifest.files) == len(found) and said == {
        info.filename: info.file_size for info in found
    }
    if (
        strange
        or not is_same
        or parcel.DATABASE not in said
        or any(info.compress_type not in _METHODS for info in found)
    ):
        message = f"{archive.filename} has other files than a backup has: it is damaged, or none of ours"
        raise BackupError(message, cause=", ".join(strange[:3]))


def _present(root: Path) -> list[Path]:
    """Return what somebody would miss."""
    return [each for each in root.iterdir() if each.name not in {"lock", _PART} and not each.name.startswith(ASIDE)]


@contextmanager
def _unpacking(root: Path) -> Iterator[Path]:
    part = root / _PART
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(mode=0o700)
    try:
        yield part
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _check_room(root: Path, manifest: Manifest, reserve_bytes: int) -> None:
    needed, free = manifest.file_bytes + reserve_bytes, shutil.disk_usage(root).free
    if needed > free:
        message = (
            f"there is no room in {root}: {needed >> 20} MiB are needed with the reserve, {free >> 20} MiB are free"
        )
        raise BackupError(message)


def _unpack_all(archive: zipfile.ZipFile, manifest: Manifest, part: Path, tell: Tell) -> None:
    unpacked_bytes = 0
    for number, entry in enumerate(manifest.files, 1):
        _unpack(archive, entry, part / entry.name)
        unpacked_bytes += entry.bytes
        tell(number, unpacked_bytes)


def _unpack(archive: zipfile.ZipFile, entry: Entry, target: Path) -> None:
    _make_folders(target.parent)
    digest = hashlib.sha256()
    left = entry.bytes
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file, archive.open(entry.name) as source:
        while left and (data := source.read(min(left, _PIECE))):
            digest.update(data)
            file.write(data)
            left -= len(data)
        is_longer = bool(source.read(1))
    if left or is_longer or digest.hexdigest() != entry.sha256:
        message = f"{archive.filename} is damaged: {entry.name} is not what was backed up. Nothing was changed"
        raise BackupError(message)


def _make_folders(folder: Path) -> None:
    if not folder.is_dir():
        _make_folders(folder.parent)
        folder.mkdir(mode=0o700)


def _settled(part: Path, settings: Settings) -> int:
    """Bring the database to our schema, and have what has no picture made again; return how many images that is."""
    unpacked = Folders(part)
    soundness = inspect(unpacked.database)
    if soundness.faults:
        message = f"the database of the backup is damaged: {soundness.faults[0]}. Nothing was changed"
        raise BackupError(message)
    store = Store(open_database(unpacked.database))
    try:
        outputs = local_folder(settings.storage, unpacked.outputs)
        if outputs is None:
            return 0  # in S3 the appliance itself looks, a few at a time
        storage = LocalStorage(outputs)
        if outputs != unpacked.outputs and unpacked.outputs.is_dir():
            for name in list(LocalStorage(unpacked.outputs).names()):
                storage.adopt(name, unpacked.outputs / name[:2] / name)
        return _lost(store, storage)
    finally:
        store.close()


def _lost(store: Store, storage: LocalStorage) -> int:
    again, last = 0, 0
    while True:
        names, last = store.outputs_after(last, _PAGE)
        if missing := storage.missing(names):
            again += store.lose_outputs(missing)
        if not last:
            return again


def _moved_aside(root: Path, present: list[Path]) -> Path | None:
    if not present:
        return None
    aside = root / f"{ASIDE}{datetime.now(UTC):%Y%m%d-%H%M%S-%f}"
    aside.mkdir(mode=0o700)
    for each in present:
        each.replace(aside / each.name)
    return aside


def _put_in_place(part: Path, root: Path) -> None:
    if hasattr(os, "sync"):
        os.sync()  # once for all files, however many
    # The database last: without it the folder is seen to be half restored.
    for each in sorted(part.iterdir(), key=lambda path: path.name == parcel.DATABASE):
        each.replace(root / each.name)
    flush_folder(root)


def _give_to_owner(root: Path) -> None:
    """Leave nothing to root in the folder of another user, who could not read it."""
    if os.name != "posix" or os.geteuid() != 0 or root.stat().st_uid == 0:
        return
    owner = root.stat()
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            with suppress(FileNotFoundError):
                os.chown(Path(folder, name), owner.st_uid, owner.st_gid, follow_symlinks=False)
