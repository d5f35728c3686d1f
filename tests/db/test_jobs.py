"""Accepting jobs, listing them, and their state as it derives in Python and in SQL."""

from __future__ import annotations

import random
import secrets
from pathlib import Path
from typing import Any

import msgspec
import peewee
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imagemill.core import keys
from imagemill.core.errors import ImagemillError, NotFoundError, RequestError
from imagemill.core.job import Submission, Worst
from imagemill.core.recipe import Recipe
from imagemill.core.states import ImageState, JobState, job_state
from imagemill.db import JobFilter, Staging, Store
from imagemill.db.jobs import _JOBS, _conditions, eta_s, moment, saved_percent
from tests.postgres_server import on_sqlite
from tests.seeds import NOON, Clock, Seeds, done, failed

ALL = JobFilter()


def listed(store: Store, where: JobFilter = ALL) -> list[str]:
    found: list[str] = []
    cursor = None
    while True:
        jobs, cursor = store.jobs(where, 2, cursor)
        found += [job.id for job in jobs]
        if cursor is None:
            return found


def test_a_job_is_accepted_with_each_url_once(store: Store, seeds: Seeds) -> None:
    asked = Submission(name="spring", priority=3, recipe=Recipe(quality=40), expires_in_s=60)
    job = seeds.job([["http://a/1", "http://a/2", "http://a/1"], [], ["http://a/1"], ["http://a/3"]], asked)
    read = store.job(job.uid)
    assert (job.images, read.counts.rows, read.counts.images, read.counts.unique) == (3, 4, 5, 3)
    assert (read.state, read.counts.pending, read.name, read.priority) == (JobState.PENDING, 5, "spring", 3)
    assert (read.recipe.quality, read.owner, read.kind) == (40, "shop", "sheet")
    assert (read.created_at, read.expires_at) == (moment(NOON), moment(NOON + 60))
    assert (read.started_at, read.finished_at, read.eta_s) == (None, None, None)
    places = [(image.row, image.position, image.source_url) for image in store.images(job.uid, None, 50, None)[0]]
    assert places == [
        (2, 1, "http://a/1"),
        (2, 2, "http://a/2"),
        (2, 3, "http://a/1"),
        (4, 1, "http://a/1"),
        (5, 1, "http://a/3"),
    ]
    ids = [image.id for image in store.images(job.uid, None, 50, None)[0]]
    assert len(set(ids)) == 5


def test_a_sheet_without_urls_is_a_job_that_ends_at_once(store: Store, seeds: Seeds) -> None:
    job = seeds.job([[], []])
    assert store.job(job.uid).counts.images == 0
    assert store.finish_idle_jobs() == []
    assert store.job(job.uid).state is JobState.COMPLETED
    assert store.job(job.uid).finished_at is not None


def test_accepting_is_one_transaction(store: Store, seeds: Seeds) -> None:
    first = seeds.job([["http://a/1"]])
    twin = msgspec.structs.replace(seeds.new(asked=Submission()), uid=first.uid)
    with pytest.raises(peewee.IntegrityError):
        store.accept_job(twin, seeds.staged([["http://a/2"]]))
    empty = Staging(Path(seeds.staged([]).path.with_name("unsealed.db")))
    empty.close()
    with pytest.raises(ImagemillError):
        store.accept_job(seeds.new(asked=Submission()), empty)
    assert store.known_uids() == {first.uid}
    assert seeds.job([["http://a/3"]]).images == 1  # nothing stayed attached


@on_sqlite
def test_accepting_waits_for_the_disk(store: Store, seeds: Seeds, monkeypatch: pytest.MonkeyPatch) -> None:
    levels = []
    insert = store._insert_job

    def look(*new: Any) -> object:  # noqa: ANN401
        levels.append(store._row("PRAGMA synchronous"))
        return insert(*new)

    monkeypatch.setattr(store, "_insert_job", look)
    seeds.job([["http://a/1"]])
    assert (levels, store._row("PRAGMA synchronous")) == ([(2,)], (1,))


def test_an_owner_sees_only_his_own(store: Store, seeds: Seeds) -> None:
    mine, other = seeds.images(1), seeds.job([["http://b/1"]], owner="garden")
    assert store.job(mine.uid, "shop").id == store.job(mine.uid).id == mine.uid
    for uid, owner in [(other.uid, "shop"), (mine.uid, ""), ("nothing", None)]:
        with pytest.raises(NotFoundError):
            store.job(uid, owner)
    assert listed(store, JobFilter(owner="shop")) == [mine.uid]


def test_what_there_is_not_is_said(store: Store) -> None:
    with pytest.raises(NotFoundError):
        store.submission("nothing")
    with pytest.raises(NotFoundError):
        store.images("nothing", None, 1, None)
    with pytest.raises(NotFoundError):
        next(store.fates("nothing"))
    assert store.sheet_filename("nothing") == ""


