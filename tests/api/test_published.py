import socket
from collections.abc import Iterator

import httpx
import pytest

from tests.api.conftest import Site

KEY = "0123456789abcdef0123456789abcdef01234567"
DATA = bytes(range(256)) * 4000
PATH = f"/images/{KEY}.jpg"


@pytest.fixture
def public(site: Site) -> Iterator[httpx.Client]:
    site.storage.put(f"{KEY}.jpg", DATA)
    with site.client(token=None) as found:
        yield found


def test_an_image_is_public_and_immutable(public: httpx.Client) -> None:
    answer = public.get(PATH)
    assert answer.status_code == 200
    assert answer.content == DATA
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["content-length"] == str(len(DATA))
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["etag"] == f'"{KEY}"'
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("extension", "media_type"),
    [
        ("jpg", "image/jpeg"),
        ("png", "image/png"),
        ("webp", "image/webp"),
        ("gif", "image/gif"),
        ("bmp", "image/bmp"),
        ("tif", "image/tiff"),
    ],
)
def test_each_format_has_its_type(site: Site, extension: str, media_type: str) -> None:
    key = "ab" * 20
    site.storage.put(f"{key}.{extension}", b"bytes")
    with site.client(token=None) as client:
        assert client.get(f"/images/{key}.{extension}").headers["content-type"] == media_type


def test_head_is_get_without_the_body(public: httpx.Client) -> None:
    asked, got = public.head(PATH), public.get(PATH)
    assert asked.content == b""
    same = set(asked.headers) - {"date"}
    assert {name: asked.headers[name] for name in same} == {
        name: got.headers[name] for name in set(got.headers) - {"date"}
    }


@pytest.mark.parametrize("tag", [f'"{KEY}"', f'W/"{KEY}"', "*", f'"other", "{KEY}"'])
def test_who_has_it_is_told_so(public: httpx.Client, tag: str) -> None:
    answer = public.get(PATH, headers={"If-None-Match": tag, "Range": "bytes=0-1"})
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == f'"{KEY}"'
    assert "immutable" in answer.headers["cache-control"]


def test_who_has_another_gets_it(public: httpx.Client) -> None:
    assert public.get(PATH, headers={"If-None-Match": '"other"'}).content == DATA


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-99", 0, 99),
        ("bytes=100-", 100, len(DATA) - 1),
        ("bytes=-100", len(DATA) - 100, len(DATA) - 1),
        ("bytes=5-5,9-9", 5, 5),
        (f"bytes={len(DATA)}-,7-8", 7, 8),
        ("bytes=1-9999999", 1, len(DATA) - 1),
    ],
)
def test_ranges(public: httpx.Client, asked: str, first: int, last: int) -> None:
    answer = public.get(PATH, headers={"Range": asked})
    assert answer.status_code == 206
    assert answer.content == DATA[first : last + 1]
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(DATA)}"
    assert answer.headers["content-type"] == "image/jpeg"


def test_a_range_outside_is_refused(public: httpx.Client) -> None:
    answer = public.get(PATH, headers={"Range": f"bytes={len(DATA)}-"})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{len(DATA)}"
    assert answer.json()["code"] == "range_not_satisfiable"


@pytest.mark.parametrize(
    ("tag", "status"), [(f'"{KEY}"', 206), ('"other"', 200), ("Wed, 21 Oct 2015 07:28:00 GMT", 200)]
)
def test_if_range(public: httpx.Client, tag: str, status: int) -> None:
    assert public.get(PATH, headers={"Range": "bytes=0-1", "If-Range": tag}).status_code == status


def test_nonsense_ranges_are_ignored(public: httpx.Client) -> None:
    assert public.get(PATH, headers={"Range": "lines=1-2"}).content == DATA


def test_an_empty_file_is_an_answer(site: Site) -> None:
    site.storage.put(f"{'cd' * 20}.png", b"")
    with site.client(token=None) as client:
        answer = client.get(f"/images/{'cd' * 20}.png")
        assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    "name",
    [
        f"{KEY}.png",
        f"{KEY}.svg",
        f"{KEY}",
        f"{KEY}.jpg/",
        f"{KEY}.jpg%0a",
        f"{KEY.upper()}.jpg",
        f"../images/{KEY}.jpg",
        f"..%2foutputs%2f01%2f{KEY}.jpg",
        f"01/{KEY}.jpg",
        "../../token",
        "..%2f..%2ftoken",
        "%2e%2e/%2e%2e/token",
        "....//token",
        "",
        "%00",
        "\u0660" * 40 + ".jpg",
    ],
)
def test_no_other_name_leads_anywhere(site: Site, public: httpx.Client, name: str) -> None:
    (site.folders.token).write_text("im_secret")
    url = httpx.URL(site.url)
    with socket.create_connection((url.host, url.port or 0), timeout=60) as line:
        line.sendall(f"GET /images/{name} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while more := line.recv(65536):
            answer += more
    assert answer.startswith((b"HTTP/1.1 404", b"HTTP/1.1 400")), answer[:200]
    assert b"im_secret" not in answer
    assert b"immutable" not in answer


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_images_can_only_be_read(public: httpx.Client, method: str) -> None:
    answer = public.request(method, PATH)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"


def test_the_database_is_not_asked(fresh: Site) -> None:
    fresh.storage.put(f"{KEY}.jpg", DATA)
    fresh.break_table("output")
    with fresh.client(token=None) as client:
        assert client.get(PATH).status_code == 200


def test_a_file_that_is_gone_is_not_found(site: Site, public: httpx.Client) -> None:
    site.storage.delete(f"{KEY}.jpg")
    answer = public.get(PATH)
    assert answer.status_code == 404
    assert answer.headers["cache-control"] == "no-store"
