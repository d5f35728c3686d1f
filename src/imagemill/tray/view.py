"""What is known of the appliance at one moment, and what that comes to. Pure."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Final

import msgspec

from imagemill.core.job import Job
from imagemill.core.states import JobState


class Mood(StrEnum):
    """How the appliance is, as far as an icon can say it."""

    STARTING = "starting"
    IDLE = "idle"
    WORKING = "working"
    PAUSED = "paused"
    PROBLEM = "problem"


class System(msgspec.Struct, frozen=True, kw_only=True):
    """The part of /api/v1/system that is shown here."""

    version: str
    paused_at: datetime | None
    unfinished_jobs: int
    waiting: int
    running: int
    ready: bool
    readiness: dict[str, str]
    engine: dict[str, str]

    @property
    def faults(self) -> list[str]:
        """What each part says that cannot work."""
        return [word for word in self.readiness.values() if word != "ok"]


class View(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known. `system` is None while nobody answers; `trouble` says why, where that is a fault.

    `jobs` are unfinished, the newest first. `is_ours`: a tray has started it, so a tray may stop it. `is_leaving`: to
    quit when the work is done.
    """

    system: System | None = None
    jobs: tuple[Job, ...] = ()
    trouble: str = ""
    address: str = ""
    data_dir: str = ""
    has_folder: bool = True
    is_ours: bool = True
    starts_at_login: bool = False
    is_leaving: bool = False

    @property
    def mood(self) -> Mood:
        """The one word for it."""
        if self.system is None:
            return Mood.PROBLEM if self.trouble else Mood.STARTING
        if self.is_paused:
            return Mood.PAUSED
        if not self.system.ready:
            return Mood.PROBLEM
        return Mood.WORKING if self.system.unfinished_jobs else Mood.IDLE

    @property
    def is_paused(self) -> bool:
        """Whether nothing goes on because somebody wanted that: everything is paused, or each of the jobs is."""
        if self.system is None:
            return False
        own = bool(self.jobs) and all(job.state is JobState.PAUSED for job in self.jobs)
        return self.system.paused_at is not None or own

    @property
    def percent(self) -> int | None:
        """How far all unfinished jobs are together, 0 to 100; None where there is none."""
        images = sum(job.counts.images for job in self.jobs)
        return 100 * sum(map(ended, self.jobs)) // images if images else None

    @property
    def headline(self) -> str:
        """One line for the tooltip, and the menu's head."""
        return f"imagemill: {_SAYS[self.mood](self)}"


def ended(job: Job) -> int:
    """Return how many of a job's images have ended, well or not."""
    return job.counts.done + job.counts.failed + job.counts.cancelled


def name_of(job: Job) -> str:
    """Return what a job is called, fit for a menu: names come from strangers, and may be long."""
    name = "".join(char if char.isprintable() else " " for char in job.name).strip() or f"job {job.id[:8]}"
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1].rstrip()}…"


def progress_of(job: Job) -> str:
    """Return how far a job is, in words."""
    if job.state is JobState.PAUSED:
        return "paused"
    if job.state is JobState.PENDING or not job.counts.images:
        return "waits"
    left = "" if job.eta_s is None else f", {_duration(job.eta_s)} left"
    return f"{100 * ended(job) // job.counts.images} %{left}"


def counted(number: int, one: str) -> str:
    """Return a number with its noun, whose plural is regular."""
    return f"{number:,} {one}" if number == 1 else f"{number:,} {one}s"


def _duration(seconds: float) -> str:
    if seconds < _MINUTE_S:
        return "less than a minute"
    minutes = round(seconds / _MINUTE_S)
    return f"{minutes} min" if minutes < _MINUTE_S else f"{minutes // 60} h {minutes % 60} min"


def _working(view: View) -> str:
    jobs = counted(view.system.unfinished_jobs if view.system else 0, "job")
    percent = "" if view.percent is None else f", {view.percent} %"
    return f"{jobs}{percent}{', then quits' if view.is_leaving else ''}"


def _problem(view: View) -> str:
    return view.trouble if view.system is None else "; ".join(view.system.faults)


_LONGEST: Final = 40
_MINUTE_S: Final = 60
_SAYS: Final = {
    Mood.STARTING: lambda _: "starting",
    Mood.IDLE: lambda _: "nothing to do",
    Mood.WORKING: _working,
    Mood.PAUSED: lambda _: "paused",
    Mood.PROBLEM: _problem,
}
