"""What is counted while it happens, for Prometheus and for "how fast are we now"; written as its text format 0.0.4.

Labels are of our own making and few: states, codes, stages, route templates. Never an address, a host or a name.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final

import msgspec

CONTENT_TYPE: Final = "text/plain; version=0.0.4"

_BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_MINUTE_S: Final = 60
_LATELY_S: Final = 10.0
_MOST_ENDS: Final = 1000
_SIGHT_S: Final = 0.5
_ESCAPES: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


class Family(msgspec.Struct, frozen=True):
    """Numbers of one name: `samples` are (what follows the name, labels, value)."""

    name: str
    kind: str
    help: str
    samples: list[tuple[str, dict[str, str], float]]


def gauge(name: str, about: str, value: float, **labels: str) -> Family:
    """Return a single number that goes up and down."""
    return Family(name, "gauge", about, [("", labels, value)])


def gauges(name: str, about: str, label: str, values: dict[str, float]) -> Family:
    """Return one number for each value of a label."""
    return Family(name, "gauge", about, [("", {label: key}, value) for key, value in values.items()])


def count(name: str, about: str, value: float) -> Family:
    """Return a number that somebody else counts."""
    return Family(name, "counter", about, [("", {}, value)])


def exposition(families: Iterable[Family]) -> str:
    """Return the text that Prometheus reads."""
    return "".join(line for family in families for line in _lines(family))


def _lines(family: Family) -> Iterator[str]:
    yield f"# HELP {family.name} {family.help}\n# TYPE {family.name} {family.kind}\n"
    for suffix, labels, value in family.samples:
        inner = ",".join(f'{name}="{text.translate(_ESCAPES)}"' for name, text in labels.items())
        yield f"{family.name}{suffix}{{{inner}}} {value:.12g}\n" if inner else f"{family.name}{suffix} {value:.12g}\n"


class Counter:
    """Counts by labels; threads may count at once."""

    def __init__(self, name: str, about: str, *labels: str) -> None:
        self._name, self._about, self._labels = name, about, labels
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, ...], float] = {} if labels else {(): 0}

    def add(self, *values: str, amount: float = 1) -> None:
        """Count."""
        with self._lock:
            self._counts[values] = self._counts.get(values, 0) + amount

    def family(self) -> Family:
        """Return what was counted."""
        with self._lock:
            counts = dict(self._counts)
        samples = [("", dict(zip(self._labels, values, strict=True)), n) for values, n in sorted(counts.items())]
        return Family(self._name, "counter", self._about, samples)


class Histogram:
    """Durations by labels, in seconds."""

    def __init__(self, name: str, about: str, *labels: str) -> None:
        self._name, self._about, self._labels = name, about, labels
        self._lock = threading.Lock()
        self._seen: dict[tuple[str, ...], list[int]] = {}
        self._sums: dict[tuple[str, ...], float] = {}

    def observe(self, seconds: float, *values: str) -> None:
        """Take note of a duration."""
        place = bisect_left(_BUCKETS_S, seconds)
        with self._lock:
            seen = self._seen.get(values)
            if seen is None:
                seen = self._seen[values] = [0] * (len(_BUCKETS_S) + 1)
            seen[place] += 1
            self._sums[values] = self._sums.get(values, 0.0) + seconds

    @contextmanager
    def timed(self, *values: str) -> Iterator[None]:
        """Observe how long a block takes, however it ends."""
        began_s = time.monotonic()
        try:
            yield
        finally:
            self.observe(time.monotonic() - began_s, *values)

    def family(self) -> Family:
        """Return what was observed."""
        with self._lock:
            seen = [(values, list(counts), self._sums[values]) for values, counts in sorted(self._seen.items())]
        samples = [sample for values, counts, total in seen for sample in self._samples(values, counts, total)]
        return Family(self._name, "histogram", self._about, samples)

    def _samples(
        self, values: tuple[str, ...], counts: list[int], total: float
    ) -> Iterator[tuple[str, dict[str, str], float]]:
        labels = dict(zip(self._labels, values, strict=True))
        below = 0
        for edge, n in zip((*map(str, _BUCKETS_S), "+Inf"), counts, strict=True):
            below += n
            yield "_bucket", labels | {"le": edge}, below
        yield "_sum", labels, total
        yield "_count", labels, below


class Throughput(msgspec.Struct, frozen=True):
    """What was recorded over the last minute, or since the start where that is less."""

    images_per_s: float
    source_bytes_per_s: float


class Pace:
    """Images and their bytes in the last minute, by the second."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began_s = clock()
        self._lock = threading.Lock()
        self._seconds: dict[int, tuple[int, int]] = {}

    def add(self, images: int, source_bytes: int) -> None:
        """Take note of what was recorded just now."""
        second = int(self._clock())
        with self._lock:
            before = self._seconds.get(second, (0, 0))
            self._seconds[second] = before[0] + images, before[1] + source_bytes
            if len(self._seconds) > _MINUTE_S:
                self._seconds = {at: seen for at, seen in self._seconds.items() if at > second - _MINUTE_S}

    def now(self) -> Throughput:
        """Return how fast it goes."""
        now = self._clock()
        with self._lock:
            seen = [seen for at, seen in self._seconds.items() if at > now - _MINUTE_S]
        for_s = max(1.0, min(_MINUTE_S, now - self._began_s))
        images, source_bytes = (sum(each[part] for each in seen) for part in (0, 1))
        return Throughput(round(images / for_s, 2), round(source_bytes / for_s, 1))


