"""Failures over HTTP: grouped, told what to do about, and a group tried again."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.api.conftest import READER, Site

SHEET = b"serial_number;product;images\r\n" + b"".join(
    b"%d;Cup;http://origin.example/%d.jpg,http://origin.example/%d.jpg\r\n" % (n, n, n + 1) for n in range(3)
)


@pytest.fixture(scope="module")
def job(site: Site) -> dict[str, Any]:
    """A job of 6 places and 4 images, of which the second and the third failed: 4 places."""
    job = site.submit(sheet=SHEET)
    site.finish(failed=(2, 4))
    return job


def failures(client: httpx.Client, job: dict[str, Any], **params: int) -> dict[str, Any]:
    answer = client.get(f"{job['links']['self']}/failures", params=params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_failures_are_told_by_cause_and_host(site: Site, client: httpx.Client, job: dict[str, Any]) -> None:
    found = failures(client, job)
    assert (found["group_count"], found["failed"]) == (1, client.get(job["links"]["self"]).json()["counts"]["failed"])
    (group,) = found["groups"]
    assert (group["code"], group["cause"], group["host"]) == ("http_status", "refused by the host", "origin.example")
    assert "browser" in group["next_step"]
    example = group["examples"][0]
    assert client.get(f"/api/v1/images/{example['image_id']}").json()["error"]["message"] == example["message"]
    with site.client(READER) as other:
        assert other.get(f"{job['links']['self']}/failures").status_code == 404


@pytest.mark.parametrize("limit", [0, 501])
def test_how_many_is_limited(client: httpx.Client, job: dict[str, Any], limit: int) -> None:
    assert client.get(f"{job['links']['self']}/failures", params={"limit": limit}).status_code == 422


def test_a_group_is_tried_again(fresh: Site) -> None:
    job = fresh.submit(sheet=SHEET)
    fresh.finish(failed=(2, 4))
    with fresh.client() as client:
        (group,) = failures(client, job)["groups"]
        for host, pending in (("another.example", 0), (group["host"], group["count"])):
            answer = client.post(f"{job['links']['self']}/retry", json={"code": group["code"], "host": host})
            assert (answer.status_code, answer.json()["counts"]["pending"]) == (200, pending)
        assert failures(client, job) == {"groups": [], "group_count": 0, "failed": 0}


@pytest.mark.parametrize("body", [{"images": [], "code": "timeout"}, {"code": "unheard_of"}, {"host": "x" * 301}])
def test_what_cannot_be_meant_is_refused(client: httpx.Client, job: dict[str, Any], body: dict[str, Any]) -> None:
    answer = client.post(f"{job['links']['self']}/retry", json=body)
    assert (answer.status_code, answer.json()["code"]) in {(422, "invalid_request"), (400, "bad_request")}, answer.text
