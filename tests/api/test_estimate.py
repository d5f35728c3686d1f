"""The estimate over HTTP: a form in, numbers out, nothing left; and nobody is worked for who has gone."""

import contextlib
import socket
from collections.abc import Iterator

import httpx
import pytest

from imagemill.db import JobFilter
from imagemill.settings import EstimateSettings, FetchSettings, Settings
from tests.api.conftest import READER, SUBMITTER, Site, eventually, running
from tests.api.test_uploads import half_an_upload
from tests.origin import Origin

ESTIMATE = "/api/v1/estimate"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    settings = Settings(
        workers=1,
        fetch=FetchSettings(allow=("127.0.0.0/8",), read_timeout_s=2.0),
        estimate=EstimateSettings(at_once=1, timeout_s=30.0),
    )
    with running(tmp_path_factory.mktemp("site") / "data", settings, works=True) as found:
        yield found


def sheet(origin: Origin, *paths: str) -> bytes:
    return ("serial,images\n" + "".join(f"{n},{origin.url}{path}\n" for n, path in enumerate(paths))).encode()


def nothing_is_left(site: Site) -> bool:
    jobs, _ = site.store.jobs(JobFilter(), 1, None)
    return not (jobs or site.steps or site.leftovers() or list(site.folders.sheets.iterdir()))


def test_an_estimate_is_made_of_real_pictures(site: Site, origin: Origin) -> None:
    given = sheet(origin, "/0.jpg", "/1.jpg", "/0.jpg", "/gone.jpg")
    with site.client(SUBMITTER) as client:
        answer = client.post(ESTIMATE, files={"file": ("a.csv", given)}, data={"quality": "40"})
    found = answer.json()
    assert answer.status_code == 200, answer.text
    assert list(found) == [
        "images", "unique_images", "already_done", "sampled",
        "bytes_in_estimate", "bytes_out_estimate", "seconds_estimate", "errors",
    ]  # fmt: skip
    assert (found["images"], found["unique_images"], found["already_done"], found["sampled"]) == (4, 3, 0, 3)
    sizes = [len(origin.file(f"/{n}.jpg") or b"") for n in range(2)]
    assert found["bytes_in_estimate"] == sum(sizes)
    assert 0 < found["bytes_out_estimate"] < sum(sizes)
    assert [(error["source_url"], error["code"]) for error in found["errors"]] == [
        (f"{origin.url}/gone.jpg", "http_status")
    ]
    assert nothing_is_left(site)


def test_it_is_refused_as_a_job_is(site: Site, origin: Origin) -> None:
    with site.client(READER) as client:
        assert client.post(ESTIMATE, files={"file": ("a.csv", b"x")}).status_code == 403
    with site.client() as client:
        bad = client.post(ESTIMATE, files={"file": ("a.csv", b"serial,images\n1,ftp://x/\n")})
        assert (bad.status_code, bad.json()["code"]) == (422, "invalid_sheet")
        wrong = client.post(ESTIMATE, files={"file": ("a.csv", sheet(origin, "/0.jpg"))}, data={"quality": "900"})
        assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid_request")
    assert nothing_is_left(site)


def test_images_that_are_listed_are_estimated_too(site: Site, origin: Origin) -> None:
    with site.client() as client:
        found = client.post(ESTIMATE, json={"images": [f"{origin.url}/{n}.jpg" for n in (0, 1, 1)]}).json()
    assert (found["images"], found["unique_images"], found["sampled"]) == (3, 2, 2)
    assert nothing_is_left(site)


def test_so_many_are_made_at_a_time(site: Site, origin: Origin) -> None:
    with site.client() as client:
        with half_an_upload(site, path=ESTIMATE):
            eventually(lambda: len(site.leftovers()) == 1)
            answer = client.post(ESTIMATE, files={"file": ("a.csv", sheet(origin, "/0.jpg"))})
            assert (answer.status_code, answer.json()["code"]) == (503, "no_room")
            assert int(answer.headers["retry-after"]) > 0
        eventually(lambda: client.post(ESTIMATE, files={"file": ("a.csv", sheet(origin, "/0.jpg"))}).is_success)


def test_who_leaves_is_not_worked_for(site: Site, origin: Origin) -> None:
    """The downloads that wait are ended by their own time limit; the others are not begun."""
    paths = [f"/silent/gone-{n}" for n in range(8)]
    request = httpx.Client().build_request(
        "POST", site.url + ESTIMATE, files={"file": ("a.csv", sheet(origin, *paths))}
    )
    head = f"POST {ESTIMATE} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer im_admin\r\n"
    kind = "".join(f"{name}: {request.headers[name]}\r\n" for name in ("content-type", "content-length"))
    url = httpx.URL(site.url)
    with socket.create_connection((url.host, url.port or 0), timeout=60) as line:
        line.sendall(f"{head}{kind}\r\n".encode() + request.read())
        eventually(lambda: sum(origin.hits[path] for path in paths) >= 4)
    with site.client() as client, contextlib.closing(client):
        files = {"file": ("a.csv", sheet(origin, "/0.jpg"))}
        eventually(lambda: client.post(ESTIMATE, files=files).is_success, within_s=20)
    assert sum(origin.hits[path] for path in paths) == 4
    assert nothing_is_left(site)
