"""One id from the answer's header through the problem's `instance` and the log to the job."""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import httpx
import pytest

from imagemill.logs import bound
from tests.api.conftest import Site


class Lines(logging.Handler):
    """Keeps each line with its ids."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | int]]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append((record.getMessage(), bound()))


@pytest.fixture
def lines() -> Iterator[Lines]:
    root, lines = logging.getLogger("imagemill"), Lines()
    root.addHandler(lines)
    level, root.level = root.level, logging.INFO
    yield lines
    root.removeHandler(lines)
    root.level = level


def test_an_accepted_job_names_its_request(site: Site, client: httpx.Client, lines: Lines) -> None:
    answer = client.post("/api/v1/jobs", json={"images": ["http://origin.example/a.jpg"]})
    request = answer.headers["x-request-id"]
    assert str(UUID(request)) == request
    (ids,) = [ids for text, ids in lines.seen if text == "job accepted: 1 rows, 1 images"]
    assert ids == {"request": request, "job": answer.json()["id"]}


def test_the_verbs_are_told_with_their_request(site: Site, client: httpx.Client, lines: Lines) -> None:
    job = site.submit()
    for verb, text in [
        ("pause", "paused"),
        ("resume", "resumed"),
        ("cancel", "cancelled"),
        ("retry", "retried"),
    ]:
        request = client.post(f"/api/v1/jobs/{job['id']}/{verb}").headers["x-request-id"]
        assert (f"job {text}", {"request": request, "job": job["id"]}) in lines.seen
    request = client.delete(f"/api/v1/jobs/{job['id']}").headers["x-request-id"]
    assert ("job deleted", {"request": request, "job": job["id"]}) in lines.seen
    assert "job finished: cancelled, 3 cancelled" in [text for text, ids in lines.seen if ids["job"] == job["id"]]


JOB = "/api/v1/jobs/0198c2a4-0000-7000-8000-{:012}"


@pytest.mark.parametrize("path", [JOB.format(0), "/nothing", "/api/v1/jobs?limit=0"])
def test_a_problem_is_its_request(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert answer.json()["instance"] == f"urn:uuid:{answer.headers['x-request-id']}"


def test_a_request_refused_at_the_gate_has_one_too(site: Site) -> None:
    answer = httpx.get(f"{site.url}/healthz", headers={"Host": "evil.example"}, trust_env=False)
    assert answer.status_code == 421
    assert answer.json()["instance"] == f"urn:uuid:{answer.headers['x-request-id']}"


def test_a_client_s_own_is_not_taken(client: httpx.Client) -> None:
    answer = client.get("/healthz", headers={"X-Request-Id": "evil"})
    assert answer.headers.get_list("x-request-id") != ["evil"]
    assert len(answer.headers.get_list("x-request-id")) == 1


def test_requests_at_once_keep_theirs_apart(site: Site, client: httpx.Client) -> None:
    def ask(n: int) -> tuple[str, str]:
        answer = client.get(JOB.format(n))
        return answer.json()["instance"], f"urn:uuid:{answer.headers['x-request-id']}"

    with ThreadPoolExecutor(16) as threads:
        found = list(threads.map(ask, range(200)))
    assert all(instance == header for instance, header in found)
    assert len({instance for instance, _ in found}) == 200


def test_images_have_none(site: Site, client: httpx.Client) -> None:
    assert "x-request-id" not in client.get(f"/images/{'0' * 40}.jpg").headers
