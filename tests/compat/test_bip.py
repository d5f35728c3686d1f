"""The table of `bip`, line by line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.api.conftest import READER, SUBMITTER, Site
from tests.compat.conftest import SHEET, asking, post_sheet

HEAD = b"S. No.,Product Name,Input Image Urls\n"
HOOK = "http://127.0.0.1:9/hook"


@pytest.fixture
def client(site: Site) -> Iterator[httpx.Client]:
    with asking(site, "bip") as found:
        yield found


def refusal(errors: list[dict[str, Any]]) -> dict[str, Any]:
    return {"success": False, "status": 422, "message": "Validation error", "errors": errors}


def misnamed(found: str, column: int, name: str) -> str:
    wrong = f"Header name {found} is not correct or missing in the 1 row / {column} column."
    return f"{wrong} The Header name should be {name}"


def status(client: httpx.Client, job: str) -> dict[str, Any]:
    answer = client.get("/jobs", params={"job_id": job})
    assert (answer.status_code, answer.json()["message"]) == (200, "Job status fetched")
    data: dict[str, Any] = answer.json()["data"]
    return data


@pytest.mark.parametrize(("path", "words"), [("/", "Server is running."), ("/health", "ok")])
def test_it_says_that_it_is_there_to_anybody(site: Site, path: str, words: str) -> None:
    with asking(site, "bip", token=None) as stranger:
        answer = stranger.get(path)
    assert (answer.status_code, answer.text) == (200, words)
    assert answer.headers["content-type"].startswith("text/plain")


def test_a_job_is_made_and_followed(fresh: Site) -> None:
    with asking(fresh, "bip") as client:
        answer = post_sheet(client, "/jobs", webhook=HOOK, colour="means nothing here")
        assert (answer.status_code, sorted(answer.json())) == (201, ["job_id", "message"])
        assert answer.json()["message"] == "Job created"
        job = answer.json()["job_id"]
        links = f"{fresh.url}/api/v1/jobs/{job}"
        known = {"job_id": job, "webhook": HOOK, "webhook_sent": False, "input_csv_url": f"{links}/input"}
        assert status(client, job) == known | {"status": "queued"}
        fresh.finish(most=1)
        assert status(client, job) == known | {"status": "processing"}
        fresh.finish(failed=(2,))
        assert status(client, job) == known | {"status": "completed", "output_csv_url": f"{links}/output.csv"}
        output = client.get(f"{links}/output.csv").text.splitlines()
    assert output[0] == "S. No.,Product Name,Input Image Urls,Output Image Urls"
    first, second = output[2].rpartition('"')[0].rpartition('"')[2].split(",")
    assert first == "http://o.example/b.jpg"
    assert second.startswith(f"{fresh.url}/images/")


def test_without_a_webhook_there_is_none(fresh: Site) -> None:
    with asking(fresh, "bip") as client:
        job = post_sheet(client, "/jobs").json()["job_id"]
        fresh.finish(failed=(1, 2))
        assert sorted(status(client, job)) == ["input_csv_url", "job_id", "output_csv_url", "status", "webhook_sent"]
        assert status(client, job)["status"] == "failed"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"other": ("a.csv", SHEET)}, "No file uploaded"),
        ({"webhook": (None, HOOK.encode())}, "No file uploaded"),
        ({"file": ("a.csv", b"\x89PNG\r\n\x1a\n\x00\x00\x00")}, "Invalid file type"),
        ({"file": ("a.csv", SHEET + b"x" * 60_000)}, "File size too large"),
    ],
)
def test_what_is_no_sheet_is_refused_plainly(client: httpx.Client, files: dict[str, Any], message: str) -> None:
    answer = client.post("/jobs", files=files)
    assert (answer.status_code, answer.json()) == (400, {"message": message})


def test_another_kind_of_body_has_no_file(client: httpx.Client) -> None:
    answer = client.post("/jobs", json={"webhook": HOOK})
    assert (answer.status_code, answer.json()) == (400, {"message": "No file uploaded"})


@pytest.mark.parametrize(
    "url", ["shop.example/hook", "ftp://shop.example/", "http://", "http://169.254.169.254/", "x" * 3000]
)
def test_a_bad_webhook_is_named(client: httpx.Client, url: str) -> None:
    answer = post_sheet(client, "/jobs", webhook=url)
    error = {"type": "field", "value": url, "msg": "Invalid URL", "path": "webhook", "location": "body"}
    assert (answer.status_code, answer.json()) == (422, refusal([error]))


def test_a_body_that_is_no_form_is_told_in_its_shape(client: httpx.Client) -> None:
    answer = client.post("/jobs", content=b"x", headers={"Content-Type": "multipart/form-data; boundary=b"})
    message = "The body cannot be read as multipart/form-data."
    assert (answer.status_code, answer.json()) == (422, {"success": False, "status": 422, "message": message})


@pytest.mark.parametrize("field", [(None, b"\xff"), (None, b"x" * 70_000), ("hook.txt", b"http://shop.example/")])
def test_a_webhook_that_cannot_be_read_is_no_webhook_left_out(client: httpx.Client, field: tuple[str, bytes]) -> None:
    answer = client.post("/jobs", files={"file": ("a.csv", SHEET), "webhook": field})
    error = {"type": "field", "msg": "Invalid URL", "path": "webhook", "location": "body"}
    assert (answer.status_code, answer.json()) == (422, refusal([error]))


@pytest.mark.parametrize(
    ("sheet", "errors"),
    [
        (HEAD + b"1,Cup,nonsense\n", [(2, 3, "Input Image Urls is not valid in the row: 2, column:3")]),
        (HEAD + b'1,Cup,"x,y"\n', [(2, 3, "Input Image Urls is not valid in the row: 2, column:3")]),
        (HEAD + b",Cup,http://a.example/\n", [(2, 1, "S. No. is required in the 2 row / 1 column")]),
        (HEAD + b"1,,http://a.example/\n", [(2, 2, "Product Name is required in the 2 row / 2 column")]),
        (HEAD + b"1,Cup,\n", [(2, 3, "Input Image Urls is required in the 2 row / 3 column")]),
        (
            HEAD + b"1,Cup,http://a.example/\n1,Pot,http://a.example/\n",
            [(3, 1, "S. No. is not unique in the 3 row")],
        ),
        (
            b"S. No.,Product Name,Pictures\n1,Cup,http://a.example/\n",
            [(1, 3, misnamed("Pictures", 3, "Input Image Urls"))],
        ),
        (
            b"Input Image Urls\nhttp://a.example/\n",
            [(1, 1, misnamed("Input Image Urls", 1, "S. No.")), (1, 2, misnamed("undefined", 2, "Product Name"))],
        ),
        (
            b"serial_number,title,images\n,,nonsense\n",
            [
                (2, 1, "S. No. is required in the 2 row / 1 column"),
                (2, 2, "Product Name is required in the 2 row / 2 column"),
                (2, 3, "Input Image Urls is not valid in the row: 2, column:3"),
            ],
        ),
        (b"", [(1, 1, "the sheet is empty: send one with a header and rows")]),
    ],
)
def test_faults_are_said_in_its_sentences(
    client: httpx.Client, sheet: bytes, errors: list[tuple[int, int, str]]
) -> None:
    answer = post_sheet(client, "/jobs", sheet)
    expected = [{"rowIndex": row, "columnIndex": column, "message": message} for row, column, message in errors]
    assert (answer.status_code, answer.json()) == (422, refusal(expected))


def test_a_job_must_be_named(client: httpx.Client) -> None:
    error = {"type": "field", "msg": "job_id is required", "path": "job_id", "location": "query"}
    assert client.get("/jobs").json() == refusal([error])
    assert client.get("/jobs", params={"job_id": ""}).json() == refusal([error | {"value": ""}])
    assert client.get("/jobs").status_code == 422


@pytest.mark.parametrize("job", ["nonsense", "0193a5c0-0000-7000-8000-000000000000"])
def test_an_unknown_job_is_not_found(client: httpx.Client, job: str) -> None:
    answer = client.get("/jobs", params={"job_id": job})
    assert (answer.status_code, answer.json()) == (404, {"success": False, "status": 404, "message": "Id Not Found"})


def test_others_jobs_are_not_found(site: Site, client: httpx.Client) -> None:
    job = site.submit()["id"]
    assert client.get("/jobs", params={"job_id": job}).status_code == 404
    with asking(site, "bip", "im_admin") as admin:
        assert admin.get("/jobs", params={"job_id": job}).status_code == 200


@pytest.mark.parametrize(("token", "refused"), [(None, 401), ("im_unknown", 401), (READER, 403)])
def test_tokens_are_asked_for_as_everywhere(site: Site, token: str | None, refused: int) -> None:
    with asking(site, "bip", token) as client:
        answer = post_sheet(client, "/jobs")
    assert (answer.status_code, answer.json()["status"], answer.json()["success"]) == (refused, refused, False)
    assert ("www-authenticate" in answer.headers) is (refused == 401)


def test_a_base_url_may_carry_the_token(site: Site) -> None:
    with httpx.Client(base_url=f"{site.url}/compat/bip", auth=("anybody", SUBMITTER), trust_env=False) as client:
        assert client.get("/jobs", params={"job_id": "x"}).status_code == 404
        assert client.get(f"{site.url}/api/v1/jobs").status_code == 401
    for given in ("Basic", "Basic ?", "Basic YTo=", "Basic /w=="):
        assert (
            httpx.get(f"{site.url}/compat/bip/jobs", headers={"Authorization": given}, trust_env=False).status_code
            == 401
        )


def test_a_fault_of_ours_is_told_in_its_shape(fresh: Site) -> None:
    with asking(fresh, "bip") as client:
        job = post_sheet(client, "/jobs").json()["job_id"]
        fresh.spoil_jobs()
        answer = client.get("/jobs", params={"job_id": job})
    assert (answer.status_code, answer.json()["success"]) == (500, False)
    assert "The log has the cause" in answer.json()["message"]
