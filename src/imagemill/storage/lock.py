"""One appliance per data folder: two would hand out the same images."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

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
else:
    import fcntl

    def _take(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a data folder; the system lets go of it when the process ends, however it ends."""
    with path.open("ab") as file:
        try:
            _take(file)
        except OSError as error:
            message = f"another imagemill uses the folder {path.parent}: stop it, or give this one its own --data-dir"
            raise StartError(message) from error
        yield


@contextmanager
def held(folders: Folders) -> Iterator[bool]:
    """Make a data folder and hold its lock; say whether a restore had been broken off there, which is finished now."""
    folders.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(folders.lock):
        is_finished = finish_exchange(folders.root)
        folders.make()
        yield is_finished
