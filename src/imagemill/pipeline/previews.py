"""Previews: one of a draft's own pictures, as it is and as a recipe would make it, before there is a job.

A source is fetched as for a job, with its limits and politeness, and stays with the draft, so that another quality
costs only the compressing. So many are made at a time, and one of each draft. A client may also send a picture of its
own to be tried: that is not kept at all.
"""

from __future__ import annotations

import hashlib
import secrets
import shutil
import threading
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from imagemill.budget import Budget
from imagemill.core.errors import (
    ImageCode,
    ImageError,
    NotFoundError,
    PictureError,
    TooManyRequestsError,
)
from imagemill.core.job import Count
from imagemill.fetch import kept as kept_source
from imagemill.imaging.sniff import sniff
from imagemill.pipeline.image_intake import nothing_sent
from imagemill.pool import PoolClosed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from imagemill.core.recipe import Recipe
    from imagemill.fetch import Fetched
    from imagemill.imaging.protocol import Compressed
    from imagemill.pipeline.drafts import Drafts, Kept
    from imagemill.pipeline.parts import Parts

_SOURCES: Final = 4
"""So many fetched sources stay with a draft."""
_HEAD_BYTES: Final = 4096
_MIB: Final = 1 << 20


class Shape(msgspec.Struct, frozen=True):
    """What a picture is: its bytes, format and sides in pixels."""

    bytes: Count
    format: str
    width: Count
    height: Count


class Preview(msgspec.Struct, frozen=True):
    """What became of a picture. `ssim` is how like its source it is, 1 for equal; null where it cannot be measured."""

    source: Shape
    output: Shape
    saved_percent: float
    ssim: float | None


class Previews:
    """Makes previews. PictureError says why a picture cannot be shown, TooManyRequestsError that others are first."""

    def __init__(self, parts: Parts, drafts: Drafts) -> None:
        self._parts = parts
        self._drafts = drafts
        self._places = Budget(parts.settings.draft.previews_at_once)
        self._turn = threading.Lock()  # guards the next
        self._busy: set[str] = set()

    def source(self, uid: str, number: int, sees_only: str | None) -> tuple[Path, str]:
        """Return the file of a draft's picture, counted from 0, and its format."""
        kept = self._drafts.find(uid, sees_only)
        with _shown():
            url, path = _place(kept, number)
            if not path.exists():
                with self._alone(uid):
                    self._fetch(url, path)
            with path.open("rb") as file:
                return path, sniff(file.read(_HEAD_BYTES), self._parts.settings.image.formats)

    def output(self, uid: str, number: int, recipe: Recipe, sees_only: str | None) -> tuple[Preview, bytes]:
        """Return what a recipe makes of a draft's picture; its thumbnails are not made."""
        kept = self._drafts.find(uid, sees_only)
        with self._alone(uid), _shown():
            url, path = _place(kept, number)
            if not path.exists():
                self._fetch(url, path)
            return self._made(path, recipe)

    def intake(self, place: ExitStack) -> PictureIntake:
        """Begin to take in a picture that a recipe is tried on; `place` is closed at the end."""
        return PictureIntake(self._parts, self._tried, place)

    def _tried(self, path: Path, recipe: Recipe) -> tuple[Preview, bytes]:
        with self._alone(path.name), _shown():
            return self._made(path, recipe)

    def _made(self, path: Path, recipe: Recipe) -> tuple[Preview, bytes]:
        source = kept_source(path, self._parts.folders.spool, "")
        try:
            return self._compressed(source, msgspec.structs.replace(recipe, thumbnails=()))
        finally:
            source.discard()

    @contextmanager
    def _alone(self, name: str) -> Iterator[None]:
        """Hold one of the places, and the draft's own."""
        with ExitStack() as places:
            with self._turn:
                if name in self._busy or not self._places.takes(1):
                    raise TooManyRequestsError("Another picture is being made: ask again in a moment.")
                self._busy.add(name)
            places.callback(self._places.give, 1)
            places.callback(self._busy.discard, name)
            yield

    def _fetch(self, url: str, path: Path) -> None:
        self._parts.room.check()
        fetched = self._parts.fetcher.fetch(url)
        try:
            self._store(fetched, path)
        finally:
            fetched.discard()

    def _store(self, fetched: Fetched, path: Path) -> None:
        limit = self._parts.settings.draft.max_picture_bytes
        if fetched.size > limit:
            detail = f"this picture has {fetched.size // _MIB} MiB; up to {limit // _MIB} are shown before a job"
            raise ImageError(ImageCode.TOO_LARGE, f"{detail}: choose another one")
        part = path.with_suffix(".part")
        with self._parts.room.watched():
            if isinstance(fetched.data, bytes):
                part.write_bytes(fetched.data)
            else:
                shutil.copyfile(fetched.data, part)
            part.replace(path)
        older = sorted(path.parent.glob("source-*"), key=lambda each: each.stat().st_mtime, reverse=True)
        for each in older[_SOURCES:]:
            each.unlink(missing_ok=True)

    def _compressed(self, source: Fetched, recipe: Recipe) -> tuple[Preview, bytes]:
        (result,) = self._parts.pool.compress_all([source.data], recipe, [0])
        if isinstance(result, ImageError):
            raise result
        made = result.outputs[0]
        try:
            data = Path(made.path).read_bytes()
        finally:
            Path(made.path).unlink(missing_ok=True)
        return _preview(source, result), data


