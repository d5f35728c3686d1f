"""Whole requests: redirects, limits in time and bytes, codings, and the code each failure has."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from imagemill.core.errors import ImageCode
from imagemill.outbound import Client, Limits, retry_after_s
from tests.origin import Origin
from tests.outbound.calls import PICTURE, Names, body, client_for, failure


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/inside", ImageCode.BLOCKED_ADDRESS),
        ("/to?http%3A%2F%2F2852039166%2F", ImageCode.BLOCKED_ADDRESS),
        ("/to?http%3A%2F%2F%5B%3A%3Affff%3A7f00%3A2%5D%2F", ImageCode.BLOCKED_ADDRESS),
        ("/to?%2F%2F10.0.0.1%2F", ImageCode.BLOCKED_ADDRESS),
        ("/to?http%3A%2F%2Frebound.example%2F", ImageCode.BLOCKED_ADDRESS),
        ("/to?file%3A%2F%2F%2Fetc%2Fpasswd", ImageCode.HTTP_STATUS),
        ("/to?http%3A%2F%2Fa%40127.0.0.1%2F", ImageCode.HTTP_STATUS),
        ("/loop", ImageCode.TOO_MANY_REDIRECTS),
        ("/redirect/redirect/redirect/redirect/redirect/redirect/a.jpg", ImageCode.TOO_MANY_REDIRECTS),
    ],
)
def test_every_hop_is_checked(path: str, code: ImageCode, origin: Origin, clients: list[Client]) -> None:
    client = client_for(clients, resolve=Names(rebound_example=[["127.0.0.2"]]))
    assert failure(client, origin.url + path).image_code is code


def test_redirects_are_followed_on_one_connection(origin: Origin, clients: list[Client]) -> None:
    url = f"{origin.url}/redirect/redirect/redirect/redirect/redirect/a.jpg"
    with client_for(clients).get(url) as answer:
        assert b"".join(answer.chunks()) == PICTURE
        assert answer.url == f"{origin.url}/a.jpg"
    assert origin.connections == 1


def test_headers_go_with_the_first_request_only(origin: Origin, folder: Path, clients: list[Client]) -> None:
    client = client_for(clients)
    with Origin(folder) as other:
        there = f"{other.url}/a.jpg".replace(":", "%3A").replace("/", "%2F")
        origin.answers["/set"] = (
            b"HTTP/1.1 302 Found\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\nLocation: /a.jpg\r\n\r\n"
        )
        for path in (f"/to?{there}", "/set"):
            with client.get(origin.url + path, {"Authorization": "Bearer secret"}) as answer:
                assert answer.status == 200
        assert origin.headers["/set"]["authorization"] == "Bearer secret"
        assert "authorization" not in origin.headers["/a.jpg"]
        assert "authorization" not in other.headers["/a.jpg"]
        assert "cookie" not in origin.headers["/a.jpg"]
        assert origin.headers["/a.jpg"]["user-agent"] == "imagemill-test"


def test_a_redirect_in_utf_8_is_understood(origin: Origin, clients: list[Client]) -> None:
    (origin.folder or Path()).joinpath("ü.jpg").write_bytes(b"GIF89a")
    origin.answers["/u"] = "HTTP/1.1 301 Moved\r\nContent-Length: 0\r\nLocation: /ü.jpg\r\n\r\n".encode()
    assert body(client_for(clients), f"{origin.url}/u") == b"GIF89a"


@pytest.mark.parametrize(
    ("path", "code", "says"),
    [
        ("/endless", ImageCode.TOO_LARGE, "more than 1048576 bytes"),
        ("/huge-length/a.jpg", ImageCode.TOO_LARGE, "more than 1048576 bytes"),
        ("/bomb", ImageCode.TOO_LARGE, "more than 1048576 bytes"),
        ("/short/a.jpg", ImageCode.TRUNCATED, "before the end"),
        ("/short-chunk", ImageCode.TRUNCATED, "before the end"),
        ("/minus-chunk", ImageCode.TRUNCATED, "before the end"),
        ("/brotli", ImageCode.NOT_AN_IMAGE, "coded as br"),
        ("/closed", ImageCode.CONNECT_FAILED, "could not be reached"),
        ("/reset", ImageCode.CONNECT_FAILED, "could not be reached"),
        ("/garbage", ImageCode.CONNECT_FAILED, "does not answer in HTTP"),
        ("/long-head", ImageCode.CONNECT_FAILED, "does not answer in HTTP"),
    ],
)
def test_a_bad_answer_has_its_own_code(
    path: str, code: ImageCode, says: str, origin: Origin, clients: list[Client]
) -> None:
    failed = failure(client_for(clients), origin.url + path)
    assert failed.image_code is code
    assert says in failed.detail
    assert failed.detail.startswith("127.0.0.1 ")


@pytest.mark.parametrize(
    "path", ["/a.jpg", "/no-length/a.jpg", "/chunked/a.jpg", "/gzipped/a.jpg", "/redirect/a.jpg", "/small-length/a.jpg"]
)
def test_a_good_answer_is_whole(path: str, origin: Origin, clients: list[Client]) -> None:
    assert body(client_for(clients), origin.url + path) == PICTURE[: 10 if "small" in path else None]


@pytest.mark.parametrize(
    ("coding", "data", "code"),
    [
        ("gzip", b"not gzip at all", ImageCode.NOT_AN_IMAGE),
        ("gzip", bytes.fromhex("1f8b0800000000000003"), ImageCode.TRUNCATED),
        ("gzip, gzip", b"", ImageCode.NOT_AN_IMAGE),
    ],
)
def test_a_broken_coding(coding: str, data: bytes, code: ImageCode, origin: Origin, clients: list[Client]) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: {len(data)}\r\n\r\n"
    origin.answers["/coded"] = head.encode() + data
    assert failure(client_for(clients), f"{origin.url}/coded").image_code is code


@pytest.mark.parametrize("path", ["/silent", "/drip/a.jpg"])
def test_no_answer_outlasts_its_time(path: str, origin: Origin, clients: list[Client]) -> None:
    limits = Limits(connect_timeout_s=2, read_timeout_s=0.3, total_timeout_s=0.5)
    failed = failure(client_for(clients, limits=limits), origin.url + path)
    assert failed.image_code is ImageCode.TIMEOUT


def test_the_time_is_that_of_all_hops(origin: Origin, clients: list[Client]) -> None:
    """The hop that begins after the end is not made, however fast it would be."""
    limits = Limits(total_timeout_s=0.0, max_redirects=1)
    assert failure(client_for(clients, limits=limits), f"{origin.url}/redirect/a.jpg").image_code is ImageCode.TIMEOUT
    assert origin.hits == {}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        ("0", 0.0),
        ("99999999999999", 86_400.0),
        ("Thu, 01 Jan 1970 00:18:20 GMT", 100.0),
        ("Thu, 01 Jan 1970 00:00:20 GMT", 0.0),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("Thu, 99 Jan 1970 00:00:20 GMT", None),
    ],
)
def test_retry_after(text: str, seconds: float | None) -> None:
    assert retry_after_s(httpx.Headers({"Retry-After": text}), now=1000.0) == seconds
