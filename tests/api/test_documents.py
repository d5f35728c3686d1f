"""Jobs asked for in JSON: a list of images, or the address of a sheet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from imagemill.settings import FetchSettings, Settings
from tests.api.conftest import READER, SHEET, Site, running
from tests.origin import Origin

JOBS = "/api/v1/jobs"
A, B = "http://origin.example/a.jpg", "http://origin.example/b,c.jpg"


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site that may fetch from this machine, and takes small JSON only."""
    settings = Settings(fetch=FetchSettings(allow=("127.0.0.0/8",), retries=0), max_json_bytes=4096)
    with running(tmp_path_factory.mktemp("local") / "data", settings) as found:
        yield found


@pytest.fixture
def origin() -> Iterator[Origin]:
    with Origin() as running_origin:
        yield running_origin


def refusal(site: Site, body: object, status: int = 422) -> dict[str, Any]:
    with site.client() as client:
        answer = client.post(JOBS, json=body) if not isinstance(body, bytes) else post(client, body)
    assert answer.status_code == status, answer.text
    assert site.leftovers() == []
    problem: dict[str, Any] = answer.json()
    return problem


def post(client: httpx.Client, body: bytes) -> httpx.Response:
    return client.post(JOBS, content=body, headers={"Content-Type": "application/json"})


def test_a_list_of_images_becomes_a_job(local: Site) -> None:
    with local.client() as client:
        answer = client.post(
            JOBS, json={"images": [A, B, A], "quality": 40, "errors_column": True, "thumbnails": ["80x80", "20x20"]}
        )
        assert answer.status_code == 202, answer.text
        job = answer.json()
        local.finish()
        output = client.get(job["links"]["output"]).text.splitlines()
    assert (job["kind"], job["counts"]["images"], job["counts"]["unique"]) == ("images", 3, 2)
    assert (job["recipe"]["quality"], len(job["recipe"]["thumbnails"])) == (40, 2)
    assert output[0] == "Input Image Urls,Output Image Urls,Image Errors"
    assert output[2].startswith(f'"{B}",')
    assert answer.headers["location"] == job["links"]["self"]


def test_the_same_request_is_one_job(local: Site) -> None:
    with local.client() as client:
        first, again = (
            client.post(JOBS, json={"images": [A]}, headers={"Idempotency-Key": "json-1"}).json()["id"]
            for _ in range(2)
        )
        other = client.post(JOBS, json={"images": [B]}, headers={"Idempotency-Key": "json-1"})
    assert first == again
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")


def test_a_sheet_is_fetched_from_its_address(local: Site, origin: Origin) -> None:
    origin.answers["/products.csv"] = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(SHEET) + SHEET
    with local.client() as client:
        job = client.post(JOBS, json={"sheet_url": f"{origin.url}/products.csv", "name": "spring"}).json()
        assert (job["kind"], job["name"], job["counts"]["images"]) == ("sheet", "spring", 3)
        assert client.get(job["links"]["input"]).content == SHEET


@pytest.mark.parametrize("what", ["blocked", "absent", "nonsense", "page"])
def test_a_sheet_that_cannot_be_had_is_told_by_its_field(local: Site, origin: Origin, what: str) -> None:
    page = b"<html>no sheet</html>"
    origin.answers["/page"] = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(page) + page
    urls = {
        "blocked": "http://169.254.169.254/products.csv",
        "absent": f"{origin.url}/status/404",
        "nonsense": "file:///etc/passwd",
        "page": f"{origin.url}/page",
    }
    problem = refusal(local, {"sheet_url": urls[what]})
    if what == "page":
        assert (problem["code"], problem["errors"][0]["code"]) == ("invalid_sheet", "not_a_table")
    else:
        assert (problem["code"], problem["errors"][0]["field"]) == ("invalid_request", "sheet_url")


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["images"]),
        ({"quality": 50}, ["images"]),
        ({"images": []}, ["images"]),
        ({"images": A}, ["images"]),
        ({"images": [A, "", 7, None]}, ["images[1]", "images[2]", "images[3]"]),
        ({"images": [A, "ftp://x/y.jpg", "http://u:p@h/z.jpg"]}, ["images[1]", "images[2]"]),
        ({"images": [A], "sheet_url": A}, ["sheet_url"]),
        ({"sheet_url": 5}, ["sheet_url"]),
        ({"images": [A], "quality": 500, "colour": "red"}, ["colour", "quality"]),
        ({"images": [A], "quality": {"is": 5}}, ["quality"]),
        ({"images": [A], "name": 1.5}, ["name"]),
    ],
)
def test_every_wrong_field_is_named(local: Site, body: object, fields: list[str]) -> None:
    problem = refusal(local, body)
    assert problem["code"] == "invalid_request"
    assert sorted(error["field"] for error in problem["errors"]) == fields


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"[1]", 422),
        (b'"text"', 422),
        (b"{", 400),
        (b"", 400),
        (b"\xff\xfe", 400),
        (b"[" * 4000, 422),
        (b'{"images":' + b"[" * 3000, 400),
        (b'{"name":"' + b"x" * 5000 + b'"}', 413),
    ],
)
def test_what_is_no_object_is_refused(local: Site, body: bytes, status: int) -> None:
    assert refusal(local, body, status)["status"] == status


def test_null_counts_as_absent(local: Site) -> None:
    with local.client() as client:
        assert client.post(JOBS, json={"images": [A], "sheet_url": None, "max_width": None}).status_code == 202


def test_an_estimate_takes_the_same_body(local: Site, origin: Origin) -> None:
    with local.client() as client:
        answer = client.post("/api/v1/estimate", json={"images": [f"{origin.url}/status/404", f"{origin.url}/gone"]})
    assert answer.status_code == 200, answer.text
    assert answer.json()["unique_images"] == 2


def test_other_kinds_of_body_are_refused(local: Site) -> None:
    with local.client() as client:
        answer = client.post(JOBS, content=b"images=x", headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


def test_reading_is_not_submitting(local: Site) -> None:
    with local.client(READER) as client:
        assert client.post(JOBS, json={"images": [A]}).status_code == 403
