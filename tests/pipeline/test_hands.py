"""What hands on one job share where the database is a server: one transaction for all, and what of it was not heard."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from imagemill.core.job import Job, Submission
from imagemill.db import Claim, Handful, StoreError
from imagemill.pipeline.hands import Hands
from tests.appliance_process import until
from tests.pipeline.seams import Mill
from tests.postgres_server import needs_postgres
from tests.seeds import done

pytestmark = needs_postgres


@pytest.fixture
def on() -> str:
    return "postgres"


@pytest.fixture
def job(mill: Mill) -> Job:
    return mill.accept(mill.sheet(*mill.urls(2)), Submission(callback_url="http://caller/end"))


@pytest.fixture
def claims(mill: Mill, job: Job) -> list[Claim]:
    """One image in each of two hands."""
    found = [mill.pipeline.claim(mill.small_id(job))[0] for _ in range(2)]
    return [claim for claim in found if claim]


@pytest.fixture
def written(mill: Mill, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return how many handfuls each transaction has written."""
    write, sizes = mill.store.record_together, list[int]()

    def record_together(handfuls: Sequence[Handful]) -> int | None:
        sizes.append(len(handfuls))
        return write(handfuls)

    monkeypatch.setattr(mill.store, "record_together", record_together)
    return sizes


def record(mill: Mill, claims: list[Claim]) -> list[int]:
    """Let a hand record what each claim has; return the callbacks that are due, by all of them."""
    hands, due = Hands(mill.parts), list[int]()

    def work(claim: Claim) -> None:
        with hands.at_work(claim.job_id):
            until(lambda: hands.on(claim.job_id) + len(ended) >= len(claims), 30, "all are at work")
            due.extend(hands.record(Handful(claim, [done(claim, claim.images[0].n)])))
            ended.append(claim)

    ended: list[Claim] = []
    threads = [threading.Thread(target=work, args=(claim,)) for claim in claims]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(180)
    assert len(ended) == len(claims)
    return due


def test_what_all_hands_have_is_written_at_once(mill: Mill, job: Job, claims: list[Claim], written: list[int]) -> None:
    assert len(record(mill, claims)) == 1
    assert sum(written) == 2
    assert mill.job(job).state == "completed"


def test_a_hand_that_is_alone_waits_for_nobody(
    mill: Mill, claims: list[Claim], written: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imagemill.pipeline.hands.TOGETHER_S", 1e6)
    assert record(mill, claims[:1]) == []
    assert written == [1]


def test_what_was_not_heard_is_asked_for_again(
    mill: Mill, job: Job, claims: list[Claim], monkeypatch: pytest.MonkeyPatch
) -> None:
    write, broken = mill.store.record_together, [True]

    def break_off(handfuls: Sequence[Handful]) -> int | None:
        due = write(handfuls)
        if broken and len(handfuls) == 2:
            broken.clear()
            message = "the line broke"
            raise StoreError(message)
        return due

    monkeypatch.setattr("imagemill.pipeline.hands.TOGETHER_S", 1e6)
    monkeypatch.setattr(mill.store, "record_together", break_off)
    due = record(mill, claims)
    assert not broken
    assert len(set(due)) == 1  # told twice at most, and claimed once
    assert mill.job(job).state == "completed"


def test_a_claim_that_was_not_heard_of_is_given_back(mill: Mill, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    claim = mill.store.claim_images

    def break_off(*args: object, **chosen: object) -> None:
        claim(*args, **chosen)  # type: ignore[arg-type]
        message = "the line broke"
        raise StoreError(message)

    for _ in range(2):
        with monkeypatch.context() as patch:
            patch.setattr(mill.store, "claim_images", break_off)
            with pytest.raises(StoreError):
                mill.pipeline.claim(mill.small_id(job))
    assert mill.work(job)
    assert mill.job(job).state == "completed"
