"""Which file of this machine becomes which: folders keep their structure, and no source is ever written over."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Final

import click
import msgspec

from imagemill.core.keys import EXTENSIONS

_FORMATS: Final = {".jpg": "jpeg", ".jpeg": "jpeg", ".jpe": "jpeg", ".jfif": "jpeg", ".tif": "tiff"} | {
    f".{name}": name for name in EXTENSIONS
}
"""What a file's name says that it is; what it is, its bytes say later."""


class Pair(msgspec.Struct, frozen=True):
    """A source, and where its outputs go: `place` has the source's own name."""

    source: Path
    place: Path

    def output(self, name: str, image_format: str) -> Path:
        """Return where an output goes: under the source's name, with another ending where its format is another."""
        suffix = self.place.suffix
        if _FORMATS.get(suffix.lower()) != image_format:
            suffix = f".{EXTENSIONS[image_format]}"
        part = "" if name == "image" else f"-{name}"
        return self.place.with_name(f"{self.place.stem}{part}{suffix}")


def pairs_of(given: Iterable[Path], target: Path, formats: Collection[str]) -> list[Pair]:
    """Return what to compress: files as they are named, folders with all below them that look like pictures.

    A folder's name is kept, as `cp -r` does, but that of `.`. UsageError where two would have one name, or a source
    would be written over.
    """
    pairs = [pair for path in given for pair in _pairs(path, target, formats)]
    if not pairs:
        raise click.UsageError(f"there is no picture in that: name files, or folders with {', '.join(formats)}")
    _check(pairs)
    return pairs


def _pairs(path: Path, target: Path, formats: Collection[str]) -> Iterator[Pair]:
    if not path.is_dir():
        yield Pair(path, target / path.name)
        return
    name = "" if path.name in {"", ".."} else path.name
    for source in _walk(path, target.absolute()):
        if _FORMATS.get(source.suffix.lower()) in formats:
            yield Pair(source, target / name / source.relative_to(path))


def _walk(folder: Path, without: Path) -> Iterator[Path]:
    """Yield the files below a folder in order; no hidden ones, and none of the folder that is written to."""
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and Path(root, name).absolute() != without
        )
        yield from (Path(root, name) for name in sorted(files) if not name.startswith("."))


def _check(pairs: list[Pair]) -> None:
    sources = {os.path.realpath(pair.source) for pair in pairs}
    taken: dict[str, Path] = {}
    for pair in pairs:
        if os.path.realpath(pair.place) in sources:
            raise click.UsageError(f"{pair.place} is a source: name another folder by -o")
        # Some systems hold a.JPG and A.jpg for one.
        other = taken.setdefault(str(pair.place).casefold(), pair.source)
        if other != pair.source:
            raise click.UsageError(
                f"{other} and {pair.source} would both become {pair.place}: name a folder that has both, or run twice"
            )
