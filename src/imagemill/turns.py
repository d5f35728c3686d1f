"""Whose turn it is: owners have equal shares of the threads, and an owner's jobs divide his by their priority.

What is shared is time in a thread's hands. A free thread goes to the owner who has had least of it, and there to the
job that has; a hand that is at work counts as if it would take `HAND_S`. Each step of priority doubles a job's share:
of two jobs that differ by ten the urgent one gets a thousand hands for the other's one, so it goes first, but starves
nobody. Who comes, or comes back, begins where those who wait are: idle time is not saved up. So a small job beside a
large one has half of the threads, and an owner of fifty jobs no more than an owner of one. Decides; never waits.
"""

from __future__ import annotations

import threading
from typing import Final

HAND_S: Final = 2.0
"""What a hand at work counts for until its true time is known: the longest slice, so that hands are shared evenly."""

_LATER_S: Final = 1.0


class _Share:
    """Of an owner, or of a job in its owner's."""

    def __init__(self) -> None:
        self.weight = 1.0
        self.hands = 0
        self.spent_s = 0.0

    @property
    def had_s(self) -> float:
        """Seconds had, or begun to be had, by weight."""
        return self.spent_s + self.hands * HAND_S / self.weight

    def end(self, spent_s: float) -> None:
        self.hands -= 1
        self.spent_s += spent_s / self.weight


class _Job(_Share):
    def __init__(self, job_id: int) -> None:
        super().__init__()
        self.id = job_id
        self.owner_name: str | None = None
        self.owner = _Share()
        self.wanted = 0
        self.wakes_at: float | None = None

    @property
    def is_active(self) -> bool:
        return self.wanted + self.hands > 0

    @property
    def rank(self) -> tuple[float, float, float, int]:
        return self.owner.had_s, self.had_s, -self.weight, self.id


class Turns:
    """Jobs that want hands. Safe to use from many threads at a time; `now` is monotonic seconds.

    A job whose owner is not known yet counts as an owner of its own until its first claim tells.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._jobs: dict[int, _Job] = {}
        self._lock = threading.Lock()

    def want(self, job_id: int, priority: int | None = None) -> bool:
        """Note that a job could use one more hand; False when it has, or waits for, as many as it may."""
        with self._lock:
            job = self._jobs.setdefault(job_id, _Job(job_id))
            if priority is not None:
                job.weight = 2.0**priority
            if job.wanted + job.hands >= self._most:
                return False
            if not job.is_active:
                self._enter(job)
            job.wanted += 1
            return True

    def unwant(self, job_id: int) -> None:
        """Take back one `want`; where the job has got its hand meanwhile, another's that still waits."""
        with self._lock:
            waiting = sorted((job for job in self._jobs.values() if job.wanted), key=lambda job: job.id != job_id)
            for job in waiting[:1]:
                job.wanted -= 1
                self._forget(job.id)

    def take(self) -> int | None:
        """Give a hand to the job whose turn it is; None when none wants one."""
        with self._lock:
            waiting = [job for job in self._jobs.values() if job.wanted]
            if not waiting:
                return None
            job = min(waiting, key=lambda job: job.rank)
            job.wanted -= 1
            job.hands += 1
            job.owner.hands += 1
            return job.id

    def know(self, job_id: int, owner: str, priority: int) -> None:
        """Take note of whose a job at work is, and how urgent."""
        with self._lock:
            job = self._jobs[job_id]
            job.weight = 2.0**priority
            if job.owner_name == owner:
                return
            job.owner_name = owner
            others = [other.owner for other in self._jobs.values() if other is not job and other.owner_name == owner]
            if others:
                job.owner = others[0]
                job.owner.hands += job.hands
                self._enter(job)

    def end(self, job_id: int, spent_s: float) -> None:
        """Take back a hand that was at work for so long."""
        with self._lock:
            job = self._jobs[job_id]
            job.end(spent_s)
            job.owner.end(spent_s)

    def put_off(self, job_id: int, now: float, delay_s: float) -> bool:
        """Say whether a job has to be woken after `delay_s`: a hand of its own, or an earlier call, will ask anyway."""
        with self._lock:
            job = self._jobs.setdefault(job_id, _Job(job_id))
            is_early = job.wakes_at is None or now + delay_s < job.wakes_at - _LATER_S
            if job.is_active or not is_early:
                return False
            job.wakes_at = now + delay_s
            return True

    def wake(self, job_id: int) -> None:
        """Take note that a job's call has come."""
        with self._lock:
            if job := self._jobs.get(job_id):
                job.wakes_at = None

    def rest(self, job_id: int) -> None:
        """Forget a job that neither works nor waits."""
        with self._lock:
            self._forget(job_id)

    def is_stranded(self, messages: int, calls: int) -> bool:
        """Say whether more hands and calls are waited for than there are messages: the queue was lost."""
        with self._lock:
            wanted = sum(job.wanted for job in self._jobs.values())
            return wanted > messages or sum(job.wakes_at is not None for job in self._jobs.values()) > calls

    def forget_waiting(self) -> None:
        """Take back every hand that is waited for, and every call: whoever still wants one asks again."""
        with self._lock:
            for job in list(self._jobs.values()):
                job.wanted, job.wakes_at = 0, None
                self._forget(job.id)

    def _forget(self, job_id: int) -> None:
        job = self._jobs.get(job_id)
        if job and not job.is_active and job.wakes_at is None:
            del self._jobs[job_id]

    def _enter(self, job: _Job) -> None:
        """Let a job begin where those are who wait: it has not saved up what it did not use."""
        active = [other for other in self._jobs.values() if other is not job and other.is_active]
        siblings = [other.spent_s for other in active if other.owner is job.owner]
        job.spent_s = max(job.spent_s, min(siblings, default=0.0))
        if not siblings:
            owners = [other.owner.spent_s for other in active]
            job.owner.spent_s = max(job.owner.spent_s, min(owners, default=0.0))
