"""Jobs and images as the store gives them, for tests of what is shown; values are made up, shapes are the core's."""

from __future__ import annotations

from datetime import UTC, datetime

from imagemill.core.job import Callback, Counts, Job, Volume
from imagemill.core.recipe import Recipe
from imagemill.core.states import JobState

AT = datetime(2026, 11, 22, tzinfo=UTC)
JOB_ID = "0193b6a8-0000-7000-8000-000000000000"


def job(counts: Counts, state: JobState = JobState.PROCESSING, volume: Volume | None = None) -> Job:
    return Job(
        id=JOB_ID,
        kind="sheet",
        name="",
        owner="local",
        state=state,
        priority=0,
        recipe=Recipe(),
        counts=counts,
        bytes=volume or Volume(),
        created_at=AT,
        started_at=AT,
        finished_at=None,
        expires_at=None,
        eta_s=None,
        callback=Callback(),
    )
