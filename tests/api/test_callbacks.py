"""Seeing, repeating and trying callbacks, over HTTP and real sockets."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from imagemill.core.job import Attempt
from imagemill.pipeline import Notify
from imagemill.webhook import sign
from tests.api.conftest import READER, SHEET, SUBMITTER, Site
from tests.origin import Origin
from tests.outbound.hostile import METADATA

AT = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@pytest.fixture
def receiver() -> Iterator[Origin]:
    with Origin() as running:
        yield running


def ended(site: Site, url: str) -> dict[str, Any]:
    """A job whose callback was tried once, and answered 500."""
    job = site.submit(SUBMITTER, callback_url=url)
    site.finish()
    (due,) = [delivery for delivery, _ in site.store.due_deliveries(60)]
    delivery = site.store.claim_delivery(due, 60)
    assert delivery is not None
    attempt = Attempt(at=AT, status=500, answer="oh", error=None)
    site.store.record_attempt(delivery, attempt, state="failed", next_attempt_at=None)
    site.steps.clear()
    return job


def test_deliveries_show_each_attempt(fresh: Site, receiver: Origin) -> None:
    job = ended(fresh, f"{receiver.url}/hook")
    with fresh.client(READER) as client:
        (told,) = client.get(f"/api/v1/jobs/{job['id']}/deliveries").json()["deliveries"]
    assert (told["event"], told["url"], told["state"]) == ("job.completed", f"{receiver.url}/hook", "failed")
    assert told["id"].startswith("msg_")
    (attempt,) = told["attempts"]
    assert (attempt["at"], attempt["status"], attempt["answer"], attempt["error"]) == (
        "2026-11-24T12:00:00Z",
        500,
        "oh",
        None,
    )


def test_a_callback_is_made_again_under_its_own_id(fresh: Site, receiver: Origin) -> None:
    job = ended(fresh, f"{receiver.url}/hook")
    with fresh.client(SUBMITTER) as client:
        before = client.get(f"/api/v1/jobs/{job['id']}/deliveries").json()["deliveries"][0]
        answer = client.post(f"/api/v1/jobs/{job['id']}/redeliver")
        assert answer.status_code == 202
        (told,) = answer.json()["deliveries"]
    assert (told["id"], told["state"]) == (before["id"], "pending")
    (step,) = fresh.steps
    assert isinstance(step, Notify)
    again = fresh.store.claim_delivery(step.delivery_id, 60)
    assert again is not None
    assert again.attempts == 1
    with fresh.client(SUBMITTER) as client:
        assert client.post(f"/api/v1/jobs/{job['id']}/redeliver").status_code == 409  # somebody is at it


def test_without_a_callback_there_is_nothing_to_repeat(fresh: Site) -> None:
    job = fresh.submit(SUBMITTER)
    with fresh.client(SUBMITTER) as client:
        assert client.get(f"/api/v1/jobs/{job['id']}/deliveries").json() == {"deliveries": []}
        answer = client.post(f"/api/v1/jobs/{job['id']}/redeliver")
    assert (answer.status_code, answer.json()["code"]) == (409, "illegal_transition")


def test_others_jobs_are_out_of_reach(fresh: Site, receiver: Origin) -> None:
    job = ended(fresh, f"{receiver.url}/hook")
    fresh.store.add_token("other", "im_other", scopes=frozenset({"submit"}), owner="other")
    with fresh.client("im_other") as client:
        assert client.get(f"/api/v1/jobs/{job['id']}/deliveries").status_code == 404
        assert client.post(f"/api/v1/jobs/{job['id']}/redeliver").status_code == 404
    with fresh.client(READER) as client:
        assert client.post(f"/api/v1/jobs/{job['id']}/redeliver").status_code == 403


def test_a_trial_shows_what_was_sent_and_what_came_back(client: httpx.Client, receiver: Origin) -> None:
    order = {"url": f"{receiver.url}/status/202", "secret": "quiet"}
    shown = client.post("/api/v1/callbacks/test", json=order).json()
    path, headers, body = receiver.received[0]
    assert (path, body.decode()) == ("/status/202", shown["body"])
    assert {name: headers[name.lower()] for name in shown["headers"]} == shown["headers"]
    timestamp = int(shown["headers"]["Webhook-Timestamp"])
    assert shown["headers"]["Webhook-Signature"] == sign("quiet", shown["headers"]["Webhook-Id"], timestamp, body)
    assert (shown["attempt"]["status"], shown["attempt"]["answer"]) == (202, "so be it")
    assert "quiet" not in str(shown)


def test_a_trial_may_find_nobody(client: httpx.Client) -> None:
    shown = client.post("/api/v1/callbacks/test", json={"url": "http://127.0.0.1:9/hook"}).json()
    assert shown["attempt"]["status"] is None
    assert shown["attempt"]["error"]
    assert "Webhook-Signature" not in shown["headers"]


@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/latest", "ftp://a.example/", "http://user:pass@127.0.0.1/", "nonsense", ""]
)
def test_a_trial_goes_only_where_callbacks_may(client: httpx.Client, url: str) -> None:
    answer = client.post("/api/v1/callbacks/test", json={"url": url})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


def test_trying_needs_more_than_reading(site: Site) -> None:
    with site.client(READER) as client:
        assert client.post("/api/v1/callbacks/test", json={"url": "http://127.0.0.1:9/"}).status_code == 403


def test_the_inside_is_shut_at_each_door(fresh: Site) -> None:
    """Hostile addresses as a job's callback, in a trial, and as a sheet's; the site of the tests allows loopback."""
    with fresh.client() as client:
        for url in METADATA:
            trial = client.post("/api/v1/callbacks/test", json={"url": url})
            assert (trial.status_code, trial.json()["errors"][0]["field"]) == (422, "callback_url"), url
            fields = {"callback_url": url}
            job = client.post("/api/v1/jobs", files={"file": ("a.csv", SHEET)}, data=fields)
            assert (job.status_code, job.json()["errors"][0]["field"]) == (422, "callback_url"), url
            sheet = client.post("/api/v1/jobs", json={"sheet_url": url})
            assert (sheet.status_code, sheet.json()["errors"][0]["field"]) == (422, "sheet_url"), url
        assert client.get("/api/v1/jobs").json()["jobs"] == []
