"""Errors as people see them: a page with a next step, and nothing of our inside; programs get problem details."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from imagemill.settings import Settings
from tests.api.conftest import ADMIN, READER, Site, running
from tests.web.conftest import browser

HTML, PROBLEM = "text/html; charset=utf-8", "application/problem+json"


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Site]:
    with running(tmp_path / "data", Settings()) as found:
        yield found


def kind(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.headers["content-type"]


def test_what_is_not_there_is_a_page_for_people_and_a_problem_for_programs(member: httpx.Client) -> None:
    page = member.get("/nowhere")
    assert kind(page) == (404, HTML)
    assert "There is nothing here" in page.text
    assert 'href="/jobs"' in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert kind(member.get("/nowhere", headers={"Accept": "*/*"})) == (404, PROBLEM)
    assert kind(member.get("/api/v1/nowhere")) == (404, PROBLEM)
    assert kind(member.get("/images/nowhere.jpg")) == (404, PROBLEM)
    assert kind(member.get("/docs/nowhere")) == (404, PROBLEM)
    assert kind(member.get("/jobs/018f0000-0000-7000-8000-000000000000")) == (404, HTML)
    assert kind(member.post("/jobs")) == (405, HTML)


def test_who_is_not_signed_in_learns_nothing_of_what_there_is(nobody: httpx.Client) -> None:
    page = nobody.get("/nowhere")
    assert kind(page) == (404, HTML)
    assert "appliance-state" not in page.text
    assert "Sign out" not in page.text


def test_another_name_s_page_says_what_to_do(nobody: httpx.Client) -> None:
    page = nobody.get("/", headers={"Host": "shop-pc.example"})
    assert kind(page) == (421, HTML)
    assert "add the name to `allowed_hosts`" in page.text
    assert kind(nobody.get("/", headers={"Host": "shop-pc.example", "Accept": "*/*"})) == (421, PROBLEM)


def test_what_the_token_may_not_do_is_said(fresh: Site) -> None:
    with browser(fresh, READER) as client:
        page = client.post("/system/pause")
    assert kind(page) == (403, HTML)
    assert "the scope `admin`" in page.text


def test_a_fault_of_ours_shows_its_number_and_nothing_else(fresh: Site) -> None:
    fresh.submit()
    fresh.spoil_jobs()
    with browser(fresh, ADMIN) as client:
        page = client.get("/jobs")
    assert kind(page) == (500, HTML)
    assert f"urn:uuid:{page.headers['x-request-id']}" in page.text
    for inside in ("Traceback", "msgspec", "a job, but no JSON"):
        assert inside not in page.text


def test_without_a_database_there_is_still_a_page(fresh: Site) -> None:
    with browser(fresh, ADMIN) as client:
        fresh.break_table("job")
        page = client.get("/jobs")
        assert kind(page) == (503, HTML)
        assert page.headers["retry-after"] == "10"
        assert "Not now" in page.text
        assert "state-problem" in page.text
        assert "state-problem" in client.get("/system/state").text
