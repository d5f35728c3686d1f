"""Words and callbacks of old services."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import get_args

import msgspec
import pytest

from imagemill.core.job import Callback, Counts, Job, Profile, Volume
from imagemill.core.profiles import CALLBACKS, image_word, job_word, row_word
from imagemill.core.recipe import Recipe
from imagemill.core.states import ImageState, JobState

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
P, R, D, F, C = ImageState.PENDING, ImageState.RUNNING, ImageState.DONE, ImageState.FAILED, ImageState.CANCELLED


def job(state: JobState) -> Job:
    return Job(
        id="j1",
        kind="sheet",
        name="",
        owner="shop",
        state=state,
        priority=0,
        recipe=Recipe(),
        counts=Counts(),
        bytes=Volume(),
        created_at=NOON,
        started_at=None,
        finished_at=None,
        expires_at=None,
        eta_s=None,
        callback=Callback(),
    )


@pytest.mark.parametrize("profile", get_args(Profile))
def test_every_state_has_a_word(profile: Profile) -> None:
    waits, works, succeeded, failed = (
        job_word(profile, state)
        for state in (JobState.PENDING, JobState.PROCESSING, JobState.COMPLETED, JobState.FAILED)
    )
    assert len({waits, works, succeeded, failed}) == 4
    words = {state: job_word(profile, state) for state in JobState}
    assert words[JobState.PAUSED] == works
    assert words[JobState.PARTIAL] == succeeded
    assert words[JobState.CANCELLED] == failed
    assert [image_word(profile, state, is_begun=False) for state in (P, R, D, F, C)] == [
        *(waits, works, succeeded, failed, failed)
    ]
    assert image_word(profile, P, is_begun=True) == works
    assert image_word(profile, D, is_begun=True) == succeeded


@pytest.mark.parametrize(
    ("states", "word"),
    [
        ([P, P], "pending"),
        ([P, R], "processing"),
        ([P, D], "processing"),
        ([D, F], "completed"),
        ([F, C], "failed"),
        ([], "completed"),
    ],
)
def test_a_row_is_what_its_images_are(states: list[ImageState], word: str) -> None:
    assert row_word("csv-api", states) == word


def test_callbacks_have_their_keys_in_order() -> None:
    bip = CALLBACKS["bip"](job(JobState.PARTIAL), NOON, "http://mill")
    assert list(bip.items()) == [
        ("job_id", "j1"),
        ("status", "completed"),
        ("input_csv_url", "http://mill/api/v1/jobs/j1/input"),
        ("output_csv_url", "http://mill/api/v1/jobs/j1/output.csv"),
    ]
    assert msgspec.json.encode(CALLBACKS["csv-api"](job(JobState.CANCELLED), NOON, "http://mill")) == (
        b'{"requestId":"j1","status":"failed","timestamp":"2026-01-02T12:00:00Z",'
        b'"outputCsvUrl":"http://mill/compat/csv-api/api/download/j1"}'
    )


def test_only_what_has_ended_has_an_output() -> None:
    assert "output_csv_url" not in CALLBACKS["bip"](job(JobState.PROCESSING), NOON, "")
