import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from imagemill.pipeline import Work
from imagemill.settings import Settings
from tests.api.conftest import ADMIN, SHEET, Site, eventually, running

JOBS = "/api/v1/jobs"


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Site]:
    """A site with a low limit and little patience."""
    with running(tmp_path / "data", Settings(max_upload_bytes=100_000)) as found:
        yield found


@pytest.fixture
def hasty(tmp_path: Path) -> Iterator[Site]:
    """A site with little patience."""
    with running(tmp_path / "data", Settings(max_upload_bytes=100_000), body_timeout_s=0.4) as found:
        yield found


BEGINNING = (
    b'--bb\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
    b"serial_number;images\r\n1;http://a.example/\r\n"
)


@contextlib.contextmanager
def half_an_upload(
    site: Site, length: int = 10_000_000, more_headers: str = "", beginning: bytes = BEGINNING, path: str = JOBS
) -> Iterator[socket.socket]:
    """Begin an upload of `length` bytes and send some of them."""
    url = httpx.URL(site.url)
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ADMIN}\r\nContent-Length: {length}\r\n"
    kind = "Content-Type: multipart/form-data; boundary=bb\r\n"
    with socket.create_connection((url.host, url.port or 0), timeout=60) as line:
        line.sendall((head + kind + more_headers + "\r\n").encode() + beginning)
        yield line


def test_a_sheet_becomes_a_job(site: Site, client: httpx.Client) -> None:
    answer = client.post(
        JOBS, files={"file": ("Käse.csv", SHEET)}, data={"quality": "40", "name": "spring", "thumbnails": "9x9"}
    )
    job = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == f"{JOBS}/{job['id']}" == job["links"]["self"]
    assert int(answer.headers["retry-after"]) >= 1
    assert job["counts"] | {"rows": 2, "images": 3, "unique": 2, "pending": 3} == job["counts"]
    assert (job["state"], job["kind"], job["name"], job["recipe"]["quality"]) == ("pending", "sheet", "spring", 40)
    assert job["warnings"] == []
    assert job["created_at"].endswith("Z")
    assert set(job["links"]) == {"self", "images", "input", "output", "report", "archive"}
    assert isinstance(site.steps[0], Work)
    assert site.leftovers() == []


@pytest.mark.parametrize("name", ["file", "csv", "csvFile", "csv_file", "sheet"])
def test_names_of_the_sheet(client: httpx.Client, name: str) -> None:
    assert client.post(JOBS, files={name: ("a.csv", SHEET)}).status_code == 202


def test_fields_may_follow_the_sheet(client: httpx.Client) -> None:
    parts: list[tuple[str, tuple[str | None, bytes]]] = [
        ("file", ("a.csv", SHEET)),
        ("quality", (None, b"33")),
        ("thumbnails", (None, b"5x5")),
        ("thumbnails", (None, b"6x6")),
    ]
    recipe = client.post(JOBS, files=parts).json()["recipe"]
    assert recipe["quality"] == 33
    assert len(recipe["thumbnails"]) == 2


def test_the_column_of_links_may_be_named_behind_the_sheet(client: httpx.Client) -> None:
    sheet = b"Nr,Bild\n1,http://origin.example/a.jpg\n"
    parts: list[tuple[str, tuple[str | None, bytes]]] = [("file", ("a.csv", sheet)), ("image_column", (None, b"bild"))]
    answer = client.post(JOBS, files=parts)
    assert (answer.status_code, answer.json()["counts"]["images"]) == (202, 1)
    assert client.post(JOBS, files=parts[:1]).json()["errors"][0]["code"] == "missing_column"


def test_defaults_are_settings(tmp_path: Path) -> None:
    settings = Settings()
    with running(tmp_path / "data", settings) as site:
        assert site.submit()["recipe"]["quality"] == settings.image.quality


@pytest.mark.parametrize("alias", ["callback_url", "webhook", "webhook_url", "webhookUrl", "callbackUrl"])
def test_callback_aliases(client: httpx.Client, alias: str) -> None:
    job = client.post(JOBS, files={"file": ("a.csv", SHEET)}, data={alias: "http://127.0.0.1:9/done"}).json()
    assert job["callback"] == {
        "url": "http://127.0.0.1:9/done",
        "state": "pending",
        "attempts": 0,
        "last_status": None,
        "next_attempt_at": None,
    }


@pytest.mark.parametrize("url", ["http://169.254.169.254/latest", "ftp://shop.example/", "http://[::1]/", "nonsense"])
def test_a_forbidden_callback_is_refused_at_once(site: Site, client: httpx.Client, url: str) -> None:
    answer = client.post(JOBS, files={"file": ("a.csv", SHEET)}, data={"callback_url": url})
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["callback_url"]
    assert site.leftovers() == []


