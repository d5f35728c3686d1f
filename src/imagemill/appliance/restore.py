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
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from imagemill.appliance import parcel
from imagemill.appliance.parcel import Entry, Manifest, Tell, silent
from imagemill.core.errors import BackupError
from imagemill.db import Store, inspect, open_database
from imagemill.storage import LOOK_S, Folders, LocalStorage, exchange, local_folder, locked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imagemill.settings import Settings

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
        message = (
            "a backup has a database of its own: restore it without database.url, then move it by `imagemill migrate`;"
            " what pg_dump has made is put back by pg_restore"
        )
        raise BackupError(message)
    folders = Folders(Path(os.path.normpath(Path(settings.data_dir).absolute())))
    with _archive(file) as archive:
        manifest = checked_manifest(archive)
        folders.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(folders.lock, LOOK_S), _unpacking(folders) as part:
            _check_place(folders.root, replaces=replaces)
            _check_room(folders.root, manifest, settings.disk_reserve_mb << 20)
            _unpack_all(archive, manifest, part, tell)
            again = _settled(part, folders.root, settings)
            aside = exchange.new_aside(folders.root)
            _give_to_owner(folders.root)
            if hasattr(os, "sync"):
                os.sync()  # once for all files, however many
            has_aside = exchange.decide(aside)
    restored = folders.root / parcel.SETTINGS
    settings_file = str(restored) if restored.is_file() else None
    return Restored(manifest=manifest, again=again, settings=settings_file, aside=str(aside) if has_aside else None)


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


def _check_place(root: Path, *, replaces: bool) -> None:
    present = exchange.present(root)
    if present and not replaces:
        message = f"{root} is not empty: name another --data-dir, or move what is there aside by --force"
        raise BackupError(message)
    for each in present:
        if each.is_mount():
            message = f"{each} is a disk of its own, and cannot be moved aside: name another --data-dir"
            raise BackupError(message)


@contextmanager
def _unpacking(folders: Folders) -> Iterator[Path]:
    folders.running.unlink(missing_ok=True)  # of a process that was killed
    exchange.finish_exchange(folders.root)
    part = folders.root / exchange.READY
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


def _settled(part: Path, root: Path, settings: Settings) -> int:
    """Bring the database to our schema, and have what has no picture made again; return how many images that is."""
    unpacked = Folders(part)
    soundness = inspect(unpacked.database)
    if soundness.faults:
        message = f"the database of the backup is damaged: {soundness.faults[0]}. Nothing was changed"
        raise BackupError(message)
    store = Store(open_database(unpacked.database))
    try:
        outputs = _outputs(part, root, settings)
        if outputs is None:
            return 0  # in S3 the appliance itself looks, a few at a time
        if outputs != unpacked.outputs and unpacked.outputs.is_dir():
            _adopt_all(unpacked.outputs, outputs, root)
        return _lost(store, LocalStorage(outputs))
    finally:
        store.close()


def _outputs(part: Path, root: Path, settings: Settings) -> Path | None:
    """Return where the outputs are to be: what lies in the data folder, under whatever name, moves with the rest."""
    outputs = local_folder(settings.storage, Folders(root).outputs)
    if outputs is None:
        return None
    for place, above in ((Path(os.path.normpath(outputs)), root), (outputs.resolve(), root.resolve())):
        if place.is_relative_to(above):
            return part / place.relative_to(above)
    return outputs


def _adopt_all(unpacked: Path, outputs: Path, root: Path) -> None:
    shelf = unpacked.replace(unpacked.with_name(".shelf"))  # out of the way: they may be to lie inside of it
    made = [place for place in (outputs, *outputs.parents) if not place.exists()]
    storage = LocalStorage(outputs)
    for name in list(LocalStorage(shelf).names()):
        storage.adopt(name, shelf / name[:2] / name)
        _give(root, outputs / name[:2], outputs / name[:2] / name)
    _give(root, *made)
    shutil.rmtree(shelf)


def _lost(store: Store, storage: LocalStorage) -> int:
    again, last = 0, 0
    while True:
        names, last = store.outputs_after(last, _PAGE)
        if missing := storage.missing(names):
            again += store.lose_outputs(missing)
        if not last:
            return again


def _give_to_owner(root: Path) -> None:
    """Leave nothing to root in the folder of another user, who could not read it."""
    for folder, folders, files in os.walk(root):
        _give(root, *(Path(folder, name) for name in (*folders, *files)))


def _give(root: Path, *places: Path) -> None:
    owner = root.stat()
    if os.name != "posix" or os.geteuid() != 0 or owner.st_uid == 0:
        return
    for place in places:
        with suppress(FileNotFoundError):
            os.chown(place, owner.st_uid, owner.st_gid, follow_symlinks=False)
