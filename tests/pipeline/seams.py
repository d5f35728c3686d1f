"""Fakes at the pipeline's seams: an origin, a press and a receiver that answer as they are told; the rest is real."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from imagemill.core.errors import ImageError, RequestError
from imagemill.core.job import Attempt, Image, Job, Submission
from imagemill.core.recipe import Recipe
from imagemill.db import Store
from imagemill.fetch import Fetched
from imagemill.hosts import Hosts
from imagemill.imaging.protocol import Compressed, Made
from imagemill.pipeline import Leases, Notify, Outage, Parts, Pipeline, Room, Step, Work
from imagemill.settings import Settings
from imagemill.storage import Folders, LocalStorage
from tests.seeds import Clock

Answer = bytes | Path | Exception


class Origin:
    """Answers each URL with the next of its `answers`, the last for ever; by default with its own address as bytes."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Answer]] = {}
        self.fetched: list[str] = []
        self.before: Callable[[str], object] = lambda url: None
        self.validators: dict[str, str] = {}
        self.refetched: list[tuple[str, str]] = []

    def refetch(self, url: str, validator: str, _breaker: object = None) -> Fetched | None:
        """Answer that nothing has changed when the validator is still the one of `validators`."""
        self.refetched.append((url, validator))
        return None if self.validators.get(url) == validator else self.fetch(url)

    def fetch(self, url: str, _breaker: object = None) -> Fetched:
        self.before(url)
        self.fetched.append(url)
        told = self.answers.get(url, [url.encode() * 20])
        answer = told.pop(0) if len(told) > 1 else told[0]
        if isinstance(answer, Exception):
            raise answer
        data = answer.read_bytes() if isinstance(answer, Path) else answer
        return Fetched(answer, len(data), hashlib.sha256(data).hexdigest(), validator=self.validators.get(url, ""))


