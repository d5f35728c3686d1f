"""HEAD is answered as GET is, without the body, wherever there is a GET: routes of the API, streams, files, pages."""

from collections.abc import Iterator

import httpx
import pytest

from imagemill.settings import Settings
from tests.api.conftest import Site, running
from tests.appliance_process import until

OF_ONE_ANSWER = {"date", "x-request-id", "transfer-encoding"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site with a job that has ended and one that has not."""
    with running(tmp_path_factory.mktemp("site") / "data", Settings()) as site:
        ended = site.submit()
        site.finish()
        site.submit(name="open")
        name = f"{'ab' * 20}.jpg"
        site.storage.put(name, b"\xff\xd8\xff" + bytes(97))
        assert ended["name"] != "open"
        yield site


def job_of(client: httpx.Client, name: str) -> str:
    jobs = client.get("/api/v1/jobs").json()["jobs"]
    return str(next(job["id"] for job in jobs if (job["name"] == "open") == (name == "open")))


def counted(site: Site) -> float:
    samples = site.meters.requests.family().samples
    where = {"method": "HEAD", "route": "/api/v1/jobs/{job_id}/events", "status": "200"}
    return sum(n for _, labels, n in samples if labels == where)


def headers(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name not in OF_ONE_ANSWER}


@pytest.mark.parametrize(
    "path",
    [
        "/healthz",
        "/readyz",
        "/openapi.json",
        "/docs",
        "/images/abababababababababababababababababababab.jpg",
        "/api/v1/jobs",
        "/api/v1/jobs?limit=0",
        "/api/v1/jobs/{ended}",
        "/api/v1/jobs/{ended}/input",
        "/api/v1/jobs/{ended}/output.csv",
        "/api/v1/jobs/{open}/output.csv",
        "/api/v1/jobs/{ended}/images.zip",
        "/api/v1/jobs/018f0000-0000-7000-8000-000000000000",
        "/api/v1/nothing",
        "/api/v1/estimate",
        "/compat/bip/health",
        "/",
    ],
)
def test_the_head_is_that_of_get(site: Site, client: httpx.Client, path: str) -> None:
    where = path.format(ended=job_of(client, ""), open=job_of(client, "open"))
    got, head = client.get(where), client.head(where)
    assert (head.status_code, head.content) == (got.status_code, b"")
    assert headers(head) == headers(got)
    with site.client(token=None) as nobody:
        assert nobody.head(where).status_code == nobody.get(where).status_code


def test_conditions_hold(client: httpx.Client) -> None:
    path = f"/api/v1/jobs/{job_of(client, '')}"
    etag = client.head(path).headers["etag"]
    assert client.head(path, headers={"If-None-Match": etag}).status_code == 304


def test_a_stream_without_an_end_is_broken_off(site: Site, client: httpx.Client) -> None:
    path = f"/api/v1/jobs/{job_of(client, 'open')}/events"
    answers = [client.head(path) for _ in range(3)]
    assert {answer.headers["content-type"] for answer in answers} == {"text/event-stream; charset=utf-8"}
    until(lambda: counted(site) == 3, 20, "each has ended, and is counted")


def test_a_link_is_not_used_up_by_looking_at_it(site: Site, client: httpx.Client) -> None:
    url = client.post("/api/v1/sign-in-links").json()["url"]
    with site.client(token=None) as browser:
        assert browser.head(url).status_code == 200
        assert browser.get(url).status_code == 303
