"""The queue forgets nothing that matters, lets jobs take turns, and outlives what goes wrong in the story."""

from __future__ import annotations

import contextlib
import json
import secrets
import sqlite3
import stat
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from imagemill import queue as module
from imagemill.core.job import Submission
from imagemill.db import Claim
from imagemill.pipeline import Notify, Step, Work
from imagemill.queue import Queue
from imagemill.queue.carriers import OnServer
from tests.appliance_process import until
from tests.redis_server import RedisServer, needs_redis


class FakeStory:
    """Jobs are numbers of images; `told` is what happened, in order. `on_compress` may block or fail."""

    def __init__(self, **images: int) -> None:
        self.left = {int(name[1:]): count for name, count in images.items()}
        self.told: list[str] = []
        self.at_work: Counter[int] = Counter()
        self.on_compress: Callable[[int], object] = lambda job_id: None
        self.on_claim: Callable[[int], object] = lambda job_id: None
        self.on_notify: Callable[[int], list[Step]] = lambda delivery_id: []
        self.on_sweep: Callable[[int], list[Step]] = lambda _: []
        self.on_recover: Callable[[bool], list[Step]] = lambda at_start: [] if at_start else self._unfinished()
        self._lock = threading.Lock()

    def claim(self, job_id: int) -> tuple[Claim | None, list[Step]]:
        self.on_claim(job_id)
        with self._lock:
            if not self.left.get(job_id):
                return None, []
            self.left[job_id] -= 1
            self.at_work[job_id] += 1
            return Claim(job_id, "uid", "shop", "token", Submission(), "print", []), self._more(job_id)

    def compress(self, claim: Claim) -> list[Step]:
        try:
            self.on_compress(claim.job_id)
        finally:
            with self._lock:
                self.at_work[claim.job_id] -= 1
                self.told.append(f"job {claim.job_id}")
        return self._more(claim.job_id)

    def notify(self, delivery_id: int) -> list[Step]:
        self.told.append(f"notify {delivery_id}")
        return self.on_notify(delivery_id)

    def recover(self, *, at_start: bool = False) -> list[Step]:
        if at_start:
            self.told.append("start")
        return self.on_recover(at_start)

    def sweep(self) -> list[Step]:
        return self.on_sweep(0)

    def _unfinished(self) -> list[Step]:
        """Return what `recover` tells: the queue may forget what it was asked for, and counts on that."""
        return [Work(job_id, tasks=left) for job_id, left in self.left.items() if left]

    def _more(self, job_id: int) -> list[Step]:
        return [Work(job_id, tasks=self.left[job_id])] if self.left[job_id] else []


class Failing:
    """Fails so many times, then does nothing."""

    def __init__(self, times: int) -> None:
        self._left = [f"broken {time}" for time in range(times)]

    def __call__(self, number: int) -> list[Step]:
        with contextlib.suppress(IndexError):  # of two threads one takes the last
            message = self._left.pop()
            raise RuntimeError(message, number)
        return []


Carrier = Callable[[], Path | OnServer]


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=needs_redis)])
def carrier(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Carrier]:
    """Return what makes the same carrier anew, as a start does."""
    if request.param == "sqlite":
        yield lambda: tmp_path / "queue.db"
        return
    server, machine, made = request.getfixturevalue("redis"), secrets.token_hex(4), list[OnServer]()

    def on_server() -> OnServer:
        made.append(OnServer(server.url, machine))
        return made[-1]

    yield on_server
    for each in made:
        each.hang_up()


@pytest.fixture
def run(carrier: Carrier) -> Iterator[Callable[..., Queue]]:
    """Start a queue on a story; stop it in the end."""
    queues: list[Queue] = []

    def start(story: FakeStory, *, threads: int = 2, before: tuple[Step, ...] = ()) -> Queue:
        queue = Queue(carrier(), threads=threads)
        queue.perform(list(before))
        queue.start(story)
        queues.append(queue)
        return queue

    yield start
    for queue in queues:
        assert queue.stop(30)


def messages(queue: Queue) -> list[bytes]:
    storage = queue._huey.storage
    return [*storage.enqueued_items(), *storage.scheduled_items()]


def test_messages_are_json_with_ids_only(carrier: Carrier, tmp_path: Path) -> None:
    queue = Queue(carrier(), threads=4)
    queue.perform([Work(7, priority=2), Notify(3), Notify(4, delay_s=60.0), Work(8, delay_s=60.0)])
    told = [json.loads(message) for message in messages(queue)]
    assert sorted((args, name.split(".")[-1], eta is None, priority) for _, name, eta, priority, args in told) == [
        ([3], "notify", True, 100),
        ([4], "notify", False, 100),
        ([7], "work", True, 0),
        ([8], "wake", False, 0),
    ]
    assert queue.depth() == 4
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} <= {0o600}


