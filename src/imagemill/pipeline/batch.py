"""Fetch → compress → put, for a few images together: what is small costs more to hand over than to compress.

An image of a batch becomes `Finished` or an ImageError. The disk being full, or our being stopped, is neither: then the
batch ends by `NoRoom` or `PoolClosed`, and what is not finished goes back as it came. Where the storage is down the
batch `is_refused`: what was put before that is finished, the rest goes back.
"""

from __future__ import annotations

import errno
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import msgspec

from imagemill.core import keys
from imagemill.core.errors import ImageCode, ImageError
from imagemill.core.job import Output, Source
from imagemill.fetch import kept
from imagemill.pipeline import sent
from imagemill.pipeline.room import FULL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imagemill.db import Claim, Claimed, Shelf
    from imagemill.fetch import Fetched
    from imagemill.imaging.protocol import Compressed, Made
    from imagemill.outbound import Breaker
    from imagemill.pipeline.parts import Parts

MOST_IMAGES: Final = 8
MOST_BYTES: Final = 1 << 18
"""So many images, or bytes, are handed over together: about 10 ms of work, so others need not wait long."""

_FULL_NAMES: Final = frozenset(errno.errorcode[number] for number in FULL)
_REMOVAL_S: Final = 30.0
_LOOK_S: Final = 0.05


class NoRoom(Exception):
    """The disk is full: images go back uncounted and work pauses."""


class StorageDown(Exception):
    """The storage takes nothing now: images go back uncounted and work pauses."""


class Finished(NamedTuple):
    """A source that is compressed, and whose outputs are stored. `ssim` is of the main one, where it was measured."""

    source: Source
    outputs: list[Output]
    ssim: float | None
    validator: str = ""


Result: TypeAlias = Finished | ImageError


class _Entry(NamedTuple):
    image: Claimed
    fetched: Fetched
    seconds: float


class _Before(NamedTuple):
    """What an address answered before: what was made of it, or else its source, which is kept."""

    validator: str
    sha256: str
    made: Finished | Path


