"""Claim → fetch → compress → put → record, and everything that can come between."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import msgspec
import pytest

from imagemill.core import keys
from imagemill.core.errors import ImageCode, ImageError
from imagemill.core.job import Submission
from imagemill.core.recipe import Recipe, Thumbnail
from imagemill.core.states import JobState
from imagemill.db import StoreError
from imagemill.db.sqlite import Sqlite
from imagemill.pipeline import Notify, Room, Step, Work, patience, room
from imagemill.pipeline import images as module
from imagemill.pool import PoolClosed
from imagemill.storage import LocalStorage
from tests.pipeline.seams import Mill, delays
from tests.postgres_server import on_sqlite
from tests.seeds import NOON

SLOW = ImageError(ImageCode.TIMEOUT, "too slow")
BROKEN = ImageError(ImageCode.DECODE_FAILED, "not whole", cause="libjpeg: premature end")
CRASH = ImageError(ImageCode.DECODE_CRASHED, "its decoder died")
URL = "http://a/1.jpg"


class FailingStorage(LocalStorage):
    """Fails with each of `errors`, then stores."""

    def __init__(self, root: Path, errors: list[int]) -> None:
        super().__init__(root)
        self.errors = errors

    def adopt(self, name: str, file: Path) -> None:
        if self.errors:
            raise OSError(self.errors.pop(0), "broken")
        super().adopt(name, file)


def test_the_whole_way(mill: Mill) -> None:
    asked = Submission(recipe=Recipe(thumbnails=(Thumbnail(10, 10),)), callback_url="http://caller/end")
    job = mill.accept(mill.sheet(*mill.urls(5)), asked)
    (notify,) = mill.work(job)
    assert notify == Notify(1)
    ended = mill.job(job)
    assert (ended.state, ended.counts.done) == (JobState.COMPLETED, 5)
    image = mill.images(job)[0]
    assert [output.name for output in image.outputs] == ["image", "thumb-10x10"]
    for output in image.outputs:
        stored = mill.storage.path(keys.file_name(output.key, output.format))
        assert stored is not None
        assert stored.read_bytes() == (URL.encode() * 20)[: output.bytes]
    assert (image.attempts, image.saved_percent, image.seconds is not None) == (1, 50.0, True)
    assert ended.bytes.saved_percent == 50.0


def test_equal_urls_are_fetched_once(mill: Mill) -> None:
    job = mill.accept(mill.sheet(URL, "http://a/2.jpg", URL, URL))
    mill.work(job)
    assert sorted(mill.origin.fetched) == [URL, "http://a/2.jpg"]
    assert mill.states(job) == ["done"] * 4
    assert len({image.outputs[0].key for image in mill.images(job)}) == 2


def test_equal_bytes_are_compressed_once_for_each_recipe(mill: Mill) -> None:
    urls = mill.urls(3)
    mill.origin.answers = {url: [b"same" * 50] for url in urls}
    jobs = [mill.accept(mill.sheet(*urls)) for _ in range(2)]
    for job in jobs:
        mill.work(job)
    assert (len(mill.origin.fetched), len(mill.press.pressed)) == (6, 1)
    other = mill.accept(mill.sheet(*urls), Submission(recipe=Recipe(quality=20)))
    mill.work(other)
    assert len(mill.press.pressed) == 2
    assert len(list(mill.storage.names())) == 2


def test_a_known_output_whose_file_is_gone_is_made_again(mill: Mill) -> None:
    mill.work(mill.accept(mill.sheet(URL)))
    (name,) = mill.storage.names()
    mill.storage.delete(name)
    mill.work(mill.accept(mill.sheet(URL)))
    assert (len(mill.press.pressed), list(mill.storage.names())) == (2, [name])


def test_files_of_the_spool_are_gone_when_they_are_used(mill: Mill) -> None:
    source = mill.folders.spool / "source"
    source.write_bytes(b"large" * 100)
    mill.origin.answers = {URL: [source]}
    job = mill.accept(mill.sheet(URL))
    mill.work(job)
    assert (mill.states(job), mill.files()) == (["done"], [])


@pytest.mark.parametrize("error", [SLOW, BROKEN])
def test_the_source_is_let_go_after_a_failure(mill: Mill, error: ImageError) -> None:
    source = mill.folders.spool / "source"
    source.write_bytes(b"large" * 100)
    mill.origin.answers = {URL: [source]}

    def fail(_: bytes) -> None:
        raise error

    mill.press.trouble = fail
    mill.turn(mill.accept(mill.sheet(URL)))
    assert mill.files() == []


def test_a_transient_error_waits_and_is_cured(mill: Mill) -> None:
    mill.origin.answers = {URL: [SLOW, b"x" * 100]}
    job = mill.accept(mill.sheet(URL, "http://a/2.jpg"))
    mill.work(job)
    waiting = mill.images(job)[0]
    assert waiting.error is not None
    assert waiting.next_attempt_at is not None
    assert (waiting.state, waiting.attempts, waiting.error.code) == ("pending", 1, "timeout")
    wait_s = waiting.next_attempt_at.timestamp() - NOON
    assert 5.0 <= wait_s <= 10.0
    assert delays(mill.turn(job)) == [pytest.approx(wait_s, abs=0.002)]
    assert mill.job(job).state is JobState.PROCESSING
    mill.clock.now += 10
    mill.work(job)
    assert (mill.states(job), mill.images(job)[0].attempts) == (["done", "done"], 2)


def test_a_transient_error_is_tried_so_often_and_no_more(mill: Mill) -> None:
    mill.origin.answers = {URL: [SLOW]}
    job = mill.accept(mill.sheet(URL))
    for _ in range(4):
        mill.work(job)
        mill.clock.now += 400
    assert (len(mill.origin.fetched), mill.job(job).state) == (3, JobState.FAILED)


def test_the_origin_s_own_wish_is_obeyed(mill: Mill) -> None:
    busy = ImageError(ImageCode.HTTP_STATUS, "come later", transient=True, retry_after_s=77.0)
    mill.origin.answers = {URL: [busy]}
    job = mill.accept(mill.sheet(URL))
    assert delays(mill.turn(job)) == [77.0]


def test_a_permanent_error_fails_at_once(mill: Mill) -> None:
    mill.origin.answers = {URL: [ImageError(ImageCode.NOT_AN_IMAGE, "a web page", cause="secret path")]}
    job = mill.accept(mill.sheet(URL))
    mill.work(job)
    (image,) = mill.images(job)
    assert image.error is not None
    assert (image.state, image.attempts, image.error.code, image.error.message) == (
        "failed",
        1,
        "not_an_image",
        "a web page",
    )
    assert mill.job(job).state is JobState.FAILED


def test_a_picture_that_kills_two_children_is_given_up(mill: Mill) -> None:
    def crash(_: bytes) -> None:
        raise CRASH

    mill.press.trouble = crash
    mill.origin.answers = {URL: [SLOW, b"bomb" * 9]}  # another error before does not count as a crash
    job = mill.accept(mill.sheet(URL))
    for expected in ("pending", "pending", "failed"):
        mill.work(job)
        assert mill.states(job) == [expected]
        mill.clock.now += 400
    (image,) = mill.images(job)
    assert image.error is not None
    assert (image.error.code, image.attempts, len(mill.press.pressed)) == ("decode_crashed", 3, 2)


def test_a_stop_gives_back_what_is_not_begun(mill: Mill) -> None:
    job = mill.accept(mill.sheet(*mill.urls(8)))
    claim, _ = mill.pipeline.claim(mill.small_id(job))
    assert claim is not None
    assert len(claim.images) == 4

    def stop(_: str) -> None:
        if mill.origin.fetched:
            mill.parts.stopping.set()

    mill.origin.before = stop
    assert mill.pipeline.compress(claim) == []
    assert mill.states(job) == ["done", "done"] + ["pending"] * 6
    assert mill.pipeline.claim(mill.small_id(job)) == (None, [])
    assert {image.attempts for image in mill.images(job)[2:]} == {0}


@pytest.mark.parametrize("error", [PoolClosed("closed"), CRASH, SLOW])
def test_an_attempt_cut_short_by_a_stop_is_not_counted(mill: Mill, error: Exception) -> None:
    def stop(_: bytes) -> None:
        mill.parts.stopping.set()
        raise error

    mill.press.trouble = stop
    job = mill.accept(mill.sheet(*mill.urls(2)))
    mill.turn(job)
    assert [(image.state, image.attempts, image.error) for image in mill.images(job)] == [("pending", 0, None)] * 2
    assert list(mill.storage.names()) == []


def test_without_room_work_pauses(mill: Mill) -> None:
    job = mill.accept(mill.sheet(URL))
    mill.with_parts(room=Room((mill.folders.root,), 1 << 40))
    assert mill.turn(job) == [Work(mill.small_id(job), delay_s=module.PAUSE_S)]
    assert (mill.origin.fetched, mill.states(job)) == ([], ["pending"])


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_counts_no_attempt_and_pauses(mill: Mill, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "FULL_S", 3600.0)
    job = mill.accept(mill.sheet(*mill.urls(8)))
    mill.with_parts(storage=FailingStorage(mill.folders.outputs, [number]))
    steps = mill.turn(job)
    assert [(image.state, image.attempts) for image in mill.images(job)] == [("pending", 0)] * 8
    assert len(mill.origin.fetched) == 4  # one batch; nothing after it was begun
    assert (delays(steps), delays(mill.turn(job)), mill.files()) == ([0.0], [module.PAUSE_S], [])
    mill.parts.room._full_until = 0.0  # an hour later
    assert mill.parts.room.shortage() is None
    mill.work(job)
    assert mill.job(job).state is JobState.COMPLETED


def test_no_output_is_left_in_the_spool_when_one_cannot_be_put(mill: Mill) -> None:
    job = mill.accept(mill.sheet(URL), Submission(recipe=Recipe(thumbnails=(Thumbnail(9, 9), Thumbnail(8, 8)))))
    mill.with_parts(storage=FailingStorage(mill.folders.outputs, [errno.EIO]))
    mill.turn(job)
    assert mill.files() == []


def test_another_storage_error_is_tried_again(mill: Mill) -> None:
    job = mill.accept(mill.sheet(URL))
    mill.with_parts(storage=FailingStorage(mill.folders.outputs, [errno.EIO]))
    mill.turn(job)
    (image,) = mill.images(job)
    assert image.error is not None
    assert (image.state, image.attempts, image.error.code) == ("pending", 1, "storage_failed")
    mill.clock.now += 400
    mill.work(job)
    assert mill.states(job) == ["done"]


def test_after_its_slice_a_task_gives_back_the_rest(mill: Mill, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SLICE_S", -1.0)
    job = mill.accept(mill.sheet(*mill.urls(8)))
    assert mill.turn(job) == [Work(mill.small_id(job), 0, tasks=1)]
    assert (mill.origin.fetched, mill.states(job)) == ([], ["pending"] * 8)


def test_results_are_recorded_while_a_claim_goes_on(mill: Mill, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RECORD_S", 0.0)
    job = mill.accept(mill.sheet(*mill.urls(8)))
    seen: list[int] = []
    mill.origin.before = lambda url: seen.append(mill.job(job).counts.done)
    mill.turn(job)
    assert seen == [0, 1, 2, 3]


def test_a_claim_asks_for_as_many_hands_as_could_help(mill: Mill) -> None:
    mill.with_parts(msgspec.structs.replace(mill.parts.settings, threads=2))
    job = mill.accept(mill.sheet(*mill.urls(8)))
    claim, more = mill.pipeline.claim(mill.small_id(job))
    assert claim is not None
    assert more == [Work(mill.small_id(job), 0, tasks=2)]  # two threads: two hands
    beside: list[list[Step]] = []
    mill.origin.before = lambda _: beside.append(mill.pipeline.claim(mill.small_id(job))[1])
    mill.pipeline.compress(claim)
    assert beside[0] == []  # both are at it


def test_work_goes_on_with_the_job_s_priority(mill: Mill) -> None:
    mill.with_parts(msgspec.structs.replace(mill.parts.settings, threads=2))
    job = mill.accept(mill.sheet(*mill.urls(8)), Submission(priority=7))
    claim, more = mill.pipeline.claim(mill.small_id(job))
    assert claim is not None
    assert [step.priority for step in more + mill.pipeline.compress(claim) if isinstance(step, Work)] == [7, 7]


def test_what_is_compressed_is_kept_through_a_locked_database(mill: Mill, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_WAITS_S", (0.0, 0.0))
    job = mill.accept(mill.sheet(URL))
    record, failures = mill.store.record_images, [StoreError("locked"), StoreError("locked")]

    def locked(*args: object) -> int | None:
        if failures:
            raise failures.pop()
        return record(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(mill.store, "record_images", locked)
    mill.turn(job)
    assert (mill.states(job), len(mill.press.pressed)) == (["done"], 1)


def test_a_mistake_of_ours_costs_one_image_and_not_the_job(mill: Mill) -> None:
    mill.origin.answers = {URL: [RuntimeError("unforeseen")]}
    job = mill.accept(mill.sheet(*mill.urls(4)))
    for _ in range(3):
        with pytest.raises(RuntimeError):  # for the queue, which logs it
            mill.work(job)
        mill.work(job)
        mill.clock.now += 400
    image, *others = mill.images(job)
    assert [other.state for other in others] == ["done"] * 3
    assert image.error is not None
    assert (image.state, image.error.code, "unforeseen" in image.error.message) == ("failed", "internal", False)


def test_a_database_that_cannot_be_read_costs_no_attempt(mill: Mill, monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(*_: object) -> None:
        raise StoreError("locked")

    job = mill.accept(mill.sheet(URL))
    with monkeypatch.context() as patch:
        patch.setattr(mill.store, "known_outputs", locked)
        with pytest.raises(StoreError):
            mill.turn(job)
    (image,) = mill.images(job)
    assert (image.state, image.attempts) == ("pending", 0)
    mill.work(job)
    assert mill.states(job) == ["done"]


def with_sample(mill: Mill, every: int) -> None:
    settings = mill.parts.settings
    image = msgspec.structs.replace(settings.image, ssim_every=every)
    mill.with_parts(msgspec.structs.replace(settings, image=image))


def test_a_sample_is_compared_and_repeats_agree(mill: Mill) -> None:
    with_sample(mill, 4)
    urls = mill.urls(120)
    first, second = mill.accept(mill.sheet(*urls)), mill.accept(mill.sheet(*urls[:60], *urls))
    mill.work(first)
    measured = [image.source_url for image in mill.images(first) if image.ssim == 0.75]
    assert 12 < len(measured) < 48
    assert all(image.ssim is None for image in mill.images(first) if image.source_url not in measured)
    assert mill.job(first).worst_ssim is not None
    with_sample(mill, 0)  # what is known is reused: nothing is measured again, and nothing forgotten
    mill.work(second)
    assert len(mill.press.pressed) == 120
    assert {image.source_url for image in mill.images(second) if image.ssim == 0.75} == set(measured)
    other = mill.accept(mill.sheet(*urls), Submission(recipe=Recipe(quality=20)))
    mill.work(other)
    assert {image.ssim for image in mill.images(other)} == {None}
    assert mill.job(other).worst_ssim is None


@on_sqlite
def test_an_image_costs_few_statements(mill: Mill) -> None:
    job = mill.accept(mill.sheet(*mill.urls(64)))
    statements: list[str] = []
    dialect = mill.store._dialect
    assert isinstance(dialect, Sqlite)
    connection: Any = dialect.database.connection()  # type: ignore[no-untyped-call]
    connection.set_trace_callback(statements.append)
    mill.work(job)
    connection.set_trace_callback(None)
    assert mill.states(job) == ["done"] * 64
    assert len(statements) / 64 < 10
