"""Compressing files of this machine: the pool and its limits, without a job, a database or a network."""

from __future__ import annotations

import os
import queue
import secrets
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from imagemill.core.errors import ImageCode, ImageError, ImagemillError, NameTakenError

if TYPE_CHECKING:
    from imagemill.cli.pairs import Pair
    from imagemill.cli.stopping import Stop
    from imagemill.core.recipe import Recipe
    from imagemill.imaging.protocol import Made
    from imagemill.pool import Pool
    from imagemill.settings import Settings

_INLINE_BYTES: Final = 4 << 20
"""Larger sources are handed to a child as files: the pipe would hold them in memory twice."""

_LOOK_S: Final = 0.2


class Output(msgspec.Struct, frozen=True):
    """A file that was written."""

    path: str
    name: str
    format: str
    bytes: int
    width: int
    height: int


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a source: outputs, the main one first, or a code and a sentence."""

    source: str
    source_bytes: int
    outputs: list[Output] = []
    code: str | None = None
    message: str | None = None

    @property
    def output_bytes(self) -> int:
        """Bytes of the main output."""
        return self.outputs[0].bytes if self.outputs else 0


class Bench:
    """Where sources become outputs, several at a time."""

    def __init__(self, settings: Settings, recipe: Recipe, pool: Pool, spool: Path, *, replaces: bool) -> None:
        self._max_bytes = settings.fetch.max_bytes
        self._recipe = recipe
        self._pool = pool
        self._spool = spool
        self._replaces = replaces
        self._lock = threading.Lock()
        self._taken: dict[str, Path] = {}

    def compressed(self, pairs: list[Pair], stop: Stop) -> Iterator[Done | None]:
        """Yield what became of each, as it ends, and None now and then meanwhile; fewer when a stop is asked for."""
        self._sources = {os.path.realpath(pair.source) for pair in pairs}
        waiting, ended = iter(pairs), queue.SimpleQueue[Done | None]()
        threads = [
            threading.Thread(target=self._work, args=(waiting, ended, stop), daemon=True)
            for _ in range(min(len(pairs), 2 * self._pool.workers))
        ]
        for thread in threads:
            thread.start()
        left = len(threads)
        while left:
            try:
                done = ended.get(timeout=_LOOK_S)
            except queue.Empty:
                yield None
                continue
            left -= done is None
            if done is not None:
                yield done

    def _work(self, waiting: Iterator[Pair], ended: queue.SimpleQueue[Done | None], stop: Stop) -> None:
        try:
            while not stop.is_asked:
                with self._lock:
                    pair = next(waiting, None)
                if pair is None:
                    return
                ended.put(self._done(pair))
        finally:
            ended.put(None)

    def _done(self, pair: Pair) -> Done:
        size = 0
        try:
            size = pair.source.stat().st_size
            return Done(source=str(pair.source), source_bytes=size, outputs=self._outputs(pair, size))
        except ImageError as error:
            code, message = str(error.image_code), error.detail
        except ImagemillError as error:
            code, message = error.code, error.detail
        except OSError as error:
            code, message = str(ImageCode.STORAGE_FAILED), f"{error.strerror or error}: {error.filename or pair.source}"
        return Done(source=str(pair.source), source_bytes=size, code=code, message=message)

    def _outputs(self, pair: Pair, size: int) -> list[Output]:
        if size > self._max_bytes:
            detail = f"it has {size:,} bytes, more than fetch.max_bytes, {self._max_bytes:,}"
            raise ImageError(ImageCode.TOO_LARGE, detail)
        with self._handed(pair.source, size) as source:
            made = self._pool.compress(source, self._recipe).outputs
        try:
            return [self._put(pair, each) for each in made]
        finally:
            for each in made:
                Path(each.path).unlink(missing_ok=True)

    @contextmanager
    def _handed(self, source: Path, size: int) -> Iterator[bytes | Path]:
        """Give a source as a child can take it: it opens no file but those of the spool."""
        if size <= _INLINE_BYTES:
            yield source.read_bytes()
            return
        copy = self._spool / f"source-{secrets.token_hex(8)}"
        try:
            shutil.copyfile(source, copy)
            yield copy
        finally:
            copy.unlink(missing_ok=True)

    def _put(self, pair: Pair, made: Made) -> Output:
        """Move an output to its place, with the mode of its source; whole or not at all."""
        place = pair.output(made.name, made.format)
        place.parent.mkdir(parents=True, exist_ok=True)
        with self._lock:
            self._check(place, pair.source)
            shutil.copymode(pair.source, made.path)
            Path(made.path).replace(place)
        return Output(str(place), made.name, made.format, made.size, made.width, made.height)

    def _check(self, place: Path, source: Path) -> None:
        other = self._taken.setdefault(str(place).casefold(), source)
        if other != source:
            raise NameTakenError(f"{place} was made of {other}: compress the two into folders of their own")
        if os.path.realpath(place) in self._sources:
            raise NameTakenError(f"{place} is a source, and is not written over: name another folder by -o")
        if place.exists() and not self._replaces:
            raise NameTakenError(f"{place} exists already: name another folder by -o, or replace it by --overwrite")
