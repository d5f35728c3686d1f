import csv
import io
import zipfile
from pathlib import Path

import httpx
import pytest

from imagemill.api.downloads import charset_of, content_disposition
from tests.api.conftest import SHEET, Site


def test_the_input_comes_back_byte_for_byte(site: Site, client: httpx.Client) -> None:
    path = site.submit()["links"]["input"]
    answer = client.get(path)
    assert answer.content == SHEET
    assert (
        answer.headers["content-disposition"] == "attachment; filename=\"products.csv\"; filename*=UTF-8''products.csv"
    )
    assert answer.headers["cache-control"].startswith("private")
    assert client.get(path, headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
    assert client.get(path, headers={"Range": "bytes=0-5"}).content == SHEET[:6]


def test_the_output_is_the_sheet_with_a_column_more(site: Site, client: httpx.Client) -> None:
    path = site.submit()["links"]["output"]
    site.finish(failed=(2,))
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert 'filename="products-output.csv"' in answer.headers["content-disposition"]
    before, after = SHEET.decode().splitlines(), answer.text.splitlines()
    assert [line.startswith(old) for line, old in zip(after, before, strict=True)] == [True] * 3
    assert after[1].count("/images/") == 1


def test_the_output_waits_for_the_end(site: Site, client: httpx.Client) -> None:
    path = site.submit()["links"]["output"]
    answer = client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (409, "not_finished")
    assert "partial" in answer.json()["detail"]
    partial = client.get(f"{path}?partial=1")
    assert partial.status_code == 200
    assert len(partial.text.splitlines()) == 3


def test_the_report_has_a_line_for_each_image(site: Site, client: httpx.Client) -> None:
    path = site.submit()["links"]["report"]
    site.finish(failed=(2,))
    answer = client.get(path)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert 'filename="products-report.csv"' in answer.headers["content-disposition"]
    assert len(list(csv.reader(io.StringIO(answer.text)))) == 4
    assert "http_status" in answer.text


def test_a_long_output_is_streamed_in_full(site: Site, client: httpx.Client) -> None:
    rows = 20_000
    lines = b"".join(b"%d;%s;http://origin.example/%d.jpg\n" % (n, b"text " * 20, n % 7) for n in range(rows))
    path = site.submit(sheet=b"serial_number;product;images\n" + lines)["links"]["output"]
    site.finish()
    with client.stream("GET", path) as answer:
        assert "content-length" not in answer.headers
        chunks = list(answer.iter_raw())
    assert len(chunks) > 10
    assert b"".join(chunks).count(b"\n") == rows + 1


def test_a_download_that_is_given_up_does_no_harm(site: Site, client: httpx.Client) -> None:
    lines = b"".join(b"%d;%s;http://origin.example/a.jpg\n" % (n, b"text " * 20) for n in range(20_000))
    path = site.submit(sheet=b"serial_number;product;images\n" + lines)["links"]["output"]
    site.finish()
    for _ in range(8):
        with client.stream("GET", path) as answer:
            next(answer.iter_raw())
    assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    ("data", "charset"),
    [
        ("input\né\n".encode(), "utf-8"),
        ("input\né\n".encode("utf-8-sig"), "utf-8"),
        ("input\né\n".encode("utf-16"), "utf-16"),
        (b"input\n" + b"a\n" * 5000 + "é\n".encode("cp1252"), "windows-1252"),
        (b"input\n", "utf-8"),
    ],
)
def test_charsets(tmp_path: Path, data: bytes, charset: str) -> None:
    (tmp_path / "sheet").write_bytes(data)
    assert charset_of(tmp_path / "sheet") == charset


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("a.csv", "attachment; filename=\"a.csv\"; filename*=UTF-8''a.csv"),
        (
            'Käse "x"\r\n\\%;.csv',
            "attachment; filename=\"K_se _x_____;.csv\"; filename*=UTF-8''K%C3%A4se%20%22x%22%0D%0A%5C%25%3B.csv",
        ),
    ],
)
def test_content_disposition(name: str, header: str) -> None:
    assert content_disposition(name) == header


def test_a_strange_filename_is_survived(site: Site, client: httpx.Client) -> None:
    job = client.post("/api/v1/jobs", files={"file": ("../Prés entación Ω.tsv", SHEET)}).json()
    header = client.get(job["links"]["input"]).headers["content-disposition"]
    assert header.endswith("filename*=UTF-8''Pr%C3%A9s%20entaci%C3%B3n%20%CE%A9.tsv")
    assert site.leftovers() == []


def test_the_pictures_come_as_one_zip_file(fresh: Site) -> None:
    path = fresh.submit()["links"]["archive"]
    with fresh.client() as client:
        early = client.get(path)
        assert (early.status_code, early.json()["code"]) == (409, "not_finished")
        fresh.finish(failed=(2,))
        for image in fresh.store.images(path.split("/")[4], None, 10, None)[0]:
            for output in image.outputs:
                fresh.storage.put(f"{output.key}.jpg", b"a picture")
        answer = client.get(path)
    assert answer.headers["content-type"] == "application/zip"
    assert 'filename="products-images.zip"' in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as file:
        assert {name: file.read(name) for name in file.namelist()} == {"00002-1-a.jpg": b"a picture"}
