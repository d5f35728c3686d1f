"""A job's failures by cause: right counts, few examples, quick; and a cause is tried again as a whole."""

from __future__ import annotations

import pytest

from imagemill.core.errors import ImageCode, NotFoundError
from imagemill.core.failures import Cause, Failures
from imagemill.core.keys import host_number, image_id
from imagemill.db import Store, causes
from imagemill.db.causes import EXAMPLES
from tests.postgres_server import on_sqlite
from tests.seeds import Seeded, Seeds, done, failed

PENDING = "SELECT n FROM image WHERE job_id = ? AND state = 'pending'"
A, B = "http://a.example:8080/{}.jpg", "http://b.example/{}.jpg"


def job_of_failures(store: Store, seeds: Seeds) -> Seeded:
    """Return a job of 9 places: 5 time out at a, 1 of them is done, 2 are no pictures there, 2 time out at b."""
    rows = [[A.format(n)] for n in range(6)] + [[A.format(0), B.format(1)], [B.format(2)]]
    job = seeds.job(rows)
    for _ in range(2):  # one host a claim
        claim = seeds.claim(job)
        records = {2: done(claim, 2), 5: failed(5), 6: failed(6)}
        store.record_images(claim, [records.get(image.n, failed(image.n, ImageCode.TIMEOUT)) for image in claim.images])
    return job


def counted(found: Failures) -> list[tuple[str, str, int]]:
    return [(group.code, group.host, group.count) for group in found.groups]


def test_failures_are_grouped_by_code_and_host_the_largest_first(store: Store, seeds: Seeds) -> None:
    job = job_of_failures(store, seeds)
    found = store.failures(job.uid, most=10)
    assert counted(found) == [
        ("timeout", "a.example:8080", 4),
        ("not_an_image", "a.example:8080", 2),
        ("timeout", "b.example", 2),
    ]
    assert (found.group_count, found.failed, store.job(job.uid).counts.failed) == (3, 8, 8)
    first = found.groups[0]
    assert (first.cause, first.next_step[:21]) == ("too slow", "the host was too slow")
    assert [example.row for example in first.examples] == [2, 4, 5][:EXAMPLES]
    assert (first.examples[0].url, first.examples[0].message) == (A.format(0), "what to do")
    assert first.examples[0].image_id == image_id(job.uid, 1)


def test_what_is_not_shown_is_counted(store: Store, seeds: Seeds) -> None:
    found = store.failures(job_of_failures(store, seeds).uid, most=1)
    assert (len(found.groups), found.group_count, found.failed) == (1, 3, 8)


def test_without_failures_there_are_no_groups(store: Store, seeds: Seeds) -> None:
    assert store.failures(seeds.images(1).uid, most=10) == Failures([], 0, 0)
    with pytest.raises(NotFoundError):
        store.failures("018f0000-0000-7000-8000-000000000000", most=10)


@pytest.mark.parametrize(
    ("cause", "pending"),
    [
        (Cause(), [1, 3, 4, 5, 6, 8, 9]),
        (Cause(ImageCode.TIMEOUT, "a.example:8080"), [1, 3, 4]),
        (Cause(ImageCode.TIMEOUT), [1, 3, 4, 8, 9]),
        (Cause(host="b.example"), [8, 9]),
        (Cause(host=""), []),
        (Cause(ImageCode.INTERNAL), []),
    ],
)
def test_a_cause_is_tried_again(store: Store, seeds: Seeds, cause: Cause, pending: list[int]) -> None:
    job = job_of_failures(store, seeds)
    store.retry_job(job.uid, cause=cause)
    assert store._rows("SELECT n FROM image WHERE job_id = ? AND state = 'pending'", (job.id,)) == [
        (n,) for n in pending
    ]


def test_images_of_before_hosts_were_noted_are_one_nameless_group(store: Store, seeds: Seeds) -> None:
    job = job_of_failures(store, seeds)
    store._touched("UPDATE image SET host = 0 WHERE job_id = ? AND host = ?", (job.id, host_number("b.example")))
    assert ("timeout", "", 2) in counted(store.failures(job.uid, most=10))
    store.retry_job(job.uid, cause=Cause(ImageCode.TIMEOUT, ""))
    assert counted(store.failures(job.uid, most=10)) == [
        ("timeout", "a.example:8080", 4),
        ("not_an_image", "a.example:8080", 2),
    ]


@pytest.mark.parametrize(("sql", "values"), [(causes.GROUPS, (1, 50)), (causes.FIRST, (1, "timeout", 7, 3))])
@on_sqlite
def test_nothing_but_the_index_is_read(store: Store, sql: str, values: tuple[object, ...]) -> None:
    """A million failures take 0.2 s so; by their rows it would be ten times as long."""
    plan = [row[3] for row in store._rows(f"EXPLAIN QUERY PLAN {sql}", values)]
    assert [step for step in plan if "SEARCH" in step] == [
        step for step in plan if "COVERING INDEX image_failed" in step
    ]
    assert any("SEARCH" in step for step in plan)