def test_a_job_has_a_window(carrier: Carrier) -> None:
    queue = Queue(carrier(), threads=4)
    depths = []
    for step in (
        Work(1, tasks=3),
        Work(1, tasks=1_000_000),
        Work(1),
        Work(1, delay_s=9.0),
        Work(2, tasks=50),
        Work(3, delay_s=9.0, tasks=5),
        Work(3, delay_s=9.0),
        Work(3, tasks=0),
    ):
        queue.perform([step])
        depths.append(queue.depth())
    assert depths == [3, 4, 4, 4, 8, 9, 9, 9]


def test_the_window_holds_while_a_job_runs(run: Callable[..., Queue]) -> None:
    story, go, depths = FakeStory(j1=300), threading.Event(), []

    def look(job_id: int) -> None:
        assert story.at_work[job_id] > 0
        depths.append(queue.depth())
        assert go.wait(60)

    story.on_compress = look
    queue = run(story, threads=3)
    queue.perform([Work(1)])
    until(lambda: story.at_work[1] == 3, 30, "one message grew to all hands")
    go.set()
    until(lambda: len(story.told) == 301, 30, "the job was done")
    assert max(depths) <= 3  # two beside the one that looks, and the minute's recover
    until(lambda: not queue._turns._jobs, 30, "the window is empty in the end")


def test_what_an_earlier_process_left_is_forgotten(carrier: Carrier, tmp_path: Path) -> None:
    Queue(carrier(), threads=1).perform([Work(1), Notify(1, delay_s=5.0)])
    assert Queue(carrier(), threads=1).depth() == 0
    (tmp_path / "queue.db").write_bytes(b"torn" * 5000)
    assert Queue(carrier(), threads=1).depth() == 0


@pytest.mark.parametrize("hours", [-5, 5])
def test_a_wall_clock_that_is_set_hastens_and_delays_nothing(run: Callable[..., Queue], hours: int) -> None:
    story = FakeStory(j1=1)
    queue = run(story)
    queue._huey._began += timedelta(hours=hours)  # as if the wall clock had gone the other way since
    queue.perform([Notify(1, delay_s=3600.0), Notify(2, delay_s=0.1), Work(1, delay_s=0.1)])
    until(lambda: len(story.told) == 3, 30, "what was due was done")
    assert sorted(story.told) == ["job 1", "notify 2", "start"]


def test_the_start_recovers_first(run: Callable[..., Queue]) -> None:
    story = FakeStory(j5=2)
    story.on_recover = lambda at_start: [Work(5, tasks=2), Notify(6)] if at_start else []
    run(story)
    until(lambda: len(story.told) == 4, 30, "everything was done")
    assert story.told[0] == "start"
    assert Counter(story.told[1:]) == {"job 5": 2, "notify 6": 1}


def test_every_minute_it_recovers(run: Callable[..., Queue]) -> None:
    story = FakeStory(j5=1)
    story.on_recover = lambda at_start: [] if at_start else [Work(5)]
    queue = run(story)
    (periodic,) = queue._huey._registry.periodic_tasks
    queue._huey.enqueue(periodic)
    until(lambda: "job 5" in story.told, 30, "recovered work was done")
    assert story.told == ["start", "job 5"]


def test_callbacks_and_urgent_jobs_come_first(run: Callable[..., Queue]) -> None:
    story = FakeStory(j1=1, j2=1, j3=1)
    run(story, threads=1, before=(Work(1), Work(2, priority=-5), Work(3, priority=5), Notify(9)))
    until(lambda: len(story.told) == 5, 30, "everything was done")
    assert story.told == ["start", "notify 9", "job 3", "job 1", "job 2"]


def test_a_small_job_is_done_while_a_big_one_runs(run: Callable[..., Queue]) -> None:
    story = FakeStory(j1=1000, j2=5)
    is_asked = threading.Event()
    queue: list[Queue] = []

    def look(job_id: int) -> None:
        if job_id == 1 and story.left[1] <= 950 and not is_asked.is_set():
            is_asked.set()
            queue[0].perform([Work(2, tasks=5)])

    story.on_compress = look
    queue.append(run(story))
    queue[0].perform([Work(1, tasks=1000)])
    until(lambda: len(story.told) == 1006, 60, "both jobs were done")
    last_small = max(at for at, what in enumerate(story.told) if what == "job 2")
    # Some 60 where every thread has its share, a window of big ones before each; a thread may lose the core.
    assert last_small < 800