def test_filters_combine(store: Store, seeds: Seeds, clock: Clock) -> None:
    uids = []
    for name in ("a", "b", "a", "a"):
        clock.now += 10
        uids.append(seeds.images(1, Submission(name=name)).uid)
    assert listed(store) == uids[::-1]
    assert listed(store, JobFilter(name="a")) == [uids[3], uids[2], uids[0]]
    assert listed(store, JobFilter(created_after=NOON + 10, created_before=NOON + 40)) == [uids[2], uids[1]]
    assert listed(store, JobFilter(name="a", created_after=NOON + 30, state=JobState.PENDING)) == [uids[3]]


def test_a_cursor_stays_right_while_jobs_are_added(store: Store, seeds: Seeds) -> None:
    old = [seeds.images(1).uid for _ in range(5)][::-1]
    page, cursor = store.jobs(ALL, 2, None)
    seen = [job.id for job in page]
    while cursor:
        seeds.images(1)
        page, cursor = store.jobs(ALL, 2, cursor)
        seen += [job.id for job in page]
    assert seen == old


@pytest.mark.parametrize("cursor", ["", "x", "-1", "1.5", "²", "1" * 19, "1; DROP TABLE job"])
def test_a_foreign_cursor_is_refused(store: Store, cursor: str) -> None:
    with pytest.raises(RequestError) as caught:
        store.jobs(ALL, 1, cursor)
    assert caught.value.errors[0][0] == "cursor"


FACTS = st.fixed_dictionaries({name: st.booleans() for name in ("started", "paused", "cancelled")})


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.lists(st.sampled_from(ImageState), max_size=4), FACTS), min_size=1, max_size=4))
def test_sql_and_python_derive_the_same_state(
    store: Store, seeds: Seeds, jobs: list[tuple[list[ImageState], dict[str, bool]]]
) -> None:
    expected: dict[str, JobState] = {}
    owner = secrets.token_hex(8)
    for states, facts in jobs:
        job = seeds.job([[f"http://a/{n}"] for n in range(len(states))], owner=owner)
        for n, state in enumerate(states, 1):
            store._touched("UPDATE image SET state = ? WHERE job_id = ? AND n = ?", (state.value, job.id, n))
        for fact, is_true in facts.items():
            store._touched(f"UPDATE job SET {fact}_at = ? WHERE id = ?", (NOON if is_true else None, job.id))
        expected[job.uid] = job_state({state: states.count(state) for state in ImageState}, **facts)
    for wanted in JobState:
        found = set(listed(store, JobFilter(state=wanted, owner=owner)))
        assert found == {uid for uid, derived in expected.items() if derived is wanted}
    assert {uid: store.job(uid).state for uid in expected} == expected


def test_the_same_sheet_and_wishes_are_found_again(store: Store, seeds: Seeds) -> None:
    asked = Submission(callback_secret="s")
    first = seeds.job([["http://a/1"]], asked)
    digest = seeds.new(asked=asked).sheet_sha256
    assert store.same_job(digest, asked, "shop") == first.uid
    second = seeds.job([["http://a/1"]], asked)
    assert store.same_job(digest, asked, "shop") == second.uid
    assert store.same_job(digest, Submission(), "shop") is None
    assert store.same_job("0" * 64, asked, "shop") is None
    assert store.same_job(digest, asked, "somebody else") is None
    assert store.submission(first.uid) == asked
    assert store.sheet_filename(first.uid) == "shop.csv"


def test_open_jobs_come_most_urgent_first(store: Store, seeds: Seeds) -> None:
    slow, ended, urgent, paused = (seeds.images(2, Submission(priority=p)) for p in (0, 9, 5, 7))
    claim = seeds.claim(ended)
    store.record_images(claim, [done(claim, 1), done(claim, 2)])
    store._touched("UPDATE job SET paused_at = ? WHERE id = ?", (NOON, paused.id))
    assert [(job.id, job.images, job.priority) for job in store.open_jobs()] == [(urgent.id, 2, 5), (slow.id, 2, 0)]
    assert store.known_uids() == {job.uid for job in (slow, ended, urgent, paused)}


def test_a_job_sums_what_it_has_done(store: Store, seeds: Seeds, clock: Clock) -> None:
    job = seeds.job([["http://a/1", "http://a/1", "http://a/2"], ["http://a/3", "http://a/4"]])
    claim = seeds.claim(job)
    clock.now += 10
    store.record_images(claim, [done(claim, 1, size=1000, output_bytes=300), failed(3)])
    read = store.job(job.uid)
    assert (read.state, read.started_at) == (JobState.PROCESSING, moment(NOON))
    assert (read.counts.done, read.counts.failed, read.counts.running) == (2, 1, 2)
    assert (read.bytes.source, read.bytes.output, read.bytes.saved_percent) == (2000, 600, 70.0)
    assert read.eta_s == pytest.approx(6.7)  # 3 places in 10 s, 2 to go


