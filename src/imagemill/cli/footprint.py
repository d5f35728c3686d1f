"""What a run leaves on the disk: files that are whole or absent, and nothing where the sheet was refused."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click


class Footprint:
    """The folders a run makes, until `keep` says they are worth keeping."""

    def __init__(self, folder: Path) -> None:
        self._made = [path for path in (folder, *folder.parents) if not path.exists()]

    def keep(self) -> None:
        """The sheet was accepted: from now on a later run continues here."""
        self._made = []

    def clear(self) -> None:
        """Remove what was made: the innermost folders whole, those around them as far as they are empty."""
        for path in self._made[:2]:
            shutil.rmtree(path, ignore_errors=True)
        for path in self._made[2:]:
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()


@contextmanager
def undone_unless_kept(state: Path) -> Iterator[Footprint]:
    """Make way for `state`, a folder inside the images folder; on the way out remove what was not kept."""
    footprint = Footprint(state)
    try:
        yield footprint
    finally:
        footprint.clear()


def is_stream(target: str) -> bool:
    """Say whether this is standard output, a pipe or a device: something that is written to, and never replaced."""
    return target == "-" or (Path(target).exists() and not Path(target).is_file())


def write_whole(target: str, chunks: Iterable[bytes]) -> None:
    """Write a file that appears when it is complete, in place of an earlier one; `-` is standard output."""
    if is_stream(target):
        with click.open_file(target, "wb") as stream:
            stream.writelines(chunks)
        return
    path = Path(target)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        _write(beside, chunks)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _write(path: Path, chunks: Iterable[bytes]) -> None:
    with path.open("wb") as file:
        file.writelines(chunks)
        file.flush()
        os.fsync(file.fileno())
