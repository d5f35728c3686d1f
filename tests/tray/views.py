"""Views made up for tests: what the appliance might say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from imagemill.core.job import Callback, Counts, Job, Volume
from imagemill.core.recipe import Recipe
from imagemill.core.states import JobState
from imagemill.tray.view import System, View

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


def job(number: int = 1, state: JobState = JobState.PROCESSING, *, minute: int = 0, **fields: Any) -> Job:  # noqa: ANN401
    """Return a job made at noon and `minute`; ended a moment later, if it has."""
    is_over = state in {JobState.COMPLETED, JobState.PARTIAL, JobState.FAILED, JobState.CANCELLED}
    created_at = NOON + timedelta(minutes=minute)
    given = {
        "id": f"0193b6a8-0000-7000-8000-{number:012d}",
        "kind": "sheet",
        "name": f"sheet {number}",
        "owner": "admin",
        "state": state,
        "priority": 0,
        "recipe": Recipe(),
        "counts": Counts(images=10, done=6, failed=1, pending=3),
        "bytes": Volume(),
        "created_at": created_at,
        "started_at": created_at,
        "finished_at": created_at + timedelta(seconds=20) if is_over else None,
        "expires_at": None,
        "eta_s": 130.0,
        "callback": Callback(),
    }
    return Job(**{**given, **fields})


def system(**fields: Any) -> System:  # noqa: ANN401
    """Return a system that is well, with an unfinished job."""
    given = {
        "version": "1.2.3",
        "paused_at": None,
        "unfinished_jobs": 1,
        "waiting": 3,
        "running": 0,
        "ready": True,
        "readiness": {"database": "ok"},
        "engine": {"engine": "pillow-simd", "version": "12.1"},
    }
    return System(**{**given, **fields})


def view(**fields: Any) -> View:  # noqa: ANN401
    """Return a view of that."""
    given = {"system": system(), "jobs": (job(),), "address": "http://127.0.0.1:8750", "data_dir": "/mill"}
    return View(**{**given, **fields})


IDLE = view(system=system(unfinished_jobs=0), jobs=())
STARTING = view(system=None, jobs=())
LOST = view(system=None, jobs=(), trouble="does not answer")
PAUSED = view(system=system(paused_at=NOON))
UNWELL = view(system=system(ready=False, readiness={"database": "ok", "disk": "3 MiB free", "workers": "dead"}))