def test_a_failure_kills_no_thread_and_is_tried_again(
    run: Callable[..., Queue], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_AGAIN_S", 0.05)
    story = FakeStory(j1=6)
    story.on_claim, story.on_compress, story.on_notify = Failing(2), Failing(2), Failing(1)
    queue = run(story, before=(Work(1, tasks=6), Notify(9)))
    until(lambda: story.told.count("job 1") == 6 and story.told.count("notify 9") == 2, 30, "all was tried again")
    assert queue.check()
    until(lambda: not queue._turns._jobs, 30, "the window is empty in the end")
    failures = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert Counter(text.split(" failed")[0] for text in failures) == {"work on job 1": 4, "callback 9": 1}


def test_a_failing_recover_is_survived(run: Callable[..., Queue], caplog: pytest.LogCaptureFixture) -> None:
    story = FakeStory()
    queue = run(story)
    fail = Failing(1)
    story.on_recover = fail
    queue._recover()
    until(
        lambda: "recover failed" in caplog.text, 30, "one of two failed: a thread of the queue may have recovered first"
    )


def test_what_cannot_be_enqueued_does_not_fill_the_window(carrier: Carrier, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = Queue(carrier(), threads=2)

    def full(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(queue._huey.storage, "enqueue", full)
        for step in (Work(1, tasks=2), Work(1, tasks=2), Work(1), Work(2, delay_s=60.0)):
            with pytest.raises(sqlite3.OperationalError):
                queue.perform([step])
    queue.perform([Work(1, tasks=2)])
    assert queue.depth() == 2
    queue.perform([Work(2, delay_s=60.0)])
    assert queue.depth() == 3


def test_stop_waits_for_what_runs_and_begins_nothing_more(carrier: Carrier) -> None:
    story, go, begun = FakeStory(j1=50), threading.Event(), threading.Event()

    def block(job_id: int) -> None:
        begun.set()
        assert go.wait(60)

    story.on_compress = block
    queue = Queue(carrier(), threads=2)
    assert queue.stop(0.0)  # not started yet
    assert not queue.check()
    queue.start(story)
    assert queue.check()
    queue.perform([Work(1, tasks=50)])
    assert begun.wait(60)
    assert not queue.stop(0.05)
    go.set()
    assert queue.wait(60)
    assert not queue.check()
    assert story.told.count("job 1") <= 2
    assert not +story.at_work


def test_a_queue_runs_nothing_before_it_has_a_story(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="not been started"):
        Queue(tmp_path / "queue.db", threads=1)._running()


@needs_redis
def test_a_server_that_was_away_and_forgot_all_loses_no_work(
    redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    with RedisServer() as own:
        story, is_away = FakeStory(j1=400), threading.Event()
        story.on_recover = lambda _: [Work(1, tasks=2)]
        story.on_compress = lambda _: len(story.told) <= 20 or is_away.wait(60)
        queue = Queue(OnServer(own.url, "m"), threads=2)
        queue.start(story)
        until(lambda: len(story.told) > 20, 30, "some is done")
        assert queue.trouble() is None
        with own.outage():
            until(lambda: queue.trouble() is not None, 30, "it is found away")
            queue.perform([Work(2), Notify(3)])
            assert len(story.told) < 30
            is_away.set()
        until(lambda: len(story.told) == 401, 30, "all is done")
        assert "the queue is there again" in caplog.text
        assert queue.stop(30)


@needs_redis
def test_a_message_for_later_that_is_lost_on_its_way_is_made_up_for() -> None:
    with RedisServer() as own:
        story = FakeStory()
        story.on_recover = lambda at_start: [] if at_start else [Notify(4)]
        carrier = OnServer(own.url, "m")
        queue = Queue(carrier, threads=1)
        with own.outage():
            carrier.add_schedule(queue._notify_task.s(3))
        queue.start(story)
        until(lambda: "notify 4" in story.told, 30, "all is told again")
        assert queue.stop(30)


@needs_redis
def test_new_work_is_heard_of_by_all_machines_and_no_message_is_taken_by_another(redis: RedisServer) -> None:
    here, there = FakeStory(j1=0), FakeStory(j1=1)
    names = [secrets.token_hex(4) for _ in range(2)]
    near = Queue(OnServer(redis.url, names[0]), threads=1, others=lambda: names[1:])
    far = Queue(OnServer(redis.url, names[1]), threads=1)
    near.announce([Work(1), Notify(7)])
    assert (near.depth(), far.depth()) == (2, 1)
    for queue, story in ((near, here), (far, there)):
        queue.start(story)
    until(lambda: "notify 7" in here.told and "job 1" in there.told, 30, "both have worked")
    assert "notify 7" not in there.told
    assert near.stop(30)
    assert far.stop(30)