@pytest.mark.parametrize(
    ("started_at", "ended", "waiting", "expected"),
    [(None, 5, 5, None), (NOON, 0, 5, None), (NOON, 5, 5, 10.0), (NOON, 5, 0, 0.0), (NOON, 10, 1, 1.0)],
)
def test_the_rest_is_estimated(started_at: float | None, ended: int, waiting: int, expected: float | None) -> None:
    counts = {ImageState.DONE: ended, ImageState.PENDING: waiting}
    assert eta_s(NOON + 10, started_at, counts) == expected


def test_savings_are_percent_to_one_decimal() -> None:
    assert [saved_percent(1000, 333), saved_percent(0, 0), saved_percent(100, 110)] == [66.7, 0.0, -10.0]


def test_staging_finds_repeated_serials_over_all_rows(tmp_path: Path) -> None:
    staging = Staging(tmp_path / "staging.db")
    numbers = list(range(2, 7000))
    random.Random(7).shuffle(numbers)
    for row in sorted(numbers):
        serial = {6000: "S2", 6500: "S3000", 6999: "S2"}.get(row, f"S{row}")
        staging.add(row, [f"http://a/{row}"] * 2, "" if row == 100 else serial)
    assert staging.repeated_serials(10) == [(6000, 2, "S2"), (6500, 3000, "S3000"), (6999, 2, "S2")]
    assert staging.repeated_serials(1) == [(6000, 2, "S2")]
    assert staging.places == 2 * len(numbers)
    staging.close()
    staging.close()


@on_sqlite
def test_the_worst_likeness_of_those_measured(store: Store, seeds: Seeds) -> None:
    job = seeds.job([["http://a/1"], ["http://a/1", "http://a/2"], ["http://a/3", "http://a/4"]])
    assert store.job(job.uid).worst_ssim is None
    claim = seeds.claim(job)
    ssims = {1: 0.97, 3: 0.91, 4: None, 5: 0.91}
    records = [msgspec.structs.replace(done(claim, n), ssim=ssim) for n, ssim in ssims.items()]
    store.record_images(claim, records)
    worst = store.job(job.uid).worst_ssim
    assert worst == Worst(0.91, keys.image_id(job.uid, 3))
    assert [image.ssim for image in store.images(job.uid, None, 9, None)[0]] == [0.97, 0.97, 0.91, None, 0.91]
    plan = store._rows(
        "EXPLAIN QUERY PLAN SELECT ssim, n FROM image WHERE job_id = 1 AND ssim IS NOT NULL ORDER BY ssim, n LIMIT 1"
    )
    assert len(plan) == 1
    assert "COVERING INDEX image_ssim (job_id=?" in plan[0][3]


@on_sqlite
@pytest.mark.parametrize("state", JobState)
def test_neither_a_job_nor_a_list_reads_images(store: Store, state: JobState) -> None:
    conditions, params = _conditions(JobFilter(state=state), "9")
    sql = f"EXPLAIN QUERY PLAN {_JOBS} WHERE {conditions} ORDER BY id DESC LIMIT 50"
    plan = [line[3] for line in store._rows(sql, params)]
    assert plan[0] == "SEARCH job USING INTEGER PRIMARY KEY (rowid<?)"
    asked = {line for line in plan[1:] if not line.startswith("SCALAR SUBQUERY")}
    assert asked <= {"SEARCH tally USING INTEGER PRIMARY KEY (rowid=?)", "SCAN pause"}


def test_a_list_goes_on_right_while_jobs_come_and_go_and_change(store: Store, seeds: Seeds) -> None:
    jobs = [seeds.images(1) for _ in range(7)]
    waiting = JobFilter(state=JobState.PENDING)
    first, cursor = store.jobs(waiting, 3, None)
    assert [job.id for job in first] == [job.uid for job in reversed(jobs[4:])]
    claim = seeds.claim(jobs[4])
    store.record_images(claim, [done(claim, 1)])  # shown already
    seeds.claim(jobs[3])  # the next to be shown
    store.delete_job(jobs[2].uid)
    seeds.images(1)
    rest, end = store.jobs(waiting, 3, cursor)
    assert ([job.id for job in rest], end) == ([jobs[1].uid, jobs[0].uid], None)
    assert [job.id for job in store.jobs(JobFilter(state=JobState.COMPLETED), 3, None)[0]] == [jobs[4].uid]


def test_the_images_of_a_state_go_on_right_while_they_change(store: Store, seeds: Seeds) -> None:
    job = seeds.images(6)
    assert store.images(job.uid, ImageState.FAILED, 2, None) == ([], None)
    claim = seeds.claim(job)
    store.record_images(claim, [failed(n) for n in (1, 2, 4, 6)])
    first, cursor = store.images(job.uid, ImageState.FAILED, 2, None)
    store.retry_job(job.uid, images=[first[0].id])
    store.record_images(claim, [failed(3), done(claim, 5)])
    rest, end = store.images(job.uid, ImageState.FAILED, 9, cursor)
    assert ([image.row for image in [*first, *rest]], end) == ([2, 3, 4, 5, 7], None)
    assert [image.row for image in store.images(job.uid, ImageState.DONE, 9, None)[0]] == [6]
