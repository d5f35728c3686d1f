"""Verbs over HTTP: the job comes back as it is now, and who may not is told what he may."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from imagemill.pipeline import Notify, Work
from tests.api.conftest import READER, SUBMITTER, Site


def say(client: httpx.Client, job: dict[str, Any], verb: str, **body: Any) -> httpx.Response:  # noqa: ANN401
    return client.post(f"{job['links']['self']}/{verb}", json=body or None)


def test_pause_and_resume(fresh: Site) -> None:
    job = fresh.submit(SUBMITTER)
    with fresh.client(SUBMITTER) as client:
        for verb, state in (("pause", "paused"), ("pause", "paused"), ("resume", "pending"), ("resume", "pending")):
            fresh.steps.clear()
            answer = say(client, job, verb)
            assert (answer.status_code, answer.json()["state"]) == (200, state)
            assert answer.json()["links"] == job["links"]
            assert [type(step) for step in fresh.steps] == ([Work] if verb == "resume" else [])


def test_cancel_and_retry(fresh: Site) -> None:
    job = fresh.submit(callback_url="http://127.0.0.1:9/end")
    with fresh.client() as client:
        for _ in range(2):
            answer = say(client, job, "cancel")
            assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
        assert len([step for step in fresh.steps if isinstance(step, Notify)]) == 1
        assert answer.json()["counts"]["cancelled"] == 3
        assert answer.json()["callback"]["state"] == "pending"
        again = say(client, job, "retry")
        assert (again.status_code, again.json()["state"], again.json()["finished_at"]) == (200, "pending", None)
        fresh.finish(failed=(2,))
        first, second, _ = client.get(job["links"]["images"]).json()["images"]
        some = say(client, job, "retry", images=[first["id"], second["id"]])
        assert (some.status_code, some.json()["counts"]["pending"]) == (200, 1)
        fresh.finish()
        assert client.get(job["links"]["self"]).json()["state"] == "completed"


@pytest.mark.parametrize("verb", ["cancel", "pause", "resume", "retry"])
def test_a_move_that_is_not_allowed_says_which_are(site: Site, client: httpx.Client, verb: str) -> None:
    job = site.submit()
    site.finish()
    answer = say(client, job, verb)
    assert (answer.status_code, answer.json()["code"]) == (409, "illegal_transition")
    assert "completed" in answer.json()["detail"]
    assert "delete" in answer.json()["detail"]


@pytest.mark.parametrize(
    "body", [b'{"images": ["mine"]}', b'{"images": "all"}', b'{"pictures": []}', b"[1]", b"{", b'{"images": [7]}']
)
def test_a_bad_body_is_refused(site: Site, client: httpx.Client, body: bytes) -> None:
    job = site.submit()
    headers = {"Content-Type": "application/json"}
    answer = client.post(f"{job['links']['self']}/retry", content=body, headers=headers)
    assert answer.status_code in {400, 422}, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_delete_is_at_once(fresh: Site) -> None:
    job = fresh.submit(SUBMITTER)
    with fresh.client(SUBMITTER) as client:
        answer = client.delete(job["links"]["self"])
        assert (answer.status_code, answer.content) == (204, b"")
        assert client.delete(job["links"]["self"]).status_code == 404
        for link in job["links"].values():
            assert client.get(link).status_code == 404
        assert client.get("/api/v1/jobs").json()["jobs"] == []
    assert list(fresh.folders.sheets.iterdir()) == []


@pytest.mark.parametrize("verb", ["cancel", "pause", "resume", "retry", ""])
def test_who_may(fresh: Site, verb: str) -> None:
    shops, admins = fresh.submit(SUBMITTER), fresh.submit()

    def status(token: str, job: dict[str, Any]) -> int:
        with fresh.client(token) as client:
            return (say(client, job, verb) if verb else client.delete(job["links"]["self"])).status_code

    assert status(READER, shops) == 403
    assert status(SUBMITTER, admins) == 404
    assert status(SUBMITTER, shops) == (200 if verb else 204)
    assert status("im_admin", admins) == (200 if verb else 204)