class Batch:
    """Images of one claim. Use: `fetch` each, `compress` when it `is_full` and at the end, `discard` at last."""

    def __init__(self, parts: Parts, taken: Claim, breaker: Breaker, handovers: int = 1) -> None:
        """Look once for what so many hand-overs have; downloads end with the breaker."""
        self._parts = parts
        self._breaker = breaker
        self._taken = taken
        self._handovers = handovers
        self._entries: list[_Entry] = []
        self.is_refused = False
        self._unchanged: list[tuple[Claimed, float, Finished]] = []
        self._before = self._seen_before() if parts.settings.fetch.remember_urls else {}

    @property
    def is_full(self) -> bool:
        """Whether it is worth a look, and a hand-over."""
        return _is_much([entry.fetched for entry in self._entries], self._handovers)

    def fetch(self, image: Claimed) -> None:
        """Download one source; ImageError where that fails, NoRoom where it cannot be kept."""
        started = time.monotonic()
        try:
            with self._parts.meters.stages.timed("fetch"):
                fetched = self._fetched(image.url)
        except ImageError as error:
            if full := self._for_want_of_room(error):
                raise full from error
            raise
        seconds = time.monotonic() - started
        if isinstance(fetched, Finished):
            self._unchanged.append((image, seconds, fetched))
        else:
            self._entries.append(_Entry(image, fetched, seconds))

    def images(self) -> list[Claimed]:
        """Return the images that are fetched and not yet compressed."""
        return [*(image for image, _, _ in self._unchanged), *(entry.image for entry in self._entries)]

    def compress(self) -> list[tuple[Claimed, float, Result]]:
        """Compress and put what is fetched; return images, the seconds each took, and what became of it."""
        started = time.monotonic()
        results = self._made() if self._entries else {}
        share = (time.monotonic() - started) / max(1, len(self._entries))
        done = [
            (image, seconds + share, _from(fetched, results[fetched.sha256]))
            for image, fetched, seconds in self._entries
            if fetched.sha256 in results
        ]
        done += self._confirmed()
        self.discard()
        return done

    def discard(self) -> None:
        """Let go of the sources."""
        for entry in self._entries:
            entry.fetched.discard()
        self._entries, self._unchanged = [], []

    def _seen_before(self) -> dict[str, _Before]:
        """Return what there is of the last answers of these addresses: an origin need only say that they still hold."""
        remembered = self._parts.store.remembered([image.url for image in self._taken.images])
        wanted = [sha256 for _, sha256 in remembered.values()]
        known = self._still_stored(wanted).items()
        finished = {sha256: made for sha256, made in known if self._has_original(made.source)}
        here: dict[str, Finished | Path] = {**self._originals(wanted), **finished}
        return {
            url: _Before(validator, sha256, here[sha256])
            for url, (validator, sha256) in remembered.items()
            if sha256 in here
        }

    def _originals(self, sources: list[str]) -> dict[str, Path]:
        """Return the files of sources that are kept here."""
        formats = self._parts.store.source_formats(sources) if sources else {}
        paths = {sha256: self._parts.originals.path(keys.source_name(sha256, kind)) for sha256, kind in formats.items()}
        return {sha256: path for sha256, path in paths.items() if path is not None}

    def _fetched(self, url: str) -> Fetched | Finished:
        if sha256 := keys.uploaded(url):
            return self._upload(sha256)
        before = self._before.get(url)
        if before is None:
            return self._parts.fetcher.fetch(url, self._breaker)
        fetched = self._parts.fetcher.refetch(url, before.validator, self._breaker)
        return self._unchanged_of(url, before) if fetched is None else fetched

    def _unchanged_of(self, url: str, before: _Before) -> Fetched | Finished:
        if isinstance(before.made, Finished):
            return before.made._replace(validator=before.validator)
        try:
            original = kept(before.made, self._parts.folders.spool, before.sha256)
        except OSError:  # it has gone since we looked
            return self._parts.fetcher.fetch(url, self._breaker)
        return msgspec.structs.replace(original, validator=before.validator)

    def _upload(self, sha256: str) -> Fetched:
        """Return an image that the job's client sent. A sheet that names one finds none: it has no such folder."""
        place = sent.upload(self._parts, self._taken.job_uid, sha256)
        try:
            return kept(place or Path(sha256), self._parts.folders.spool, sha256)
        except FileNotFoundError as error:
            message = "the uploaded image is not kept any more: send it again"
            raise ImageError(ImageCode.STORAGE_FAILED, message, transient=False) from error
        except OSError as error:
            message = "the uploaded image could not be read; it is tried again"
            raise ImageError(ImageCode.STORAGE_FAILED, message, cause=repr(error)) from error

    def _confirmed(self) -> list[tuple[Claimed, float, Result]]:
        """Return what has not changed; an image whose output has gone since we looked is to be fetched after all."""
        known = self._still_stored([finished.source.sha256 for _, _, finished in self._unchanged])
        return [
            (image, seconds, finished if finished.source.sha256 in known else _gone())
            for image, seconds, finished in self._unchanged
            if not self.is_refused
        ]

    def _still_stored(self, sources: list[str]) -> dict[str, Finished]:
        try:
            return self._known(sources) if sources else {}
        except StorageDown:
            self.is_refused = True
            return {}

    def _made(self) -> dict[str, Result]:
        """Return what became of each source, by its key, but for those that a storage which is down did not take."""
        sources = {entry.fetched.sha256: entry.fetched for entry in self._entries}
        made: dict[str, Result] = {}
        try:
            for sha256, known in self._known(list(sources)).items():
                made[sha256] = self._with_original(sources[sha256], known)
            for unknown in _parted([fetched for sha256, fetched in sources.items() if sha256 not in made]):
                self._make(unknown, made)
        except StorageDown:
            self.is_refused = True
        return made

    def _make(self, unknown: list[Fetched], made: dict[str, Result]) -> None:
        recipe, every = self._taken.submission.recipe, self._parts.settings.image.ssim_every
        sample = [number for number, fetched in enumerate(unknown) if keys.is_sampled(fetched.sha256, every)]
        with self._parts.meters.stages.timed("compress"):
            results = self._parts.pool.compress_all([fetched.data for fetched in unknown], recipe, sample)
        try:
            for fetched, result in zip(unknown, results, strict=True):
                made[fetched.sha256] = self._with_original(fetched, self._stored(fetched, result))
        except BaseException:
            _remove(results)
            raise

    def _known(self, sources: list[str]) -> dict[str, Finished]:
        """Return what was made before and is still there; what cannot be asked for is made again."""
        known = self._parts.store.known_outputs(sources, self._taken.fingerprint)
        names = {
            sha256: {keys.file_name(out.key, out.format) for out in outs} for sha256, (_, outs, _) in known.items()
        }
        try:
            missing = set(self._parts.storage.missing(set().union(*names.values())))
        except OSError as error:
            if self._parts.outage.explains(error):
                raise StorageDown from error
            return {}
        return {sha256: Finished(*known[sha256]) for sha256, stored in names.items() if not stored & missing}

    def _stored(self, fetched: Fetched, result: Compressed | ImageError) -> Result:
        if isinstance(result, ImageError):
            if full := self._for_want_of_room(result):
                raise full
            return result
        source = Source(fetched.size, result.format, result.width, result.height, fetched.sha256)
        try:
            return Finished(source, [self._put(fetched, made) for made in result.outputs], result.ssim)
        except ImageError as error:
            _remove([result])
            return error

    def _put(self, fetched: Fetched, made: Made) -> Output:
        key = keys.output_key(fetched.sha256, self._taken.fingerprint, made.name)
        stored = keys.file_name(key, made.format)
        with self._parts.meters.stages.timed("put"), self._storing("outputs", stored) as name:
            self._parts.storage.adopt(name, Path(made.path))
        return Output(made.name, key, made.size, made.format, made.width, made.height)

    def _with_original(self, fetched: Fetched, result: Result) -> Result:
        """Keep the source of what is finished, where the job wants that."""
        if isinstance(result, ImageError) or not self._taken.submission.keep_original:
            return result
        try:
            with self._storing("originals", keys.source_name(fetched.sha256, result.source.format)) as name:
                if not self._parts.originals.has(name):
                    self._parts.originals.put(name, fetched.data)
        except ImageError as error:
            return error
        return result

    def _has_original(self, source: Source) -> bool:
        """Say whether a source need not be sent again to be kept."""
        if not self._taken.submission.keep_original:
            return True
        return self._parts.originals.has(keys.source_name(source.sha256, source.format))

    @contextmanager
    def _storing(self, shelf: Shelf, name: str) -> Iterator[str]:
        """Store a file of this name; ImageError, or NoRoom, where that fails."""
        self._await_removal(shelf, name)
        try:
            yield name
        except OSError as error:
            if error.errno in FULL:
                raise NoRoom from error
            if self._parts.outage.explains(error):
                raise StorageDown from error
            message = "the output could not be stored; it is tried again"
            raise ImageError(ImageCode.STORAGE_FAILED, message, cause=repr(error)) from error

    def _await_removal(self, shelf: Shelf, name: str) -> None:
        """Wait while an older file of the name is being removed (db/leftovers.py, 3)."""
        ends_at = time.monotonic() + _REMOVAL_S
        while self._taken.is_clearing and self._parts.store.is_going(shelf, name):
            if self._parts.stopping.wait(_LOOK_S) or time.monotonic() > ends_at:
                message = "an older file of the same name is still being removed; it is tried again"
                raise ImageError(ImageCode.STORAGE_FAILED, message)

    def _for_want_of_room(self, error: ImageError) -> NoRoom | None:
        """Say whether an image failed because there is no room in the spool: as little its fault as in the storage."""
        is_full = error.cause in _FULL_NAMES or self._parts.room.shortage() is not None
        return NoRoom() if error.image_code is ImageCode.STORAGE_FAILED and is_full else None


def _is_much(sources: list[Fetched], handovers: int = 1) -> bool:
    sizes = [fetched.size for fetched in sources]
    return len(sizes) >= MOST_IMAGES * handovers or sum(sizes) >= MOST_BYTES * handovers


def _parted(sources: list[Fetched]) -> Iterator[list[Fetched]]:
    """Return what is handed over together."""
    part: list[Fetched] = []
    for fetched in sources:
        part.append(fetched)
        if _is_much(part):
            yield part
            part = []
    if part:
        yield part


def _gone() -> ImageError:
    message = "its output has gone while its origin was asked: it is fetched and made again"
    return ImageError(ImageCode.STORAGE_FAILED, message, is_attempt=False)


def _from(fetched: Fetched, result: Result) -> Result:
    """Return the result with what its origin said; images of equal bytes share one, and may have other origins."""
    return result._replace(validator=fetched.validator) if isinstance(result, Finished) else result


def _remove(results: list[Compressed | ImageError]) -> None:
    """Remove from the spool what was made and could not be put."""
    for result in results:
        for made in () if isinstance(result, ImageError) else result.outputs:
            Path(made.path).unlink(missing_ok=True)
