"""Estimate: a few images of a sheet are fetched and compressed, measured and thrown away. Nothing is queued or kept."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from imagemill.core import keys
from imagemill.core.errors import ImageError
from imagemill.core.estimate import Fault, Hands, Sample, extrapolated
from imagemill.pool import PoolClosed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import ExitStack

    from imagemill.core.estimate import Estimate
    from imagemill.core.recipe import Recipe
    from imagemill.db import Sampled
    from imagemill.fetch import Fetched
    from imagemill.pipeline.parts import Parts

_AT_ONCE: Final = 4
"""Images sampled at a time: a slow host must not take all the time there is."""

_LOOK_S: Final = 0.05


def estimated(
    parts: Parts, sampled: Sampled, recipe: Recipe, place: ExitStack, is_given_up: Callable[[], bool]
) -> Estimate:
    """Return what a sheet would cost, within `estimate.timeout_s`, or as soon as `is_given_up`.

    A download that is still under way then ends by its own limits; `place` is kept until it has.
    """
    survey = _Survey(parts, sampled.urls, recipe, place)
    survey.run(time.monotonic() + parts.settings.estimate.timeout_s, is_given_up)
    samples, faults = survey.found()
    hands = _hands(parts, {urlsplit(url).netloc for url in sampled.urls})
    return extrapolated(sampled.places, sampled.unique, samples, faults, hands)


def _hands(parts: Parts, hosts: set[str]) -> Hands:
    settings = parts.settings
    known = max(1, len(hosts))
    rate = settings.fetch.per_host_rate
    return Hands(
        fetching=min(settings.threads, known * settings.fetch.per_host),
        compressing=parts.pool.workers,  # a sample waits for a child and shares its core, as in a job
        per_s=rate * known if rate else None,
    )


class _Survey:
    """Threads that take one URL after the other, until all are taken or the end has come."""

    def __init__(self, parts: Parts, urls: Sequence[str], recipe: Recipe, place: ExitStack) -> None:
        self._parts = parts
        self._recipe = recipe
        self._fingerprint = keys.fingerprint(recipe)
        self._place = place
        self._changed = threading.Condition()  # guards everything below
        self._left = list(urls)
        self._samples: list[Sample] = []
        self._faults: list[Fault] = []
        self._running = 0

    def run(self, ends_at: float, is_given_up: Callable[[], bool]) -> None:
        """Sample until the end: of the URLs, of the time, or of the patience of who asked."""
        self._running = min(_AT_ONCE, len(self._left))
        if not self._running:
            self._place.close()
        for _ in range(self._running):
            threading.Thread(target=self._work, name="estimate", daemon=True).start()
        with self._changed:
            while self._running and time.monotonic() < ends_at and not is_given_up():
                self._changed.wait(_LOOK_S)
            self._left.clear()

    def found(self) -> tuple[list[Sample], list[Fault]]:
        """Return what there is; what comes later is not counted."""
        with self._changed:
            return list(self._samples), list(self._faults)

    def _work(self) -> None:
        try:
            while url := self._next():
                self._sample(url)
        except PoolClosed:
            return  # imagemill stops
        finally:
            with self._changed:
                self._running -= 1
                is_last = not self._running
                self._changed.notify_all()
            if is_last:
                self._place.close()

    def _next(self) -> str | None:
        with self._changed:
            return self._left.pop() if self._left and not self._parts.stopping.is_set() else None

    def _sample(self, url: str) -> None:
        try:
            sample = self._measured(url)
        except ImageError as error:
            with self._changed:
                self._faults.append(Fault(url, error.image_code, error.detail))
        else:
            with self._changed:
                self._samples.append(sample)

    def _measured(self, url: str) -> Sample:
        started = time.monotonic()
        fetched = self._parts.fetcher.fetch(url)
        try:
            fetch_s = time.monotonic() - started
            known = self._parts.store.known_outputs([fetched.sha256], self._fingerprint).get(fetched.sha256)
            if known is not None:
                return Sample(fetched.size, sum(output.bytes for output in known[1]), fetch_s, is_done=True)
            return self._compressed(fetched, fetch_s)
        finally:
            fetched.discard()

    def _compressed(self, fetched: Fetched, fetch_s: float) -> Sample:
        started = time.monotonic()
        (result,) = self._parts.pool.compress_all([fetched.data], self._recipe)
        if isinstance(result, ImageError):
            raise result
        for made in result.outputs:
            Path(made.path).unlink(missing_ok=True)
        output_bytes = sum(made.size for made in result.outputs)
        return Sample(fetched.size, output_bytes, fetch_s, time.monotonic() - started)
