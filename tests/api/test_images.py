"""Uploading images themselves: one or many, kept with their job, refused as a whole."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from imagemill.core import keys
from imagemill.pipeline import Sweep
from imagemill.settings import FetchSettings, Settings
from tests.api.conftest import READER, Site, eventually, running
from tests.api.test_uploads import half_an_upload

IMAGES = "/api/v1/images"
RED, BLUE = b"\xff\xd8 red " * 100, b"\x89PNG blue " * 100


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site with low limits."""
    settings = Settings(max_upload_bytes=60_000, max_upload_images=3, fetch=FetchSettings(max_bytes=20_000))
    with running(tmp_path_factory.mktemp("small") / "data", settings) as found:
        yield found


def sent(site: Site, *files: tuple[str, tuple[str, bytes]], **fields: str) -> dict[str, Any]:
    with site.client() as client:
        answer = client.post(IMAGES, files=list(files), data=fields)
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = answer.json()
    assert answer.headers["location"] == job["links"]["self"]
    return job


def kept(site: Site, job: dict[str, Any]) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (site.folders.uploads / job["id"]).iterdir()}


def test_images_become_a_job_and_are_kept(small: Site) -> None:
    job = sent(small, ("image", ("red.jpg", RED)), ("file", ("blue, really.png", BLUE)), quality="30")
    assert (job["kind"], job["counts"]["images"], job["recipe"]["quality"]) == ("images", 2, 30)
    assert sorted(kept(small, job).values()) == sorted([RED, BLUE])
    with small.client() as client:
        images = client.get(job["links"]["images"]).json()["images"]
    assert [keys.uploaded(image["source_url"]) in kept(small, job) for image in images] == [True, True]
    assert images[1]["source_url"].endswith("/blue%2C%20really.png")
    assert small.leftovers() == []


def test_what_was_sent_can_be_had_back(small: Site) -> None:
    job = sent(small, ("image", ("../red.jpg", RED)))
    with small.client() as client:
        (image,) = client.get(job["links"]["images"]).json()["images"]
        answer = client.get(f"/api/v1/images/{image['id']}/original")
        assert (answer.content, answer.headers["content-type"]) == (RED, "application/octet-stream")
        assert answer.headers["content-disposition"].startswith('attachment; filename="2-1"')
        assert client.get(f"/api/v1/images/{image['id']}/original", headers={"Range": "bytes=0-1"}).content == RED[:2]
    with small.client(READER) as other:
        assert other.get(f"/api/v1/images/{image['id']}/original").status_code == 404


def test_the_same_picture_is_kept_once_whatever_it_is_called(small: Site) -> None:
    job = sent(small, *[("image", (name, RED)) for name in ("a.jpg", "b.jpg", "a.jpg")])
    assert (job["counts"]["images"], job["counts"]["unique"]) == (3, 2)
    assert list(kept(small, job).values()) == [RED]


def test_a_job_takes_its_images_with_it(small: Site) -> None:
    job = sent(small, ("image", ("red.jpg", RED)))
    with small.client() as client:
        assert client.delete(job["links"]["self"]).status_code == 204
    assert not (small.folders.uploads / job["id"]).exists()


def test_sent_again_it_is_one_job(small: Site) -> None:
    def post(data: bytes) -> Any:  # noqa: ANN401 - a response
        with small.client() as client:
            return client.post(IMAGES, files={"image": ("a.jpg", data)}, headers={"Idempotency-Key": "images-1"})

    first, again, other = post(RED), post(RED), post(BLUE)
    assert first.json()["id"] == again.json()["id"]
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
    assert len(list(small.folders.uploads.iterdir())) == len(small.store.known_uids())