class PictureIntake:
    """One picture on its way in: `begin`, `write` …, `end`, then `output`; `discard` at last, whatever came."""

    def __init__(self, parts: Parts, make: Callable[[Path, Recipe], tuple[Preview, bytes]], place: ExitStack) -> None:
        """Take over `place`."""
        self._room, self._make = parts.room, make
        self._path = parts.folders.spool / f"picture-{secrets.token_hex(8)}"
        self._file = self._path.open("xb")
        self._is_begun = False
        self._place = place.pop_all()

    def begin(self, filename: str) -> None:  # noqa: ARG002 - the shape of an intake of images
        """Begin the picture."""
        self._is_begun = True

    def write(self, data: bytes) -> None:
        """Take the next bytes."""
        with self._room.watched():
            self._file.write(data)

    def end(self) -> None:
        """The picture is whole."""
        with self._room.watched():
            self._file.close()

    def output(self, recipe: Recipe) -> tuple[Preview, bytes]:
        """Return what a recipe makes of it."""
        if not self._is_begun:
            raise nothing_sent()
        return self._make(self._path, recipe)

    def discard(self) -> None:
        """Leave nothing on the disk."""
        self._file.close()
        self._path.unlink(missing_ok=True)
        self._place.close()


def _place(kept: Kept, number: int) -> tuple[str, Path]:
    """Return the address of a draft's picture, and where its source lies once it is fetched."""
    if number >= len(kept.about.pictures):
        raise NotFoundError("This draft has no such picture: it lists them as `pictures`, the first is 0.")
    url = kept.about.pictures[number]
    return url, kept.folder / f"source-{hashlib.sha256(url.encode()).hexdigest()[:40]}"


def _preview(source: Fetched, result: Compressed) -> Preview:
    made = result.outputs[0]
    return Preview(
        source=Shape(source.size, result.format, result.width, result.height),
        output=Shape(made.size, made.format, made.width, made.height),
        saved_percent=round(100 * (1 - made.size / source.size), 1),
        ssim=result.ssim,
    )


@contextmanager
def _shown() -> Iterator[None]:
    """Say why there is no picture in the words of an image that failed."""
    try:
        yield
    except ImageError as error:
        raise PictureError(error.detail, code=error.image_code, cause=error.cause) from error
    except FileNotFoundError as error:
        raise NotFoundError("There is no such draft any more: send the sheet again.") from error
    except PoolClosed as error:
        raise PictureError("imagemill is stopping: ask again when it is back.", cause=repr(error)) from error
