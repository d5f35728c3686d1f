"""A storage that fails costs an attempt, one that is down costs none: work pauses and goes on by itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from imagemill.core.errors import StartError, UnreadableError
from imagemill.core.job import Job
from imagemill.pipeline import Outage, Work
from imagemill.storage import MemoryStorage, Opened, StorageError
from tests.pipeline.seams import Mill, delays
from tests.seeds import Clock


class Elsewhere(MemoryStorage):
    """Fails by `troubles`, the next of which each call takes: None lets it through, and so does an empty list."""

    def __init__(self) -> None:
        super().__init__()
        self.down: StorageError | None = None
        self.troubles: list[StorageError | None] = []
        self.asked: list[str] = []
        self.before_check: Callable[[], object] = lambda: None

    def adopt(self, name: str, file: Path) -> None:
        self._fail("adopt")
        super().adopt(name, file)

    def open(self, name: str, span: range | None = None) -> Opened:
        self._fail("open")
        return super().open(name, span)

    def missing(self, names: Iterable[str]) -> list[str]:
        self._fail("missing")
        return super().missing(names)

    def check(self) -> None:
        self.asked.append("check")
        self.before_check()
        if self.down:
            raise self.down

    def _fail(self, what: str) -> None:
        self.asked.append(what)
        trouble = self.troubles.pop(0) if self.troubles else None
        if self.down or trouble:
            raise self.down or trouble or AssertionError


DOWN = StorageError("S3 does not answer: Connection refused")
BUSY = StorageError("S3 answers 503", is_busy=True)
CUT = StorageError("S3 does not answer: Connection reset")


@pytest.fixture
def storage(mill: Mill) -> Elsewhere:
    found = Elsewhere()
    mill.with_parts(storage=found, outage=Outage(found, 0.0))
    return found


def given(mill: Mill, count: int = 6) -> Job:
    """Accept a job of 6 images: a turn takes 3."""
    return mill.accept(mill.sheet(*mill.urls(count)))


def test_while_it_is_down_no_attempt_is_counted_and_nothing_is_done(mill: Mill, storage: Elsewhere) -> None:
    job = given(mill)
    storage.down = DOWN
    mill.turn(job)
    assert mill.states(job) == ["pending"] * 6
    assert {image.attempts for image in mill.images(job)} == {0}
    assert (mill.files(), mill.job(job).counts.failed) == ([], 0)
    fetched = len(mill.origin.fetched)
    assert delays(mill.turn(job)) == [5.0]
    assert len(mill.origin.fetched) == fetched  # nothing is fetched for nothing
    storage.down = None
    mill.work(job)
    assert mill.states(job) == ["done"] * 6
    assert len(list(storage.names())) == 6


def test_what_was_put_before_it_went_down_is_done(mill: Mill, storage: Elsewhere) -> None:
    job = given(mill)
    storage.troubles = [None, None, BUSY]  # `missing`, the first `adopt`, the second
    mill.turn(job)
    assert mill.states(job) == ["done"] + ["pending"] * 5
    mill.work(job)
    assert mill.states(job) == ["done"] * 6
    assert mill.files() == []


def test_a_failure_of_its_own_costs_an_attempt(mill: Mill, storage: Elsewhere, clock: Clock) -> None:
    job = given(mill)
    storage.troubles = [None, None, CUT]
    mill.turn(job)
    assert mill.states(job) == ["done", "pending", "done"] + ["pending"] * 3
    postponed = mill.images(job)[1]
    assert (postponed.attempts, postponed.error and postponed.error.code) == (1, "storage_failed")
    clock.now += 1000
    mill.work(job)
    assert mill.states(job) == ["done"] * 6


def test_what_never_can_be_stored_is_never_done(mill: Mill, storage: Elsewhere, clock: Clock) -> None:
    job = given(mill, 1)
    for _ in range(3):  # the first attempt and two retries
        storage.troubles = [None, CUT]
        mill.turn(job)
        clock.now += 1000
    assert mill.states(job) == ["failed"]
    assert list(storage.names()) == []


def test_what_cannot_be_looked_for_is_made_again(mill: Mill, storage: Elsewhere) -> None:
    mill.work(given(mill))
    again = given(mill)
    storage.troubles = [CUT]
    mill.work(again)
    assert mill.states(again) == ["done"] * 6
    assert len(mill.press.pressed) == 6 + 3  # the second turn could ask


def test_a_storage_that_is_down_is_not_asked_by_every_hand(mill: Mill, storage: Elsewhere) -> None:
    outage = Outage(storage, 1000.0)
    mill.with_parts(storage=storage, outage=outage)
    job = given(mill)
    storage.down = DOWN
    mill.turn(job)
    asked = len(storage.asked)
    for _ in range(5):
        assert isinstance(mill.turn(job)[0], Work)
        assert outage.trouble() == outage.state() == str(DOWN)
    assert len(storage.asked) == asked


def test_one_hangs_with_it_and_no_more(storage: Elsewhere) -> None:
    outage = Outage(storage, 0.0)
    may_answer, is_asked = threading.Event(), threading.Event()

    def hang() -> None:
        is_asked.set()
        may_answer.wait(60)

    storage.before_check = hang
    hanging = threading.Thread(target=outage.state)
    hanging.start()
    assert is_asked.wait(60)
    assert [outage.state() for _ in range(5)] == [True] * 5
    may_answer.set()
    hanging.join(60)
    assert storage.asked == ["check"]


def test_the_start_is_refused_where_waiting_does_not_help(storage: Elsewhere) -> None:
    storage.down = StorageError("S3 answers 403 Forbidden; look at the key", is_refusal=True)
    with pytest.raises(StartError, match="look at the key"):
        Outage(storage).begin()
    storage.down = DOWN
    outage = Outage(storage)
    outage.begin()
    assert outage.trouble() == str(DOWN)


def test_a_picture_that_cannot_be_read_is_not_left_out_of_the_archive(mill: Mill, storage: Elsewhere) -> None:
    job = given(mill)
    mill.work(job)
    whole = b"".join(mill.pipeline.archive(mill.job(job)))
    assert whole
    storage.troubles = [None, CUT]
    with pytest.raises(UnreadableError, match="cannot be read now"):
        list(mill.pipeline.archive(mill.job(job)))
    assert b"".join(mill.pipeline.archive(mill.job(job))) == whole


def test_what_is_durable_is_not_looked_for_at_the_start(mill: Mill, storage: Elsewhere) -> None:
    mill.work(given(mill))
    storage.down = DOWN
    mill.pipeline.recover(at_start=True)
    assert storage.asked[-1] == "adopt"
