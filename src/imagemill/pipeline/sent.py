"""What clients sent, where this machine finds it: in its data folder, or fetched from the database it shares.

A machine that took a sheet in has its file. Another that needs it fetches it once; its copy goes when the job does.
"""

from __future__ import annotations

import secrets
import shutil
import time
from itertools import chain
from typing import TYPE_CHECKING, Final

from imagemill.db.sent import PIECE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from imagemill.pipeline.parts import Parts
    from imagemill.storage import Storage

_COPY_S: Final = 3600.0


def share(parts: Parts, uid: str) -> None:
    """Give others what a new job's client sent, before its rows speak of it."""
    if not parts.store.is_shared:
        return
    parts.store.keep_sent(uid, "", pieces(parts.folders.sheets / uid))
    uploads = parts.folders.uploads / uid
    for path in sorted(uploads.iterdir()) if uploads.is_dir() else ():
        parts.store.keep_sent(uid, path.name, pieces(path))


def forget(parts: Parts, uid: str) -> None:
    """Forget what a job's client sent, here and where others find it."""
    parts.folders.forget(uid)
    if parts.store.is_shared:
        parts.store.forget_sent(uid)


def share_draft(parts: Parts, uid: str) -> None:
    """Give others the sheet of a draft."""
    if parts.store.is_shared:
        parts.store.keep_sent(uid, "", pieces(parts.folders.draft(uid)))


def draft(parts: Parts, uid: str) -> Path | None:
    """Return the file of a draft's sheet; None where there is none."""
    return _here(parts, parts.folders.draft(uid), uid, "")


def forget_draft(parts: Parts, uid: str) -> None:
    """Forget a draft's sheet and pictures, here and where others find it."""
    shutil.rmtree(parts.folders.draft(uid).parent, ignore_errors=True)
    if parts.store.is_shared:
        parts.store.forget_sent(uid)


def forget_upload(parts: Parts, uid: str, sha256: str) -> None:
    """Forget one image."""
    (parts.folders.uploads / uid / sha256).unlink(missing_ok=True)
    if parts.store.is_shared:
        parts.store.forget_sent(uid, sha256)


def sheet(parts: Parts, uid: str) -> Path | None:
    """Return the file of a job's sheet; None where there is none."""
    return _here(parts, parts.folders.sheets / uid, uid, "")


def upload(parts: Parts, uid: str, sha256: str) -> Path | None:
    """Return the file of an image that was sent with a job; None where there is none."""
    return _here(parts, parts.folders.uploads / uid / sha256, uid, sha256)


def forget_copies(parts: Parts) -> None:
    """Remove what is kept here of jobs that other machines have removed. Not what is just coming in."""
    if not parts.store.is_shared:
        return
    old = [uid for uid in parts.folders.sent() if _age_s(parts, uid) > _COPY_S]
    for uid in parts.store.unknown_jobs(old):
        parts.folders.forget(uid)


def _age_s(parts: Parts, uid: str) -> float:
    places = (parts.folders.sheets / uid, parts.folders.uploads / uid)
    return time.time() - max((place.stat().st_mtime for place in places if place.exists()), default=time.time())


def _here(parts: Parts, path: Path, uid: str, name: str) -> Path | None:
    if path.is_file():
        return path
    return _fetched(parts, path, uid, name) if parts.store.is_shared else None


def _fetched(parts: Parts, path: Path, uid: str, name: str) -> Path | None:
    pieces = parts.store.sent(uid, name)
    first = next(pieces, None)
    if first is None:
        return None
    part = _spooled(parts, chain([first], pieces))
    path.parent.mkdir(mode=0o700, exist_ok=True)
    return part.replace(path)


def copied(parts: Parts, storage: Storage, name: str) -> Path | None:
    """Return a copy of what is stored elsewhere, which goes with the spool's other leavings; None where nothing is."""
    try:
        return _spooled(parts, storage.open(name).chunks)
    except FileNotFoundError:
        return None


def _spooled(parts: Parts, pieces: Iterable[bytes]) -> Path:
    part = parts.folders.spool / f"sent-{secrets.token_hex(8)}"
    with parts.room.watched(), part.open("xb") as file:
        file.writelines(pieces)
    return part


def pieces(path: Path) -> Iterator[bytes]:
    """Return a file in pieces that a row takes, one at least."""
    with path.open("rb") as file:
        yield file.read(PIECE_BYTES)  # also of an empty one
        while piece := file.read(PIECE_BYTES):
            yield piece