def test_every_fault_of_a_sheet_is_listed(fresh: Site) -> None:
    with fresh.client() as client:
        answer = client.post(JOBS, files={"file": ("a.csv", b"serial_number,images\n1,ftp://x/\n2,nothing\n")})
    body = answer.json()
    assert (answer.status_code, body["code"], body["error_count"]) == (422, "invalid_sheet", 2)
    assert [(error["row"], error["column"], error["column_name"]) for error in body["errors"]] == [
        (2, 2, "images"),
        (3, 2, "images"),
    ]
    assert all(error["code"] and error["message"] for error in body["errors"])
    assert fresh.leftovers() == []
    assert fresh.steps == []
    assert fresh.store.known_uids() == set()


def test_fields_are_told_together_and_before_the_sheet(site: Site, client: httpx.Client) -> None:
    answer = client.post(JOBS, files={"file": ("a.csv", b"no\nsheet")}, data={"quality": "900", "qualtiy": "5"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert {error["field"] for error in answer.json()["errors"]} == {"quality", "qualtiy"}
    assert site.leftovers() == []


def test_no_sheet_names_the_field(client: httpx.Client) -> None:
    answer = client.post(JOBS, files={"quality": (None, "50")})
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["file"]


@pytest.mark.parametrize(
    "content_type", ["text/csv", "application/xml", "multipart/form-data", "multipart/mixed; boundary=b", ""]
)
def test_other_bodies_are_refused(client: httpx.Client, content_type: str) -> None:
    answer = client.post(JOBS, content=SHEET, headers={"Content-Type": content_type})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


def test_a_body_that_is_cut_off_is_refused(site: Site, client: httpx.Client) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n' + SHEET
    answer = client.post(JOBS, content=part, headers=headers)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "body")
    assert site.leftovers() == []


def test_an_announced_length_over_the_limit_is_refused_unread(small: Site) -> None:
    with half_an_upload(small, 50_000_000) as line:
        assert line.recv(65536).startswith(b"HTTP/1.1 413")


def test_who_waits_to_be_asked_is_not_asked_for_a_body_that_is_refused(small: Site) -> None:
    with half_an_upload(small, 50_000_000, "Expect: 100-continue\r\n", b"") as line:
        assert line.recv(65536).startswith(b"HTTP/1.1 413")


def test_who_waits_to_be_asked_is_asked(small: Site) -> None:
    with half_an_upload(small, 500, "Expect: 100-continue\r\n", b"") as line:
        assert line.recv(65536).startswith(b"HTTP/1.1 100")


def test_a_stream_over_the_limit_is_stopped(small: Site) -> None:
    sent = 0

    def body() -> Iterator[bytes]:
        nonlocal sent
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\nserial,input\n'
        for number in range(100_000):
            sent += 1
            yield b"%d,http://a.example/%d.jpg\n" % (number, number) * 10
        yield b"\r\n--b--\r\n"

    with small.client() as client:
        answer = client.post(JOBS, content=body(), headers={"Content-Type": "multipart/form-data; boundary=b"})
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
        assert answer.headers["connection"] == "close"
        assert sent < 100_000
        eventually(lambda: not small.leftovers())
        assert client.post(JOBS, files={"file": ("a.csv", SHEET)}).status_code == 202


def test_a_slow_body_is_timed_out(hasty: Site) -> None:
    with half_an_upload(hasty, 50_000) as line:
        begun_at = time.monotonic()
        assert line.recv(65536).startswith(b"HTTP/1.1 408")
        assert time.monotonic() - begun_at < 30
    eventually(lambda: not hasty.leftovers())


def test_a_trickle_is_timed_out_too(hasty: Site) -> None:
    with half_an_upload(hasty, 50_000) as line:
        line.settimeout(0.1)
        for _ in range(100):
            with contextlib.suppress(TimeoutError):
                answer = line.recv(65536)
                break
            line.sendall(b"x")
        assert answer.startswith(b"HTTP/1.1 408")
    eventually(lambda: not hasty.leftovers())


def test_an_aborted_upload_leaves_nothing(fresh: Site) -> None:
    with half_an_upload(fresh):
        eventually(fresh.leftovers)
    eventually(lambda: not fresh.leftovers())
    assert fresh.steps == []


def test_a_large_sheet_streams_through(site: Site, client: httpx.Client) -> None:
    lines = b"".join(b"%d;Cup %d;http://origin.example/%d.jpg\n" % (n, n, n) for n in range(20_000))
    job = client.post(JOBS, files={"file": ("a.csv", b"serial_number;product;images\n" + lines)}, timeout=60).json()
    assert (job["counts"]["rows"], job["counts"]["unique"]) == (20_000, 20_000)


def test_no_room_says_when_to_come_again(tmp_path: Path) -> None:
    with running(tmp_path / "data", Settings(disk_reserve_mb=1 << 40)) as site, site.client() as client:
        answer = client.post(JOBS, files={"file": ("a.csv", SHEET)})
        assert (answer.status_code, answer.json()["code"]) == (503, "no_room")
        assert int(answer.headers["retry-after"]) > 0