@pytest.mark.parametrize(
    ("files", "status", "code"),
    [
        ([], 422, "invalid_request"),
        ([("picture", ("a.jpg", RED))], 422, "invalid_request"),
        ([("image", ("a.jpg", b"x" * 20_001))], 413, "too_large"),
        ([("image", ("a.jpg", RED))] * 4, 413, "too_large"),
        ([("image", ("a.jpg", b"x" * 20_000))] * 3 + [("note", (None, b"y" * 1_100_000))], 413, "too_large"),
        ([("image", ("a.jpg", RED)), ("quality", (None, b"500"))], 422, "invalid_request"),
        ([("image", ("a.jpg", RED)), ("colour", (None, b"red"))], 422, "invalid_request"),
    ],
)
def test_what_is_refused_leaves_nothing(small: Site, files: list[Any], status: int, code: str) -> None:
    before = sorted(small.folders.uploads.iterdir())
    files = files or [("name", (None, b"empty"))]
    with small.client() as client:
        answer = client.post(IMAGES, files=files)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert small.leftovers() == []
    assert sorted(small.folders.uploads.iterdir()) == before


@pytest.mark.parametrize("name", ["../../etc/passwd", "a\\..\\b.jpg", "", "\x00\r\nX: y", "ä" * 300])
def test_names_are_for_showing_only(small: Site, name: str) -> None:
    job = sent(small, ("image", (name or "blob", RED)))
    assert list(kept(small, job).values()) == [RED]
    with small.client() as client:
        (image,) = client.get(job["links"]["images"]).json()["images"]
    assert image["source_url"].count("/") == 4
    assert "\n" not in image["source_url"]


def test_a_body_of_another_kind_is_refused(small: Site) -> None:
    with small.client() as client:
        answer = client.post(IMAGES, json={"images": ["http://a.example/b.jpg"]})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


def test_an_upload_that_breaks_off_leaves_nothing(fresh: Site) -> None:
    beginning = b'--bb\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n' + RED * 1000
    with half_an_upload(fresh, beginning=beginning, path=IMAGES):
        eventually(lambda: any(Path(file).name == "part" for file in fresh.folders.spool.rglob("*")))
    eventually(lambda: not fresh.leftovers())
    assert list(fresh.folders.uploads.iterdir()) == []


def test_reading_is_not_submitting(small: Site) -> None:
    with small.client(READER) as client, contextlib.suppress(ConnectionError):
        assert client.post(IMAGES, files={"image": ("a.jpg", RED)}).status_code == 403


def test_a_deleted_image_goes_with_its_files_and_counts_as_cancelled(fresh: Site) -> None:
    job = sent(fresh, ("image", ("red.jpg", RED)), ("image", ("blue.png", BLUE)), ("image", ("red-2.jpg", RED)))
    with fresh.client() as client:
        red, blue, again = client.get(job["links"]["images"]).json()["images"]
        early = client.delete(f"/api/v1/images/{red['id']}")
        assert (early.status_code, early.json()["code"]) == (409, "illegal_transition")
        fresh.finish()
        for image in (red, blue):
            assert client.delete(f"/api/v1/images/{image['id']}").status_code == 204
        assert list(kept(fresh, job).values()) == [RED]  # another image of the job is of the same bytes
        assert client.delete(f"/api/v1/images/{again['id']}").status_code == 204
        assert client.delete(f"/api/v1/images/{again['id']}").status_code == 204
        gone = client.get(f"/api/v1/images/{red['id']}").json()
        assert (gone["state"], gone["outputs"], gone["error"]["code"]) == ("cancelled", [], "cancelled")
        assert client.get(f"/api/v1/images/{red['id']}/original").status_code == 404
    assert kept(fresh, job) == {}
    assert Sweep() in fresh.steps


def test_a_reader_deletes_nothing(small: Site) -> None:
    job = sent(small, ("image", ("red.jpg", RED)))
    with small.client() as client:
        (image,) = client.get(job["links"]["images"]).json()["images"]
    with small.client(READER) as reader:
        assert reader.delete(f"/api/v1/images/{image['id']}").status_code == 403
