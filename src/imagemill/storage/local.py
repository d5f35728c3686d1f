"""Local disk: written beside, flushed, renamed; 256 sub-folders by the first two digits of the name."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from imagemill.storage.base import CHUNK_BYTES, Opened, checked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

_PART = ".part"
_SHARD = 2


class LocalStorage:
    """A folder of files that are whole or absent, also after a power cut (contract: `base.Storage`)."""

    is_durable = False
    """`adopt` leaves the folder to the system."""

    def __init__(self, root: Path, spool: Path | None = None) -> None:
        """What `put` is killed at is left in the spool, which is emptied, or beside, where that is on another disk."""
        self._root = root
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        is_near = spool is not None and spool.stat().st_dev == root.stat().st_dev
        self._spool = spool if is_near else None

    def put(self, name: str, data: bytes | Path) -> None:
        """Store under a name."""
        place = self._place(name)
        _make(place.parent)
        part = (self._spool or place.parent) / f"{name}.{uuid.uuid4().hex}{_PART}"
        try:
            _write(part, data)
            part.replace(place)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        flush_folder(place.parent)

    def adopt(self, name: str, file: Path) -> None:
        """Move a file in. Its folder is not flushed for each: what the power may take with it, `recover` misses."""
        # By strings, as `has`: three Paths cost as much as the move itself.
        place = f"{self._root}/{checked(name)[:_SHARD]}/{name}"
        try:
            _move(file, place)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            self.put(name, file)
            file.unlink()

    def settle(self) -> None:
        """Change a trifle and flush it: a journal keeps what came before in order, even on a disk that is full."""
        os.utime(self._root)
        flush_folder(self._root)

    def has(self, name: str) -> bool:
        """Say whether a file of that name is there."""
        # Asked of every picture of a run at once: 5 µs, and 11 by way of a Path. A disk that cannot be read raises:
        # `os.path.isfile` would say that all is lost.
        try:
            found = os.stat(f"{self._root}/{checked(name)[:_SHARD]}/{name}")  # noqa: PTH116
        except (FileNotFoundError, NotADirectoryError):
            return False
        return stat.S_ISREG(found.st_mode)

    def missing(self, names: Iterable[str]) -> list[str]:
        """Look for each."""
        return [name for name in dict.fromkeys(names) if not self.has(name)]

    def size(self, name: str) -> int:
        """Return the size of the file."""
        return self._place(name).stat().st_size

    def open(self, name: str, span: range | None = None) -> Opened:
        """Open the file."""
        file = self._place(name).open("rb")
        size = os.fstat(file.fileno()).st_size
        return Opened(size, _chunks(file, range(size) if span is None else span))

    def path(self, name: str) -> Path | None:
        """Return the file of a name."""
        place = self._place(name)
        return place if place.is_file() else None

    def url(self, name: str) -> str | None:
        """Know no address."""
        checked(name)
        return None

    def delete(self, *names: str) -> None:
        """Remove the files."""
        for place in [self._place(name) for name in names]:
            place.unlink(missing_ok=True)

    def names(self) -> Iterator[str]:
        """Walk the sub-folders."""
        for folder in self._root.iterdir():
            if len(folder.name) == _SHARD and folder.is_dir():
                yield from (file.name for file in folder.iterdir() if file.suffix != _PART)

    def check(self) -> None:
        """Look into the folder; whether there is room is asked elsewhere."""
        next(self._root.iterdir(), None)

    def _place(self, name: str) -> Path:
        return self._root / checked(name)[:_SHARD] / name


def _chunks(file: BinaryIO, span: range) -> Iterator[bytes]:
    """Read some at a time; a file that got shorter is an error: ended early, it would look whole."""
    with file:
        file.seek(span.start)
        left = len(span)
        while left:
            chunk = file.read(min(left, CHUNK_BYTES))
            if not chunk:
                message = "the file ended before its size"
                raise EOFError(message)
            left -= len(chunk)
            yield chunk


def _move(file: Path, place: str) -> None:
    try:
        os.replace(file, place)  # noqa: PTH105
    except FileNotFoundError:
        Path(place).parent.mkdir(mode=0o700, exist_ok=True)
        os.replace(file, place)  # noqa: PTH105


def _make(shard: Path) -> None:
    try:
        shard.mkdir(mode=0o700)
    except FileExistsError:
        return
    flush_folder(shard.parent)


def _write(part: Path, data: bytes | Path) -> None:
    with part.open("xb") as file:
        if isinstance(data, bytes):
            file.write(data)
        else:
            with data.open("rb") as source:
                shutil.copyfileobj(source, file, 1 << 20)
        file.flush()
        os.fsync(file.fileno())


def flush_folder(folder: Path) -> None:
    """Put a folder's entries on the disk: without it a rename may be lost with the power (fsync(2), Linux)."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
