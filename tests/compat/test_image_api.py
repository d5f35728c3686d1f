"""The table of `image-api`, line by line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from imagemill.core import keys
from imagemill.db import Record
from imagemill.pipeline import Work
from tests.api.conftest import READER, Site
from tests.compat.conftest import asking
from tests.compat.pictures import GIF, JPEG, PNG, made


@pytest.fixture
def client(site: Site) -> Iterator[httpx.Client]:
    with asking(site, "image-api") as found:
        yield found


def post(client: httpx.Client, picture: bytes = PNG, **fields: str) -> httpx.Response:
    return client.post("/jobs", files={"file": ("cup.png", picture, "image/png")}, data=fields)


def refusal(*messages: str) -> dict[str, Any]:
    return {"errors": [{"msg": message} for message in messages]}


def finish(site: Site, data: bytes = b"a thumbnail") -> None:
    """Record the newest job's image, and store its thumbnail."""
    job_id = next(step.job_id for step in reversed(site.steps) if isinstance(step, Work))
    claim = site.store.claim_images(job_id, most=1, shares=1, token="t", lease_s=60)
    assert claim is not None
    source, outputs = made(claim.fingerprint, claim.submission.recipe)
    site.store.record_images(claim, [Record(n=1, seconds=0.1, source=source, outputs=outputs)])
    site.storage.put(keys.file_name(outputs[1].key, "png"), data)


def test_it_says_that_it_is_well_and_where_it_is_described(site: Site) -> None:
    with asking(site, "image-api", token=None) as stranger:
        assert stranger.get("/healthcheck").json() == {"message": "The healthcheck is working."}
        assert stranger.get("/api-docs", follow_redirects=True).url.path == "/docs"


def test_a_job_has_a_number_and_an_image(fresh: Site) -> None:
    with asking(fresh, "image-api") as client:
        answer = post(client, size="thumbnail")
        job = answer.json()
        assert (answer.status_code, list(job)) == (200, ["id", "status", "createdAt", "updatedAt", "image"])
        assert isinstance(job["id"], int)
        image = job["image"]
        assert list(image) == ["id", "jobId", "originalBlobId", "thumbnailBlobId", "createdAt", "updatedAt"]
        assert (job["status"], image["jobId"], image["thumbnailBlobId"]) == ("UNPROCESSED", job["id"], None)
        assert client.get(f"/jobs/{job['id']}").json() == job
        finish(fresh)
        done = client.get(f"/jobs/{job['id']}").json()
        assert (done["status"], done["createdAt"]) == ("SUCCEEDED", job["createdAt"])
        assert done["updatedAt"] > done["createdAt"]
        assert done["image"]["originalBlobId"] == image["originalBlobId"]
        assert len(done["image"]["thumbnailBlobId"]) == 40


def test_the_original_is_there_at_once_and_the_thumbnail_when_it_is_made(fresh: Site) -> None:
    with asking(fresh, "image-api") as client:
        path = f"/jobs/{post(client, JPEG).json()['id']}/image"
        original = client.get(path, params={"size": "original"})
        assert (original.status_code, original.content, original.headers["content-type"]) == (200, JPEG, "image/jpeg")
        for size in ({}, {"size": "thumbnail"}):
            early = client.get(path, params=size)
            message = "Cannot retrieve thumbnail image for job with status UNPROCESSED."
            assert (early.status_code, early.json()) == (409, {"error": "Conflict", "message": message})
        finish(fresh)
        thumbnail = client.get(path)
        assert (thumbnail.content, thumbnail.headers["content-type"]) == (b"a thumbnail", "image/png")
        assert thumbnail.headers["cache-control"] == "private, no-cache"
        assert client.get(path, params={"size": "large"}).json() == refusal("Size must be 'original' or 'thumbnail'")
        assert client.get(path, params={"size": "large"}).status_code == 400


def test_an_original_that_has_gone_is_said_so(fresh: Site) -> None:
    with asking(fresh, "image-api") as client:
        number = post(client).json()["id"]
        (job,) = (each.uid for each in fresh.store.singles("image-api", None, 1))
        fresh.folders.forget(job)
        answer = client.get(f"/jobs/{number}/image", params={"size": "original"})
    assert (answer.status_code, answer.json()["error"]) == (404, "Not Found")


