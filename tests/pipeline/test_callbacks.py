"""The end of a job is told, and told again, as Standard Webhooks says."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import json

from imagemill.core.job import Attempt, Job, Profile, Submission
from imagemill.core.retry import CALLBACK_DELAYS_S
from imagemill.db import StoreError
from imagemill.pipeline import Notify, patience
from imagemill.settings import CompatSettings
from imagemill.storage import MemoryStorage
from tests.pipeline.seams import Mill, Receiver
from tests.postgres_server import on_sqlite
from tests.seeds import NOON

ASKED = Submission(callback_url="http://caller/end", callback_secret="quiet", name="spring")


@pytest.fixture
def job(mill: Mill) -> Job:
    return mill.accept(mill.sheet("http://a/1.jpg"), ASKED)


@pytest.fixture
def notify(mill: Mill, job: Job) -> Notify:
    (notify,) = mill.work(job)
    return notify


def test_the_payload_is_the_contract_s(mill: Mill, job: Job, notify: Notify) -> None:
    mill.clock.now += 3
    assert mill.pipeline.notify(notify.delivery_id) == []
    ((url, secret, message_id, body, at),) = mill.receiver.posted
    assert (url, secret, at.timestamp()) == ("http://caller/end", "quiet", NOON + 3)
    assert message_id.startswith("msg_")
    told = json.decode(body)
    links = f"http://mill/api/v1/jobs/{job.id}"
    assert (sorted(told), told["type"]) == (["data", "timestamp", "type"], "job.completed")
    assert told["timestamp"] == mill.job(job).finished_at.isoformat().replace("+00:00", "Z")  # type: ignore[union-attr]
    assert sorted(told["data"]) == ["job", "output_url", "report_url"]
    assert (told["data"]["output_url"], told["data"]["report_url"]) == (f"{links}/output.csv", f"{links}/report.csv")
    assert (told["data"]["job"]["id"], told["data"]["job"]["state"]) == (job.id, "completed")
    assert (told["data"]["job"]["counts"]["done"], told["data"]["job"]["links"]["self"]) == (1, links)
    assert b"quiet" not in body
    callback = mill.job(job).callback
    assert (callback.state, callback.attempts, callback.last_status) == ("delivered", 1, 200)
    assert mill.pipeline.notify(notify.delivery_id) == []
    assert len(mill.receiver.posted) == 1


class Settled(MemoryStorage):
    """Notes how many calls there had been when it was told to settle."""

    def __init__(self, receiver: Receiver) -> None:
        super().__init__()
        self.after: list[int] = []
        self._receiver = receiver

    def settle(self) -> None:
        self.after.append(len(self._receiver.posted))


def test_what_is_told_of_is_on_the_disk(mill: Mill, notify: Notify) -> None:
    storage = Settled(mill.receiver)
    mill.with_parts(storage=storage)
    mill.pipeline.notify(notify.delivery_id)
    assert (storage.after, len(mill.receiver.posted)) == ([0], 1)


def test_who_was_killed_while_calling_keeps_it_from_others_for_a_minute(mill: Mill, notify: Notify) -> None:
    def killed(*_: object) -> Attempt:
        raise KeyboardInterrupt

    mill.receiver.post = killed  # type: ignore[method-assign, assignment] # a fake's
    with pytest.raises(KeyboardInterrupt):
        mill.pipeline.notify(notify.delivery_id)
    del mill.receiver.post
    mill.clock.now += 59
    assert mill.pipeline.notify(notify.delivery_id) == []
    assert not mill.receiver.posted
    mill.clock.now += 2
    mill.pipeline.notify(notify.delivery_id)
    assert len(mill.receiver.posted) == 1


def test_attempts_follow_the_schedule_to_its_end(mill: Mill, job: Job, notify: Notify) -> None:
    mill.receiver.answers = [500, None, 301, 429, 503, 404, 500, 500, 500, 500]
    waits = []
    while steps := mill.pipeline.notify(notify.delivery_id):
        (step,) = steps
        assert mill.pipeline.notify(notify.delivery_id) == []  # not due: nobody is called
        assert isinstance(step, Notify)
        waits.append(step.delay_s)
        mill.clock.now += step.delay_s
    assert len(mill.receiver.posted) == len(CALLBACK_DELAYS_S) == 10
    for wait, planned in zip(waits, CALLBACK_DELAYS_S[1:], strict=True):
        assert planned * 0.9 <= wait <= planned * 1.1
    assert len({message_id for _, _, message_id, _, _ in mill.receiver.posted}) == 1
    assert len({at for *_, at in mill.receiver.posted}) == 10
    callback = mill.job(job).callback
    assert (callback.state, callback.attempts, callback.next_attempt_at) == ("failed", 10, None)
    statuses = mill.store._rows("SELECT status, error FROM attempt ORDER BY n")
    assert [status for status, _ in statuses] == [500, None, 301, 429, 503, 404, 500, 500, 500, 500]
    assert statuses[1] == (None, "no answer")


@pytest.mark.parametrize(
    ("status", "state", "is_over"),
    [(200, "delivered", True), (299, "delivered", True), (410, "failed", True), (300, "pending", False)],
)
def test_an_answer_ends_it_or_not(mill: Mill, job: Job, notify: Notify, status: int, state: str, is_over: bool) -> None:
    mill.receiver.answers = [status]
    assert (mill.pipeline.notify(notify.delivery_id) == []) is is_over
    assert mill.job(job).callback.state == state


def test_the_receiver_s_own_wish_is_obeyed(mill: Mill, notify: Notify) -> None:
    mill.receiver.answers, mill.receiver.retry_after_s = [503], 1000.0
    assert mill.pipeline.notify(notify.delivery_id) == [Notify(notify.delivery_id, 1000.0)]


def test_an_attempt_is_written_down_through_a_full_disk(
    mill: Mill, job: Job, notify: Notify, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "_WAITS_S", (0.0, 0.0))
    record, failures = mill.store.record_attempt, [StoreError("full"), StoreError("full")]

    def full(*asked: Any, **named: Any) -> None:  # noqa: ANN401
        if failures:
            raise failures.pop()
        record(*asked, **named)

    monkeypatch.setattr(mill.store, "record_attempt", full)
    assert mill.pipeline.notify(notify.delivery_id) == []
    assert (mill.job(job).callback.state, len(mill.receiver.posted)) == ("delivered", 1)


def test_no_callback_without_a_job(mill: Mill) -> None:
    assert mill.pipeline.notify(99) == []


@on_sqlite
def test_recover_asks_for_what_was_lost(mill: Mill, job: Job, notify: Notify) -> None:
    mill.receiver.answers = [500]
    assert mill.store.claim_delivery(notify.delivery_id, 300) is not None  # its process ends here
    assert mill.pipeline.notify(notify.delivery_id) == []
    assert notify in mill.pipeline.recover(at_start=True)
    (again,) = mill.pipeline.notify(notify.delivery_id)
    assert isinstance(again, Notify)
    (due,) = mill.pipeline.recover()
    assert isinstance(due, Notify)
    assert due.delivery_id == notify.delivery_id
    assert due.delay_s == pytest.approx(again.delay_s, abs=0.01)
    mill.clock.now += again.delay_s
    mill.pipeline.notify(notify.delivery_id)
    assert mill.pipeline.recover() == []


def ended(mill: Mill, profile: Profile) -> Notify:
    """Accept a job as a profile does, and work on it."""
    intake = mill.pipeline.intake(profile=profile)
    intake.feed(b"S. No.,Product Name,Input Image Urls\n1,Cup,http://a/1.jpg\n")
    accepted = intake.accept(Submission(callback_url="http://caller/end"), owner="shop", filename="")
    (notify,) = mill.work(accepted.job)
    assert isinstance(notify, Notify)
    return notify


def test_old_services_are_told_in_their_shape_and_again_from_5_s_doubled(mill: Mill) -> None:
    notify = ended(mill, "bip")
    mill.receiver.answers = [500] * 30
    waits = []
    while steps := mill.pipeline.notify(notify.delivery_id):
        (step,) = steps
        assert isinstance(step, Notify)
        waits.append(step.delay_s)
        mill.clock.now += step.delay_s
    assert len(waits) >= 10
    for retries, wait in enumerate(waits):
        assert 5 * 2**retries * 0.9 <= wait <= 5 * 2**retries * 1.1
    (body,) = {body for *_, body, _ in mill.receiver.posted}
    assert list(json.decode(body)) == ["job_id", "status", "input_csv_url", "output_csv_url"]
    assert json.decode(body)["status"] == "completed"


def test_profiles_without_a_callback_of_their_own_have_ours(mill: Mill) -> None:
    mill.pipeline.notify(ended(mill, "thumbnails").delivery_id)
    assert json.decode(mill.receiver.posted[0][3])["type"] == "job.completed"


@pytest.mark.parametrize(("profile", "is_bare"), [("csv-api", True), ("bip", False)])
def test_a_bare_get_where_it_is_asked_for(mill: Mill, profile: Profile, is_bare: bool) -> None:
    notify = ended(mill, profile)
    mill.with_parts(msgspec.structs.replace(mill.parts.settings, compat=CompatSettings(callback_get=True)))
    assert mill.pipeline.notify(notify.delivery_id) == []
    assert (mill.receiver.got, len(mill.receiver.posted)) == (["http://caller/end"] * is_bare, 1 - is_bare)
