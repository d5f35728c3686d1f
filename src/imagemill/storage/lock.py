"""One appliance per data folder: two would hand out the same images."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Final

from imagemill.core.errors import StartError
from imagemill.storage.exchange import finish_exchange

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from imagemill.storage.folders import Folders

if os.name == "nt":
    import msvcrt

    def _take(file: IO[bytes]) -> None:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]

    def _look(file: IO[bytes]) -> None:
        _take(file)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)  # type: ignore[attr-defined,unused-ignore]
else:
    import fcntl

    def _take(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _look(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)


LOOK_S: Final = 1.0
"""Who looks whether a lock is held has it himself for a moment: whoever wants it tries so long."""


@contextmanager
def locked(path: Path, patience_s: float = 0.0) -> Iterator[None]:
    """Hold the lock of a data folder; the system lets go of it when the process ends, however it ends."""
    with path.open("ab") as file:
        try:
            _take_within(file, patience_s)
        except OSError as error:
            message = f"another imagemill uses the folder {path.parent}: stop it, or give this one its own --data-dir"
            raise StartError(message) from error
        yield


def is_held(path: Path) -> bool:
    """Say whether a process that lives holds a lock; one that may not be looked at counts as free."""
    try:
        file = path.open("rb")
    except OSError:
        return False
    with file:
        try:
            _look(file)
        except OSError:
            return True
    return False


@contextmanager
def held(folders: Folders) -> Iterator[bool]:
    """Make a data folder and hold its lock; say whether a restore had been broken off there, which is finished now."""
    folders.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(folders.lock, LOOK_S):
        folders.running.unlink(missing_ok=True)  # of a process that was killed: what is announced is the holder's
        is_finished = finish_exchange(folders.root)
        folders.make()
        yield is_finished


def _take_within(file: IO[bytes], patience_s: float) -> None:
    end_s = time.monotonic() + patience_s
    while True:
        try:
            return _take(file)
        except OSError:
            if time.monotonic() >= end_s:
                raise
        time.sleep(0.01)