@pytest.mark.parametrize(
    ("files", "messages"),
    [
        ({"size": (None, b"thumbnail")}, ["File is required"]),
        ({"size": (None, b"huge")}, ["File is required", "Size must be 'thumbnail'"]),
        ({"file": ("a.png", PNG), "size": (None, b"huge")}, ["Size must be 'thumbnail'"]),
        ({"file": ("a.png", GIF)}, ["File must be one of image/png, image/jpeg, image/jpg"]),
        ({"file": ("a.png", b"a sheet")}, ["File must be one of image/png, image/jpeg, image/jpg"]),
    ],
)
def test_what_is_wrong_is_listed(client: httpx.Client, files: dict[str, Any], messages: list[str]) -> None:
    answer = client.post("/jobs", files=files)
    assert (answer.status_code, answer.json()) == (400, refusal(*messages))


def test_a_lower_limit_of_ours_is_named(client: httpx.Client) -> None:
    answer = post(client, PNG.ljust(60_001, b"\0"))
    assert (answer.status_code, answer.json()) == (400, refusal("File must be less than 58 KB"))


def test_one_picture_at_a_time(client: httpx.Client) -> None:
    answer = client.post("/jobs", files=[("file", ("a.png", PNG)), ("file", ("b.png", PNG))])
    assert (answer.status_code, answer.json()) == (400, refusal("Send one picture at a time."))


def test_a_file_has_at_most_5120_kb(fresh: Site) -> None:
    with asking(fresh, "image-api") as client:
        assert post(client, PNG.ljust(5120 * 1024, b"\0")).status_code == 200
        answer = post(client, PNG.ljust(5120 * 1024 + 1, b"\0"))
        assert (answer.status_code, answer.json()) == (400, refusal("File must be less than 5120 KB"))
        assert client.post("/jobs", json={}).json() == refusal("File is required")
    assert fresh.leftovers() == []


def test_jobs_are_listed_in_pages_newest_first(fresh: Site) -> None:
    with asking(fresh, "image-api") as client, asking(fresh, "image-api", "im_admin") as admin:
        numbers = [post(client).json()["id"] for _ in range(3)]
        other = post(admin).json()["id"]
        first = client.get("/jobs", params={"limit": 2}).json()
        assert first["count"] == 3
        assert [list(job) for job in first["results"]] == [["id", "status", "createdAt", "updatedAt"]] * 2
        assert [job["id"] for job in first["results"]] == numbers[:0:-1]
        second = client.get("/jobs", params={"page": 2, "limit": 2}).json()
        assert [job["id"] for job in second["results"]] == numbers[:1]
        assert client.get("/jobs", params={"page": "9" * 18, "limit": "9" * 18}).json() == {"results": [], "count": 3}
        assert admin.get("/jobs").json()["count"] == 4
        assert client.get(f"/jobs/{other}").status_code == 404


@pytest.mark.parametrize("given", ["0", "-1", "one", "1.5", "", "9" * 30])
def test_page_and_limit_are_positive(client: httpx.Client, given: str) -> None:
    page, limit = client.get("/jobs", params={"page": given}), client.get("/jobs", params={"limit": given})
    assert (page.status_code, page.json()) == (400, refusal("Page must be a positive integer"))
    assert (limit.status_code, limit.json()) == (400, refusal("Limit must be a positive integer"))


@pytest.mark.parametrize("path", ["/jobs/{}", "/jobs/{}/image"])
def test_numbers_of_no_job(site: Site, client: httpx.Client, path: str) -> None:
    site.submit("im_submitter")
    for number in ("999999", "1" + "0" * 17, "1"):  # the first job of this site is a sheet's
        answer = client.get(path.format(number))
        message = f"Cannot find job with ID {number}"
        assert (answer.status_code, answer.json()) == (404, {"error": "Not Found", "message": message})
    for given in ("0", "x", "-1", "0193a5c0-0000-7000-8000-000000000000"):
        answer = client.get(path.format(given))
        assert (answer.status_code, answer.json()) == (400, refusal("Job ID must be a positive integer"))


def test_tokens_are_asked_for_as_everywhere(site: Site) -> None:
    with asking(site, "image-api", READER) as reader, asking(site, "image-api", None) as stranger:
        assert (post(reader).status_code, post(reader).json()["error"]) == (403, "Forbidden")
        assert (stranger.get("/jobs").status_code, stranger.get("/jobs").json()["error"]) == (401, "Unauthorized")
