"""The page Compare over HTTP: before and after where both are there, else why not; and the way through each order."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from imagemill.core import keys
from imagemill.storage import LocalStorage
from imagemill.web.pictures import name_of
from tests.api.conftest import Site
from tests.web.test_job import SHEET, path, seen, state

JPEG = b"\xff\xd8\xff\xe0" + bytes(996)


def finished(site: Site, failed: tuple[int, ...] = (), **fields: str) -> dict[str, Any]:
    job = site.submit(sheet=SHEET, **fields)
    site.finish(failed=failed)
    return job


def image(job: dict[str, Any], n: int) -> str:
    return keys.image_id(job["id"], n)


def test_after_alone_where_the_original_was_not_kept(site: Site, member: httpx.Client) -> None:
    job = finished(site)
    page = seen(member, job, f"/images/{image(job, 1)}")
    assert "The original was not kept." in page
    assert "keep_original=true" in page
    assert all(word in page for word in ("50 %", "1.0 kB", "500 B", "10 × 10", "0.9900", "no visible difference"))
    assert 'id="before"' not in page
    assert 'id="after" src="/images/' in page


def test_before_and_after_where_it_is(site: Site, member: httpx.Client) -> None:
    job = finished(site, keep_original="true")
    address = f"/images/{image(job, 1)}"
    assert "The original is not there any more." in seen(member, job, address)
    source = site.store.image(job["id"], 1).source
    assert source is not None
    LocalStorage(site.folders.sources).put(keys.source_name(source.sha256, "jpeg"), JPEG)
    page = seen(member, job, address)
    assert f'id="before" src="/api/v1/images/{image(job, 1)}/original"' in page
    assert 'type="range"' in page
    again = "UPDATE source SET format = ? WHERE sha256 = ?"
    site.store._touched(again, ("tiff", source.sha256))
    assert "The original is a TIFF, which browsers do not show." in seen(member, job, address)
    site.store._touched(again, ("jpeg", source.sha256))


def test_what_was_sent_is_there_at_once(site: Site, member: httpx.Client) -> None:
    with site.client() as client:
        job = client.post("/api/v1/images", files={"image": ("my cup.jpg", JPEG)}).json()
    site.finish()
    page = seen(member, job, f"/images/{image(job, 1)}")
    assert "my cup.jpg" in page
    assert "sent to us" in page
    assert 'id="before"' in page
    assert "uploads.invalid" not in page


def test_a_failed_image_says_why_and_is_tried_again(site: Site, member: httpx.Client) -> None:
    job = finished(site, failed=(3,))
    page = seen(member, job, f"/images/{image(job, 3)}?order=failed")
    assert all(word in page for word in ("Refused by the host", "the origin answered 404", "Try this one again"))
    assert 'rel="noreferrer noopener"' in page
    headers = {"Origin": str(member.base_url).rstrip("/")}
    answer = member.post(path(job, f"/images/{image(job, 3)}/retry?order=failed"), headers=headers)
    assert (answer.status_code, answer.headers["location"]) == (303, path(job, f"/images/{image(job, 3)}?order=failed"))
    assert state(site, job) == "processing"
    assert "Not done yet" in seen(member, job, f"/images/{image(job, 3)}")
    site.store.cancel_job(job["id"])
    assert "This picture was cancelled" in seen(member, job, f"/images/{image(job, 3)}")


@pytest.mark.parametrize(("order", "walk"), [("sheet", [1, 2, 3]), ("worst", [60, 59, 58]), ("failed", [7, 9])])
def test_each_leads_to_the_next_in_its_order(site: Site, member: httpx.Client, order: str, walk: list[int]) -> None:
    job = finished(site, failed=(7, 9))
    answer = member.get(path(job, f"/compare?order={order}"))
    address = answer.headers["location"]
    for n in walk:
        assert address == path(job, f"/images/{image(job, n)}?order={order}")
        page = seen(member, job, address.removeprefix(path(job)))
        found = re.search(r'rel="next" href="([^"]+)"', page)
        address = found[1] if found else ""
    assert ('rel="prev"' in page) is True


def test_where_an_order_is_empty_the_page_says_so(site: Site, member: httpx.Client) -> None:
    job = site.submit()
    page = seen(member, job, "/compare?order=worst")
    assert "No picture of this job was measured yet" in page
    assert path(job) in page


def test_an_image_of_another_job_is_not_found(site: Site, member: httpx.Client) -> None:
    job, other = finished(site), finished(site)
    for wrong in (image(other, 1), job["id"], image(job, 99), "none"):
        assert member.get(path(job, f"/images/{wrong}")).status_code == 404


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://a.example/x/cup%20one.jpg?v=2", "cup one.jpg"),
        ("https://a.example", "https://a.example"),
        ("http://[::1/a.jpg", "a.jpg"),
        ("https://a.example/" + "x" * 99 + ".jpg", "x" * 30 + "…" + "x" * 25 + ".jpg"),
    ],
)
def test_names_are_short(url: str, name: str) -> None:
    assert name_of(url) == name
