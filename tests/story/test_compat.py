"""Clients of the old services, against the real appliance: each from its upload to its callback, across a kill."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from PIL import Image

from tests.appliance_process import ApplianceProcess, needs_proc, until
from tests.compat.pictures import drawn, opened
from tests.origin_nginx import Nginx, needs_nginx
from tests.story.receiver import SECRET, Receiver, assert_signed

pytestmark = [needs_nginx, needs_proc, pytest.mark.slow]

SETTINGS = {"callback_secret": SECRET, "fetch_retries": 0}


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    folder = tmp_path_factory.mktemp("origin")
    (folder / "cup.jpg").write_bytes(drawn("JPEG"))
    with Nginx(folder) as running:
        yield running


@pytest.fixture(scope="module")
def appliance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApplianceProcess]:
    with ApplianceProcess(tmp_path_factory.mktemp("compat") / "data", SETTINGS) as running:
        yield running


def asking(appliance: ApplianceProcess, profile: str) -> httpx.Client:
    """A client that knows a base URL, with the token in it, and nothing else of us."""
    token = (appliance.data_dir / "token").read_text().strip()
    return httpx.Client(base_url=f"{appliance.url}/compat/{profile}", auth=("any", token), trust_env=False, timeout=60)


def sheet_of(origin: Nginx) -> dict[str, tuple[str, bytes]]:
    urls = f"{origin.url}/gone.jpg,{origin.url}/cup.jpg"
    return {"file": ("s.csv", f'S. No.,Product Name,Input Image Urls\n1,Cup,"{urls}"\n'.encode())}


def followed(ask: Callable[[], str], ends: set[str]) -> str:
    return until(lambda: (word := ask()) in ends and word, 30, "the job ends", 0.1) or ""


def test_bip_is_told_across_a_kill(tmp_path: Path, origin: Nginx) -> None:
    with Receiver(500) as receiver, ApplianceProcess(tmp_path / "data", SETTINGS) as own, asking(own, "bip") as client:
        answer = client.post("/jobs", files=sheet_of(origin), data={"webhook": receiver.url})
        job = answer.json()["job_id"]
        until(lambda: own.job(job)["callback"]["attempts"] == 1, 30, "the first attempt is recorded")
        receiver.status = 204
        own.kill()
        own.launch()
        own.ready()
        until(lambda: own.job(job)["callback"]["state"] == "delivered", 30, "the callback is delivered")
        data = client.get("/jobs", params={"job_id": job}).json()["data"]
        told = [json.loads(body) for _, body in receiver.calls]
        output = own.get(told[-1]["output_csv_url"]).text
    assert told[0] == told[-1] == {key: data[key] for key in ("job_id", "status", "input_csv_url", "output_csv_url")}
    assert (told[0]["status"], data["webhook"], data["webhook_sent"]) == ("completed", receiver.url, True)
    for headers, body in receiver.calls:
        assert_signed(headers, body)
    (row,) = csv.DictReader(io.StringIO(output))
    failed, done = row["Output Image Urls"].split(",")
    assert failed == f"{origin.url}/gone.jpg"
    assert done.startswith(f"{own.url}/images/")


def test_csv_api_is_told_by_a_post_or_by_a_bare_get(tmp_path: Path, origin: Nginx) -> None:
    own = ApplianceProcess(tmp_path / "data", SETTINGS)
    with Receiver() as receiver, own, asking(own, "csv-api") as client:
        job = client.post("/api/upload", files=sheet_of(origin), data={"callbackUrl": receiver.url}).json()["requestId"]
        until(lambda: receiver.calls, 30, "the callback comes")
        found = client.get(f"/api/status/{job}").json()
        output = client.get(f"/api/download/{job}")
        (product,) = found["products"]
        name = product["outputImageUrls"][1].rpartition("/")[2]
        assert httpx.get(f"{own.url}/compat/csv-api/processed_images/{name}", trust_env=False).is_success
        own.kill()
        own.settings = {**SETTINGS, "compat_callback_get": "true"}
        own.launch()
        own.ready()
        client.post("/api/upload", files=sheet_of(origin), data={"webhook": receiver.url})
        until(lambda: len(receiver.calls) == 2, 30, "the second callback comes")
    (posted, body), (got, nothing) = receiver.calls
    told = json.loads(body)
    assert list(told) == ["requestId", "status", "timestamp", "outputCsvUrl"]
    assert (told["requestId"], told["status"], told["outputCsvUrl"]) == (job, "completed", found["outputCsvUrl"])
    assert (product["outputImageUrls"][0], found["progress"]["failed"]) == (None, 1)
    assert output.text.count("Output Image Urls") == 1
    assert_signed(posted, body)
    assert nothing == b""
    assert got["content-type"] is None
    assert_signed(got, nothing)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF"])
@pytest.mark.parametrize(("across", "down"), [(120, 80), (80, 120), (700, 10)])
def test_thumbnails_are_exact(appliance: ApplianceProcess, form: str, across: int, down: int) -> None:
    with asking(appliance, "thumbnails") as client:
        files = {"image": ("cup", drawn(form))}
        job = client.post("/image-tools/thumbnails", files=files, data={"sizeX": across, "sizeY": down}).text
        assert followed(lambda: client.get(f"/jobs/{job}").json()["status"], {"success", "failed"}) == "success"
        found = client.get(f"/image-tools/thumbnails/{job}").json()
        assert found in client.get("/image-tools/thumbnails").json()
        thumbnail = opened(httpx.get(found["url"], trust_env=False).raise_for_status().content)
    assert (thumbnail.size, thumbnail.format) == ((across, down), form)
    assert found["url"].endswith(f"/images/{found['outputFilePath']}")
    # What is cut off is as much on one side as on the other: the middle column stays in the middle.
    assert abs(_grey(thumbnail, across // 2) - _grey(opened(drawn(form)), 150)) < 12


def _grey(picture: Image.Image, x: int) -> int:
    return picture.convert("L").crop((x, picture.height // 2, x + 1, picture.height // 2 + 1)).tobytes()[0]


def test_a_picture_that_only_begins_like_one_fails(appliance: ApplianceProcess) -> None:
    with asking(appliance, "thumbnails") as client:
        job = client.post("/image-tools/thumbnails", files={"image": ("cup", drawn("PNG")[:60])}).text
        assert followed(lambda: client.get(f"/jobs/{job}").json()["status"], {"success", "failed"}) == "failed"
        assert client.get(f"/jobs/{job}").json()["metadata"]["err"]["message"]


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
@pytest.mark.parametrize(("sides", "inside"), [((300, 200), (100, 67)), ((200, 300), (67, 100)), ((40, 30), (40, 30))])
def test_image_api_keeps_the_original_and_makes_what_fits(
    appliance: ApplianceProcess, form: str, sides: tuple[int, int], inside: tuple[int, int]
) -> None:
    sent = drawn(form, *sides)
    with asking(appliance, "image-api") as client:
        job = client.post("/jobs", files={"file": ("cup", sent)}).json()["id"]
        assert followed(lambda: client.get(f"/jobs/{job}").json()["status"], {"SUCCEEDED", "FAILED"}) == "SUCCEEDED"
        original = client.get(f"/jobs/{job}/image", params={"size": "original"})
        thumbnail = client.get(f"/jobs/{job}/image")
    assert original.content == sent
    assert original.headers["content-type"] == thumbnail.headers["content-type"] == f"image/{form.lower()}"
    assert (opened(thumbnail.content).size, opened(thumbnail.content).format) == (inside, form)
