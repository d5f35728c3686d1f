"""What a job says of itself on the wire."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from imagemill.core.job import Callback, Counts, Job, Volume, with_links, with_pace, without_query
from imagemill.core.recipe import Recipe
from imagemill.core.states import JobState

WHEN = datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)
JOB = Job(
    id="00000000-0000-7000-8000-000000000000",
    kind="sheet",
    name="spring",
    owner="shop",
    state=JobState.PENDING,
    priority=0,
    recipe=Recipe(),
    counts=Counts(rows=2, images=3, unique=2, pending=3),
    bytes=Volume(),
    created_at=WHEN,
    started_at=None,
    finished_at=None,
    expires_at=None,
    eta_s=None,
    callback=Callback(),
)


@pytest.mark.parametrize("state", JobState)
def test_four_states_are_the_end(state: JobState) -> None:
    is_end = state in {"completed", "partial", "failed", "cancelled"}
    assert msgspec.structs.replace(JOB, state=state).is_finished is is_end


@pytest.mark.parametrize("base", ["", "https://mill.example"])
def test_links_are_absolute_where_the_base_is(base: str) -> None:
    links = with_links(JOB, base).links
    own = f"{base}/api/v1/jobs/{JOB.id}"
    assert links is not None
    assert msgspec.structs.astuple(links) == (
        own,
        f"{own}/images",
        f"{own}/input",
        f"{own}/output.csv",
        f"{own}/report.csv",
        f"{own}/images.zip",
    )


def test_the_wire_has_the_contract_s_names() -> None:
    wire = msgspec.json.decode(msgspec.json.encode(JOB))
    assert wire["created_at"] == "2026-01-02T03:04:05.678000Z"
    assert wire["state"] == "pending"
    assert wire["counts"] == {
        "rows": 2,
        "images": 3,
        "unique": 2,
        "pending": 3,
        "running": 0,
        "done": 0,
        "failed": 0,
        "cancelled": 0,
    }
    assert wire["bytes"] == {"source": 0, "output": 0, "saved_percent": 0.0}
    assert wire["callback"] == {
        "url": None,
        "state": "none",
        "attempts": 0,
        "last_status": None,
        "next_attempt_at": None,
    }


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://h/end", "https://h/end"),
        ("https://h/end?key=1&x=?", "https://h/end?***"),
        ("https://h/?", "https://h/?***"),
    ],
)
def test_the_query_of_a_callback_is_not_shown(url: str, shown: str) -> None:
    assert without_query(url) == shown


@pytest.mark.parametrize(("pace", "left_s"), [(4.0, 0.5), (0.0, None)])
def test_what_is_left_goes_by_the_pace_of_now(pace: float, left_s: float | None) -> None:
    counts = Counts(rows=2, images=6, unique=3, pending=3, running=1, done=2)
    job = with_pace(msgspec.structs.replace(JOB, counts=counts), pace)
    assert (job.images_per_s, job.eta_s) == (pace, left_s)