class Paces:
    """Images that ended in the last seconds, by job; a job that stands still is soon forgotten."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._ends: dict[str, deque[tuple[float, int]]] = {}

    def add(self, job: str, images: int) -> None:
        """Take note of images that ended just now."""
        now = self._clock()
        with self._lock:
            self._ends.setdefault(job, deque(maxlen=_MOST_ENDS)).append((now, images))
            for idle in [uid for uid, ends in self._ends.items() if ends[-1][0] < now - _LATELY_S]:
                del self._ends[idle]

    def now(self, job: str) -> float | None:
        """Return how many images of a job end in a second; None while nothing is known of it."""
        now = self._clock()
        with self._lock:
            ends = [end for end in self._ends.get(job, ()) if end[0] > now - _LATELY_S]
        if not ends:
            return None
        return sum(images for _, images in ends) / max(1.0, now - ends[0][0])


class Sightings:
    """How fast jobs go, by how much of them had ended each time somebody looked: others may be at work on them too."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: dict[str, deque[tuple[float, int]]] = {}

    def pace(self, job: str, ended: int) -> float | None:
        """Take note of how many images have ended; return how many do in a second, None where nothing is known yet."""
        now = self._clock()
        with self._lock:
            self._seen = {uid: seen for uid, seen in self._seen.items() if seen[-1][0] > now - _MINUTE_S}
            seen = self._seen.setdefault(job, deque(maxlen=_MOST_ENDS))
            if seen and seen[-1][1] > ended:
                seen.clear()  # some of them are tried again
            while len(seen) > 1 and seen[1][0] < now - _LATELY_S:
                seen.popleft()
            if not seen or now - seen[-1][0] >= _SIGHT_S:
                seen.append((now, ended))
            began_at, before = seen[0]
        return (ended - before) / (now - began_at) if now - began_at >= _SIGHT_S else None


class Meters:
    """Everything that is counted; one for an appliance."""

    def __init__(self) -> None:
        self.images = Counter(
            "imagemill_images_recorded_total", "Attempts at images that were recorded.", "outcome", "code"
        )
        self.stages = Histogram("imagemill_stage_seconds", "Seconds in a stage of the work.", "stage")
        self.source_bytes = Counter("imagemill_source_bytes_total", "Bytes of the sources of recorded images.")
        self.output_bytes = Counter("imagemill_output_bytes_total", "Bytes of their outputs, thumbnails included.")
        self.callbacks = Counter("imagemill_callback_attempts_total", "Callbacks that were made.", "outcome")
        self.outages = Counter("imagemill_storage_outages_total", "Times that nothing could be stored.")
        self.requests = Counter("imagemill_http_requests_total", "HTTP requests.", "method", "route", "status")
        self.request_s = Histogram(
            "imagemill_http_request_seconds", "Seconds to the head of an HTTP answer, by route.", "route"
        )
        self.pace = Pace()
        self.paces = Paces()
        self.sightings = Sightings()

    def families(self) -> Iterator[Family]:
        """Return all of it."""
        yield from (meter.family() for meter in vars(self).values() if isinstance(meter, Counter | Histogram))
