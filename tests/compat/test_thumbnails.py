"""The table of `thumbnails`, line by line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from imagemill.compat import thumbnails
from imagemill.core import keys
from imagemill.core.job import ErrorInfo
from imagemill.db import Record
from imagemill.pipeline import Work
from tests.api.conftest import READER, Site
from tests.compat.conftest import asking
from tests.compat.pictures import GIF, JPEG, PNG, WEBP, made

CREATE = "/image-tools/thumbnails"


@pytest.fixture
def client(site: Site) -> Iterator[httpx.Client]:
    with asking(site, "thumbnails") as found:
        yield found


def post(client: httpx.Client, picture: bytes = PNG, field: str = "image", **fields: str) -> httpx.Response:
    return client.post(CREATE, files={field: ("cup.png", picture, "image/png")}, data=fields)


def refusal(status: int, message: str, error: str = "Bad Request") -> dict[str, Any]:
    return {"message": message, "error": error, "statusCode": status}


def test_it_says_that_it_is_well_and_where_it_is_described(site: Site) -> None:
    with asking(site, "thumbnails", token=None) as stranger:
        assert (stranger.get("/status").status_code, stranger.get("/status").text) == (200, "ok")
        page = stranger.get("/api", follow_redirects=True)
    assert (page.status_code, page.url.path) == (200, "/docs")


@pytest.mark.parametrize(
    ("fields", "width", "height"), [({}, 100, 100), ({"sizeX": "30", "sizeY": "40"}, 30, 40), ({"sizeX": "7"}, 7, 100)]
)
def test_a_thumbnail_is_ordered_and_followed(fresh: Site, fields: dict[str, str], width: int, height: int) -> None:
    with asking(fresh, "thumbnails") as client:
        answer = client.post(CREATE, files={"image": ("cup.png", PNG)}, data=fields)
        assert (answer.status_code, answer.headers["content-type"]) == (201, "text/plain; charset=utf-8")
        job = answer.text
        submission = fresh.store.submission(job)
        assert [(each.name) for each in submission.recipe.thumbnails] == [f"thumb-{width}x{height}"]
        event = {
            "id": keys.image_id(job, 1),
            "retries": 0,
            "inputFilePath": keys.uploaded(fresh.store.image(job, 1).source_url),
            "outputFilePath": None,
            "url": None,
            "sizeX": width,
            "sizeY": height,
        }
        assert client.get(f"/jobs/{job}").json() == {"id": job, "status": "queued", "event": event}
        assert client.get(CREATE).json() == []
        claim = fresh.store.claim_images(_job_id(fresh), most=1, shares=1, token="t", lease_s=60)
        assert claim is not None
        assert client.get(f"/jobs/{job}").json()["status"] == "processing"
        source, outputs = made(claim.fingerprint, claim.submission.recipe)
        fresh.store.record_images(claim, [Record(n=1, seconds=0.1, source=source, outputs=outputs)])
        stored = keys.file_name(outputs[1].key, "png")
        thumbnail = {"outputFilePath": stored, "url": f"{fresh.url}/images/{stored}"}
        assert client.get(f"/jobs/{job}").json() == {"id": job, "status": "success", "event": event | thumbnail}
        assert client.get(CREATE).json() == [thumbnail]
        assert client.get(f"{CREATE}/{job}").json() == thumbnail


def _job_id(site: Site) -> int:
    return next(step.job_id for step in reversed(site.steps) if isinstance(step, Work))


def test_a_failure_says_why(fresh: Site) -> None:
    with asking(fresh, "thumbnails") as client:
        job = post(client).text
        claim = fresh.store.claim_images(_job_id(fresh), most=1, shares=1, token="t", lease_s=60)
        assert claim is not None
        error = ErrorInfo(code="decode_failed", message="the source cannot be decoded")
        fresh.store.record_images(claim, [Record(n=1, seconds=0.1, error=error)])
        found = client.get(f"/jobs/{job}").json()
        assert client.get(f"{CREATE}/{job}").status_code == 404
    assert found["status"] == "failed"
    assert found["metadata"] == {"err": {"message": "the source cannot be decoded"}}


@pytest.mark.parametrize("picture", [PNG, JPEG, GIF])
def test_its_types_are_known_by_their_bytes(client: httpx.Client, picture: bytes) -> None:
    assert post(client, picture).status_code == 201


@pytest.mark.parametrize("picture", [WEBP, b"", b"text", b"<html>" * 100])
def test_another_type_is_refused(site: Site, client: httpx.Client, picture: bytes) -> None:
    answer = post(client, picture)
    message = "Invalid file type. Accepted types: image/jpeg, image/png, image/gif"
    assert (answer.status_code, answer.json()) == (400, refusal(400, message))
    assert site.leftovers() == []


@pytest.mark.parametrize("files", [{"picture": ("a.png", PNG)}, {"sizeX": (None, b"5")}])
def test_without_a_file_it_is_refused(client: httpx.Client, files: dict[str, Any]) -> None:
    answer = client.post(CREATE, files=files)
    assert (answer.status_code, answer.json()) == (400, refusal(400, "No file uploaded"))


def test_a_body_of_another_kind_has_no_file(client: httpx.Client) -> None:
    assert client.post(CREATE, json={}).json() == refusal(400, "No file uploaded")


@pytest.mark.parametrize("size", ["0", "-1", "1.5", "many", "16385", "²"])
def test_a_size_is_a_number_of_pixels(client: httpx.Client, size: str) -> None:
    answer = post(client, sizeY=size)
    assert answer.json() == refusal(400, "sizeY must be a whole number from 1 to 16384")


def test_one_picture_at_a_time(client: httpx.Client) -> None:
    answer = client.post(CREATE, files=[("image", ("a.png", PNG)), ("image", ("b.png", PNG))])
    assert answer.json() == refusal(400, "Send one picture at a time.")


def test_what_does_not_exist_is_said_so(site: Site, client: httpx.Client) -> None:
    with asking(site, "thumbnails", "im_admin") as admin:
        other = post(admin).text
        assert admin.get(f"/jobs/{other}").status_code == 200
    sheet = site.submit("im_submitter")["id"]
    for job in ("nonsense", other, sheet):
        thumbnail, found = client.get(f"{CREATE}/{job}"), client.get(f"/jobs/{job}")
        assert thumbnail.json() == refusal(404, f"Thumbnail {job} does not exist", "Not Found")
        assert found.json() == refusal(404, f"Job {job} does not exist", "Not Found")
        assert (thumbnail.status_code, found.status_code) == (404, 404)


def test_jobs_are_listed_newest_first_and_bounded(fresh: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thumbnails, "MOST", 2)
    with asking(fresh, "thumbnails") as client, asking(fresh, "thumbnails", "im_admin") as admin:
        jobs = [post(client).text for _ in range(3)]
        other = post(admin).text
        assert [job["id"] for job in client.get("/jobs").json()] == [jobs[2], jobs[1]]
        assert [job["id"] for job in admin.get("/jobs").json()] == [other, jobs[2]]


def test_tokens_are_asked_for_as_everywhere(site: Site) -> None:
    with asking(site, "thumbnails", READER) as reader, asking(site, "thumbnails", None) as stranger:
        assert post(reader).json()["error"] == "Forbidden"
        message = "Send the header `Authorization: Bearer <token>`."
        assert stranger.get("/jobs").json() == refusal(401, message, "Unauthorized")
