"""The table of `csv-api`, line by line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from imagemill.compat import csv_api
from imagemill.core import keys
from tests.api.conftest import READER, Site
from tests.compat.conftest import SHEET, asking, post_sheet

UPLOAD = "/api/upload"
A, B = "http://o.example/a.jpg", "http://o.example/b.jpg"


@pytest.fixture
def client(site: Site) -> Iterator[httpx.Client]:
    with asking(site, "csv-api") as found:
        yield found


def uploaded(client: httpx.Client, **fields: str) -> str:
    answer = client.post(UPLOAD, files={"file": ("products.csv", SHEET)}, data=fields)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["requestId"])


def status(client: httpx.Client, job: str) -> dict[str, Any]:
    answer = client.get(f"/api/status/{job}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize("field", ["file", "csv", "csvFile", "csv_file"])
def test_the_sheet_may_be_in_any_of_its_fields(client: httpx.Client, field: str) -> None:
    answer = post_sheet(client, UPLOAD, field=field)
    assert answer.status_code == 200
    assert list(answer.json()) == ["requestId", "requestID", "request_id"]
    assert len(set(answer.json().values())) == 1


@pytest.mark.parametrize("field", ["webhook", "webhookUrl", "webhook_url", "callbackUrl", "callback_url"])
def test_the_callback_may_be_in_any_of_its_fields(site: Site, client: httpx.Client, field: str) -> None:
    job = uploaded(client, **{"webhook": "", field: "http://127.0.0.1:9/hook"})
    assert site.store.submission(job).callback_url == "http://127.0.0.1:9/hook"
    assert site.store.submission(job).profile == "csv-api"


def test_a_job_is_followed_to_its_end(fresh: Site) -> None:
    with asking(fresh, "csv-api") as client:
        job = uploaded(client)
        cup = {"serialNumber": "1", "productName": "Cup", "status": "pending", "inputImageUrls": [A]}
        pot = {"serialNumber": "2", "productName": "Pot", "status": "pending", "inputImageUrls": [B, A]}
        assert list(status(client, job).items()) == [
            ("requestId", job),
            ("status", "pending"),
            ("progress", {"total": 3, "processed": 0, "failed": 0, "percent": 0}),
            ("products", [cup | {"outputImageUrls": [None]}, pot | {"outputImageUrls": [None, None]}]),
            ("outputCsvUrl", None),
        ]
        fresh.finish(most=1)
        halfway = status(client, job)
        assert halfway["status"] == "processing"
        assert halfway["progress"] == {"total": 3, "processed": 2, "failed": 0, "percent": 66}
        assert [product["status"] for product in halfway["products"]] == ["completed", "processing"]
        fresh.finish(failed=(2,))
        key = keys.output_key(f"{1:064x}", keys.fingerprint(fresh.store.job(job).recipe), "image")
        link = f"{fresh.url}/images/{keys.file_name(key, 'jpeg')}"
        assert status(client, job) == {
            "requestId": job,
            "status": "completed",
            "progress": {"total": 3, "processed": 3, "failed": 1, "percent": 100},
            "products": [
                cup | {"status": "completed", "outputImageUrls": [link]},
                pot | {"status": "completed", "outputImageUrls": [None, link]},
            ],
            "outputCsvUrl": f"{fresh.url}/compat/csv-api/api/download/{job}",
        }


def test_the_output_is_an_attachment_at_two_addresses(fresh: Site) -> None:
    with asking(fresh, "csv-api") as client:
        job = uploaded(client)
        for path in (f"/api/status/{job}/csv", f"/api/download/{job}"):
            early = client.get(path)
            assert (early.status_code, list(early.json())) == (409, ["error"])
        fresh.finish(failed=(1, 2))
        assert status(client, job)["status"] == "failed"
        first, second = (client.get(path) for path in (f"/api/status/{job}/csv", f"/api/download/{job}"))
    assert first.content == second.content
    assert first.text.splitlines()[1] == f"1,Cup,{A},{A}"
    assert first.headers["content-type"].startswith("text/csv")
    assert first.headers["content-disposition"].startswith('attachment; filename="products-output.csv"')


def test_an_image_is_sent_to_whoever_knows_its_name(fresh: Site) -> None:
    name = "0" * 40 + ".png"
    fresh.storage.put(name, b"a picture")
    with asking(fresh, "csv-api", token=None) as stranger:
        answer = stranger.get(f"/processed_images/{name}")
        missing = stranger.get("/processed_images/nonsense.png")
    assert (answer.content, answer.headers["content-type"]) == (b"a picture", "image/png")
    assert missing.status_code == 404


@pytest.mark.parametrize("path", ["/api/status/{}", "/api/status/{}/csv", "/api/download/{}"])
@pytest.mark.parametrize("job", ["nonsense", "0193a5c0-0000-7000-8000-000000000000", "another's"])
def test_what_is_unknown_is_not_found(site: Site, client: httpx.Client, path: str, job: str) -> None:
    uid = site.submit()["id"] if job == "another's" else job
    answer = client.get(path.format(uid))
    assert (answer.status_code, answer.json()) == (404, {"error": "Request not found"})


def test_a_bad_sheet_is_told_fault_by_fault(client: httpx.Client) -> None:
    answer = post_sheet(client, UPLOAD, b"S. No.,Input Image Urls\n1,nonsense\n2,\n")
    (detail,) = answer.json()["details"]
    assert (answer.status_code, answer.json()["error"]) == (400, "Invalid CSV format")
    assert {**detail, "message": ""} == {
        "row": 2,
        "column": 2,
        "column_name": "Input Image Urls",
        "code": "bad_url",
        "message": "",
    }


@pytest.mark.parametrize(
    ("sheet", "field", "fields", "refused"),
    [
        (SHEET, "other", {}, 400),
        (SHEET + b"x" * 70_000, "file", {}, 413),
        (SHEET, "file", {"webhook": "nonsense"}, 422),
    ],
)
def test_other_refusals_have_its_shape(
    client: httpx.Client, sheet: bytes, field: str, fields: dict[str, str], refused: int
) -> None:
    answer = post_sheet(client, UPLOAD, sheet, field, **fields)
    assert (answer.status_code, list(answer.json())) == (refused, ["error"])


def test_tokens_are_asked_for_as_everywhere(site: Site) -> None:
    with asking(site, "csv-api", READER) as reader, asking(site, "csv-api", None) as stranger:
        assert post_sheet(reader, UPLOAD).status_code == 403
        assert stranger.get("/api/status/x").json() == {"error": "Send the header `Authorization: Bearer <token>`."}


def test_products_are_listed_up_to_a_limit(site: Site, client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_api, "MOST_PRODUCTS", 1)
    found = status(client, uploaded(client))
    assert ([product["productName"] for product in found["products"]], found["progress"]["total"]) == (["Cup"], 3)


def test_rows_without_images_and_serials_are_products_too(client: httpx.Client) -> None:
    sheet = b"Title,Images\nCup,http://o.example/a.jpg\n\nPot,\n"
    job = str(post_sheet(client, UPLOAD, sheet).json()["requestId"])
    products = [(each["serialNumber"], each["productName"], each["status"]) for each in status(client, job)["products"]]
    assert products == [("2", "Cup", "pending"), ("4", "Pot", "completed")]