class Press:
    """Makes half of what it is given, as files in `spool`; `trouble` may raise first."""

    def __init__(self, spool: Path) -> None:
        self.pressed: list[bytes] = []
        self.workers = 2
        self.trouble: Callable[[bytes], object] = lambda data: None
        self.spool = spool
        self._numbers = itertools.count()

    def compress_all(
        self, sources: Sequence[bytes | Path], recipe: Recipe, measured: Collection[int] = ()
    ) -> list[Compressed | ImageError]:
        return [self._result(source, recipe, 0.75 if n in measured else None) for n, source in enumerate(sources)]

    def _result(self, source: bytes | Path, recipe: Recipe, ssim: float | None) -> Compressed | ImageError:
        try:
            return self._compress(source, recipe, ssim)
        except ImageError as error:
            return error

    def _compress(self, source: bytes | Path, recipe: Recipe, ssim: float | None) -> Compressed:
        data = source.read_bytes() if isinstance(source, Path) else source
        self.pressed.append(data)
        self.trouble(data)
        names = ["image", *(thumbnail.name for thumbnail in recipe.thumbnails)]
        return Compressed("jpeg", 40, 30, [self._made(name, data[: len(data) // 2]) for name in names], ssim)

    def _made(self, name: str, data: bytes) -> Made:
        path = self.spool / f"made-{name}-{next(self._numbers)}"
        path.write_bytes(data)
        return Made(name, str(path), len(data), "jpeg", 40, 30)


class Receiver:
    """Answers callbacks with the next of `answers`, and keeps them."""

    def __init__(self) -> None:
        self.answers: list[int | None] = []
        self.retry_after_s: float | None = None
        self.posted: list[tuple[str, str | None, str, bytes, datetime]] = []
        self.got: list[str] = []
        self.refused: set[str] = set()

    def check(self, url: str) -> None:
        if url in self.refused:
            raise RequestError("not allowed", [("callback_url", "not allowed")])

    def get(self, url: str, secret: str | None, message_id: str, at: datetime) -> Attempt:
        self.got.append(url)
        return Attempt(at=at, status=200, answer="thanks", error=None)

    def post(self, url: str, secret: str | None, message_id: str, body: bytes, at: datetime) -> Attempt:
        self.posted.append((url, secret, message_id, body, at))
        status = self.answers.pop(0) if self.answers else 200
        error = None if status else "no answer"
        return Attempt(at=at, status=status, answer="thanks", error=error, retry_after_s=self.retry_after_s)


class Mill:
    """A pipeline whose steps are performed by hand."""

    def __init__(self, root: Path, store: Store, clock: Clock, settings: Settings) -> None:
        self.store, self.clock = store, clock
        self.folders = Folders(root / "data")
        self.folders.make()
        self.origin, self.press, self.receiver = Origin(), Press(self.folders.spool), Receiver()
        self.storage, self.originals = LocalStorage(self.folders.outputs), LocalStorage(self.folders.sources)
        self.asked: list[Step] = []
        self.parts = self._parts(settings)
        self.pipeline = Pipeline(self.parts, self.asked.extend)

    def _parts(self, settings: Settings, **changes: Any) -> Parts:  # noqa: ANN401
        known: dict[str, Any] = {
            "settings": settings,
            "folders": self.folders,
            "store": self.store,
            "storage": self.storage,
            "originals": self.originals,
            "hosts": Hosts(),
            "fetcher": self.origin,
            "pool": self.press,
            "caller": self.receiver,
            "outage": Outage(self.storage, 0.0),
            "room": Room((self.folders.root,), 0),
            "leases": Leases(self.store),
            "public_url": lambda: "http://mill",
            "link": lambda name: f"http://mill/images/{name}",
            "clock": self.clock,
        }
        return Parts(**(known | changes))

    def with_parts(self, settings: Settings | None = None, **changes: Any) -> None:  # noqa: ANN401
        """Go on with other parts."""
        self.parts = self._parts(settings or self.parts.settings, **changes)
        self.pipeline = Pipeline(self.parts, self.asked.extend)

    def accept(self, sheet: str, asked: Submission | None = None, *, owner: str = "shop", again: bool = False) -> Job:
        intake = self.pipeline.intake()
        intake.feed(sheet.encode())
        given = asked or Submission()
        return intake.accept(given, owner=owner, filename="shop.csv", continue_same=again).job

    def sheet(self, *urls: str) -> str:
        return "ID,Images\n" + "".join(f"{n},{url}\n" for n, url in enumerate(urls, 1))

    def urls(self, count: int) -> list[str]:
        return [f"http://a/{n}.jpg" for n in range(1, count + 1)]

    def turn(self, job: Job) -> list[Step]:
        """Claim once and compress; return the steps that follow."""
        claim, more = self.pipeline.claim(self.small_id(job))
        return more if claim is None else self.pipeline.compress(claim)

    def work(self, job: Job) -> list[Notify]:
        """Turn until no image is due; return the callbacks that are."""
        due: list[Notify] = []
        for _ in range(100):
            claim, _more = self.pipeline.claim(self.small_id(job))
            if claim is None:
                return due
            due += [step for step in self.pipeline.compress(claim) if isinstance(step, Notify)]
        raise AssertionError("no end")

    def small_id(self, job: Job) -> int:
        return cast("int", self.store._rows("SELECT id FROM job WHERE uid = ?", (job.id,))[0][0])

    def job(self, job: Job) -> Job:
        return self.store.job(job.id)

    def images(self, job: Job) -> list[Image]:
        return self.store.images(job.id, None, 500, None)[0]

    def states(self, job: Job) -> list[str]:
        return [image.state.value for image in self.images(job)]

    def files(self) -> list[str]:
        """Return what lies in the spool."""
        return sorted(str(path.relative_to(self.folders.spool)) for path in self.folders.spool.rglob("*"))


def delays(steps: Sequence[Step]) -> list[float]:
    return [step.delay_s for step in steps if isinstance(step, Work)]
