"""Huey, and the only place that knows it: a durable reminder of what the database says is to be done.

Huey deletes a message before it runs it, so a message is worth nothing by itself: losing all of them loses no work
(`recover` asks again). A job has at most `threads` messages here at a time, so the file stays small. A message means
that its job could use a hand; which job gets the hand that is free is decided by `turns`, not by their order.
Messages carry ids only and are JSON: whoever can write the file must not be able to run code.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from typing import TYPE_CHECKING, Any, Protocol

from imagemill.pipeline.steps import Notify, Step, Sweep, Work
from imagemill.queue.carriers import InFile, OnServer
from imagemill.turns import Turns

# Below our own: carriers keeps Huey from loading the drivers of servers.
from huey import crontab  # isort: skip
from huey.consumer import Consumer, Worker  # isort: skip

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from imagemill.db import Claim

log = logging.getLogger(__name__)

_LOOK_S = 0.3
"""An idle worker looks for messages at least this often."""

_LOOKS = 5

_AGAIN_S = 5.0
"""After an unforeseen failure (a locked database, say) a task is asked for again after so many seconds."""


class Story(Protocol):
    """What the queue runs: the pipeline."""

    def claim(self, job_id: int) -> tuple[Claim | None, list[Step]]:
        """Take images."""

    def compress(self, claim: Claim) -> list[Step]:
        """Make their outputs."""

    def notify(self, delivery_id: int) -> list[Step]:
        """Make a callback."""

    def recover(self, *, at_start: bool = False) -> list[Step]:
        """Pick up what was interrupted."""

    def sweep(self) -> list[Step]:
        """Remove what nobody needs."""


class _Worker(Worker):
    def sleep(self) -> None:
        """Wait for the bell; it may ring unheard between the look and this wait, so not for long."""
        with self.huey.bell:
            self.huey.bell.wait(_LOOK_S)


class _Consumer(Consumer):
    worker_class = _Worker

    def _set_signal_handlers(self) -> None:
        """Leave signals to the appliance."""


class Queue:
    """Runs the pipeline's steps in threads. `perform` may be called from any thread once the queue is made."""

    def __init__(self, carrier: Path | OnServer, *, threads: int, others: Callable[[], Sequence[str]] = tuple) -> None:
        """Take a file, or a queue on a server, that nobody else reads; `others` are machines to hear of new work."""
        logging.getLogger("huey").setLevel(logging.WARNING)  # it would tell of every task
        self._threads = threads
        self._turns = Turns(threads)
        self._story: Story | None = None
        self._consumer: _Consumer | None = None
        self._huey: Any = carrier if isinstance(carrier, OnServer) else InFile(carrier)
        self._others = others
        self._work_task: Any = self._huey.task(name="work")(self._work)
        self._wake_task: Any = self._huey.task(name="wake")(self._wake)
        self._notify_task: Any = self._huey.task(name="notify")(self._notify)
        self._sweep_task: Any = self._huey.task(name="sweep")(self._sweep)
        recover = self._huey.periodic_task(crontab(minute="*"), name="recover")(self._recover)
        self._huey.on_return = lambda: self._huey.enqueue(recover.s())

    def start(self, story: Story) -> None:
        """Recover, then run."""
        self._story = story
        self.perform([*story.recover(at_start=True), Sweep()])
        self._consumer = _Consumer(self._huey, workers=self._threads, check_worker_health=True)
        self._consumer.start()

    def stop(self, grace_s: float) -> bool:
        """Begin nothing more and wait for what runs; say whether all of it ended in time."""
        if self._consumer is None:
            return True
        self._consumer.stop_flag.set()
        with self._huey.bell:
            self._huey.bell.notify_all()
        return self.wait(grace_s)

    def wait(self, grace_s: float) -> bool:
        """Wait for the threads to end; say whether all did in time."""
        ends_at = time.monotonic() + grace_s
        for thread in self._all_threads():
            thread.join(max(0.0, ends_at - time.monotonic()))
        has_ended = not any(thread.is_alive() for thread in self._all_threads())
        if has_ended:
            self._huey.hang_up()
        return has_ended

    def check(self) -> bool:
        """Say whether all threads run, after replacing those that died."""
        if self._consumer is None:
            return False
        if not self._consumer.stop_flag.is_set():
            self._consumer.check_worker_health()
        return all(thread.is_alive() for thread in self._all_threads())

    def depth(self) -> int:
        """Return how many messages wait."""
        return int(self._huey.storage.queue_size() + self._huey.storage.schedule_size())

    def trouble(self) -> str | None:
        """Return why no message can be had, in words for an operator; None when they can."""
        return str(trouble) if (trouble := self._huey.trouble()) else None

    def announce(self, steps: list[Step]) -> None:
        """Ask for steps that somebody's request has led to: other machines hear of the work too."""
        self.perform(steps)
        for job_id in {step.job_id for step in steps if isinstance(step, Work)}:
            with contextlib.suppress(*self._huey.errors):
                for machine in self._others():
                    self._huey.tell(machine, self._huey.serialize_task(self._wake_task.s(job_id, priority=0)))

    def perform(self, steps: list[Step]) -> None:
        """Ask for the steps, each job within its window. A server that is away hears of them by `recover`."""
        with contextlib.suppress(*self._huey.errors):
            self._perform(steps)

    def _perform(self, steps: list[Step]) -> None:
        for step in steps:
            if isinstance(step, Notify):
                self._enqueue(self._notify_task, step.delivery_id, step.delay_s, priority=100)
            elif isinstance(step, Sweep):
                self._enqueue(self._sweep_task, 0, 0)
            else:
                self._ask_for_work(step)

    def _ask_for_work(self, step: Work) -> None:
        if step.delay_s > 0:
            if self._turns.put_off(step.job_id, time.monotonic(), step.delay_s):
                self._call_later(step)
            return
        for _ in range(step.tasks):
            if not self._turns.want(step.job_id, step.priority):
                return
            try:
                self._enqueue(self._work_task, step.job_id, 0)
            except BaseException:  # no message, no place: a full disk must not close the window for good
                self._turns.unwant(step.job_id)
                raise

    def _call_later(self, step: Work) -> None:
        try:
            self._enqueue(self._wake_task, step.job_id, step.delay_s)
        except BaseException:  # as above: nobody will call, so the next who puts the job off shall not count on it
            self._turns.wake(step.job_id)
            self._turns.rest(step.job_id)
            raise

    def _enqueue(self, task: Any, argument: int, delay_s: float, *, priority: int = 0) -> None:  # noqa: ANN401  huey is not typed
        message = task.s(argument, priority=priority)
        message.eta = self._huey.later(delay_s) if delay_s > 0 else None
        self._huey.enqueue(message)

    def _work(self, _: int) -> None:
        job_id = self._turns.take()
        if job_id is None:
            return
        started = time.monotonic()
        steps: list[Step] = [Work(job_id, delay_s=_AGAIN_S)]
        try:
            steps = self._claim_and_compress(job_id)
        except Exception:
            log.exception("work on job %s failed; it is tried again", job_id)
        finally:
            self._turns.end(job_id, time.monotonic() - started)
            self.perform(steps)
            self._turns.rest(job_id)

    def _wake(self, job_id: int) -> None:
        self._turns.wake(job_id)
        self.perform([Work(job_id)])

    def _claim_and_compress(self, job_id: int) -> list[Step]:
        story = self._running()
        claim, more = story.claim(job_id)
        if claim is None:
            return more
        self._turns.know(job_id, claim.owner, claim.submission.priority)
        try:
            self.perform(more)
        finally:
            steps = story.compress(claim)  # whatever became of the messages: what is claimed is to be worked on
        return steps

    def _notify(self, delivery_id: int) -> None:
        try:
            self.perform(self._running().notify(delivery_id))
        except Exception:
            log.exception("callback %s failed; it is tried again", delivery_id)
            self.perform([Notify(delivery_id, delay_s=_AGAIN_S)])

    def _recover(self) -> None:
        try:
            if all(self._is_stranded() for _ in range(_LOOKS)):
                self._turns.forget_waiting()
            self.perform([*self._running().recover(), Sweep()])
        except Exception:
            log.exception("recover failed; it is tried again in a minute")

    def _is_stranded(self) -> bool:
        """Look whether turns wait for more messages than there are, and leave a moment to one that is just taken."""
        storage = self._huey.storage
        if not self._turns.is_stranded(storage.queue_size(), storage.schedule_size()):
            return False
        time.sleep(_LOOK_S / _LOOKS)
        return True

    def _sweep(self, _: int) -> None:
        try:
            self.perform(self._running().sweep())
        except Exception:
            log.exception("sweeping failed; it is tried again in a minute")

    def _running(self) -> Story:
        if self._story is None:
            message = "the queue has not been started"
            raise RuntimeError(message)
        return self._story

    def _all_threads(self) -> list[threading.Thread]:
        consumer = self._consumer
        return [] if consumer is None else [consumer.scheduler, *(thread for _, thread in consumer.worker_threads)]
