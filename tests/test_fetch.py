"""Every way an origin can fail, and the code each becomes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from imagemill.core.errors import ImageCode, ImageError
from imagemill.core.retry import is_transient
from imagemill.fetch import MEMORY_BYTES, Fetcher, validator_of
from imagemill.hosts.host import FIRST_FAILURES
from imagemill.outbound import Breaker
from imagemill.settings import FetchSettings
from tests.appliance_process import until
from tests.origin import Origin

SMALL = os.urandom(22_000)
LARGE = os.urandom(3 * MEMORY_BYTES)
SETTINGS = {
    "allow": ("127.0.0.1",),
    "connect_timeout_s": 20.0,
    "read_timeout_s": 20.0,
    "total_timeout_s": 60.0,
    "max_bytes": 4 * MEMORY_BYTES,
}
HASTY = {"read_timeout_s": 0.4, "total_timeout_s": 0.8}


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Origin]:
    folder = tmp_path_factory.mktemp("origin")
    for name, data in {"small.jpg": SMALL, "large.jpg": LARGE, "edge.jpg": LARGE[:MEMORY_BYTES]}.items():
        (folder / name).write_bytes(data)
    with Origin(folder) as running:
        yield running


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def fetcher(spool: Path) -> Iterator[Fetcher]:
    made = Fetcher(FetchSettings(**SETTINGS), spool)  # type: ignore[arg-type]
    yield made
    made.close()


@pytest.fixture
def hasty(spool: Path) -> Iterator[Fetcher]:
    """For those who do not answer in time."""
    made = Fetcher(FetchSettings(**(SETTINGS | HASTY)), spool)  # type: ignore[arg-type]
    yield made
    made.close()


def failure(fetcher: Fetcher, url: str) -> ImageError:
    with pytest.raises(ImageError) as failed:
        fetcher.fetch(url)
    return failed.value


def test_a_small_source_stays_in_memory(origin: Origin, fetcher: Fetcher, spool: Path) -> None:
    fetched = fetcher.fetch(f"{origin.url}/small.jpg")
    assert (fetched.data, fetched.size) == (SMALL, len(SMALL))
    assert fetched.sha256 == hashlib.sha256(SMALL).hexdigest()
    fetched.discard()
    assert fetcher.fetch(f"{origin.url}/edge.jpg").data == LARGE[:MEMORY_BYTES]
    assert list(spool.iterdir()) == []


@pytest.mark.parametrize("path", ["/large.jpg", "/chunked/large.jpg", "/no-length/large.jpg", "/gzipped/large.jpg"])
def test_a_large_source_is_a_file_of_the_spool(path: str, origin: Origin, fetcher: Fetcher, spool: Path) -> None:
    fetched = fetcher.fetch(origin.url + path)
    assert isinstance(fetched.data, Path)
    assert fetched.data.parent == spool
    assert fetched.data.read_bytes() == LARGE
    assert (fetched.size, fetched.sha256) == (len(LARGE), hashlib.sha256(LARGE).hexdigest())
    fetched.discard()
    fetched.discard()
    assert list(spool.iterdir()) == []


def test_what_all_threads_hold_together_is_limited(origin: Origin, spool: Path) -> None:
    """Nobody waits for memory: what does not fit is a file, and room is there again when others are let go."""
    fetcher = Fetcher(FetchSettings(**SETTINGS, memory_mb=1), spool)  # type: ignore[arg-type]
    url = f"{origin.url}/edge.jpg"
    first, second = fetcher.fetch(url), fetcher.fetch(url)
    assert (isinstance(first.data, bytes), isinstance(second.data, Path)) == (True, True)
    assert failure(fetcher, f"{origin.url}/page/edge.jpg").image_code is ImageCode.NOT_AN_IMAGE
    for _ in range(2):
        first.discard()
        second.discard()
    assert first.sha256 == second.sha256
    assert isinstance(fetcher.fetch(url).data, bytes)
    assert isinstance(fetcher.fetch(url).data, Path)
    fetcher.close()


FAILURES = [
    ("/missing.jpg", ImageCode.HTTP_STATUS, False, "answered 404 Not Found: check the address"),
    ("/status/403", ImageCode.HTTP_STATUS, False, "403 Forbidden"),
    ("/status/410", ImageCode.HTTP_STATUS, False, "410 Gone"),
    ("/status/304", ImageCode.HTTP_STATUS, False, "304"),
    ("/status/302", ImageCode.HTTP_STATUS, False, "302"),
    ("/status/408", ImageCode.HTTP_STATUS, True, "try again later"),
    ("/status/425", ImageCode.HTTP_STATUS, True, "try again later"),
    ("/status/429", ImageCode.HTTP_STATUS, True, "429 Too Many Requests: try again later"),
    ("/status/500", ImageCode.HTTP_STATUS, True, "try again later"),
    ("/status/520", ImageCode.HTTP_STATUS, True, "answered 520: try again later"),
    ("/status/204", ImageCode.NOT_AN_IMAGE, False, "sent nothing"),
    ("/empty", ImageCode.NOT_AN_IMAGE, False, "sent nothing"),
    ("/page", ImageCode.NOT_AN_IMAGE, False, "web page instead of an image"),
    ("/silent", ImageCode.TIMEOUT, True, "did not answer in time"),
    ("/drip/small.jpg", ImageCode.TIMEOUT, True, "too slowly"),
    ("/short/small.jpg", ImageCode.TRUNCATED, True, "before the end"),
    ("/short/large.jpg", ImageCode.TRUNCATED, True, "before the end"),
    ("/endless", ImageCode.TOO_LARGE, False, "sends more than 4194304 bytes"),
    ("/huge-length/small.jpg", ImageCode.TOO_LARGE, False, "sends more than"),
    ("/bomb", ImageCode.TOO_LARGE, False, "sends more than"),
    ("/closed", ImageCode.CONNECT_FAILED, True, "could not be reached"),
    ("/garbage", ImageCode.CONNECT_FAILED, True, "does not answer in HTTP"),
    ("/inside", ImageCode.BLOCKED_ADDRESS, False, "169.254.169.254 leads to a blocked address (link-local)"),
    ("/loop", ImageCode.TOO_MANY_REDIRECTS, False, "redirects more than 5 times"),
]


@pytest.mark.parametrize("failing", FAILURES, ids=lambda failing: failing[0])
def test_every_failure_has_its_code(
    failing: tuple[str, ImageCode, bool, str], origin: Origin, fetcher: Fetcher, hasty: Fetcher, spool: Path
) -> None:
    path, code, transient, says = failing
    failed = failure(hasty if code is ImageCode.TIMEOUT else fetcher, origin.url + path)
    assert failed.image_code is code
    assert is_transient(failed) is transient
    assert says in failed.detail
    assert "\n" not in failed.detail
    assert list(spool.iterdir()) == []


def test_a_host_that_is_not_there(fetcher: Fetcher) -> None:
    unknown = failure(fetcher, "http://no-such-shop.invalid/a.jpg")
    assert unknown.image_code is ImageCode.DNS_FAILED
    assert unknown.detail == "no-such-shop.invalid is not known in DNS: check its name"
    assert failure(fetcher, "http://127.0.0.1:1/a.jpg").image_code is ImageCode.CONNECT_FAILED
    assert failure(fetcher, "http://127.0.0.2/a.jpg").image_code is ImageCode.BLOCKED_ADDRESS


def test_a_busy_host_says_when_to_come_again(origin: Origin, fetcher: Fetcher) -> None:
    failed = failure(fetcher, f"{origin.url}/busy/1/small.jpg")
    assert failed.retry_after_s == 1.0
    assert is_transient(failed)


def test_a_host_that_is_left_alone_is_not_asked(origin: Origin, fetcher: Fetcher) -> None:
    failure(fetcher, f"{origin.url}/busy/90/small.jpg")
    asked = origin.hits["/small.jpg"]
    failed = failure(fetcher, f"{origin.url}/small.jpg")
    assert "left alone" in failed.detail
    assert 80 < (failed.retry_after_s or 0) <= 90
    assert origin.hits["/small.jpg"] == asked


def test_a_dead_host_is_given_up_and_the_others_are_not(origin: Origin, fetcher: Fetcher) -> None:
    for _ in range(FIRST_FAILURES):
        failure(fetcher, "http://127.0.0.1:1/a.jpg")
    failed = failure(fetcher, "http://127.0.0.1:1/a.jpg")
    assert (failed.image_code, failed.is_attempt) == (ImageCode.CONNECT_FAILED, False)
    assert "left alone" in failed.detail
    assert fetcher.fetch(f"{origin.url}/small.jpg").data == SMALL


def test_a_full_disk_is_not_the_origins_fault(origin: Origin, tmp_path: Path) -> None:
    fetcher = Fetcher(FetchSettings(**SETTINGS), tmp_path / "gone")  # type: ignore[arg-type]
    failed = failure(fetcher, f"{origin.url}/large.jpg")
    assert failed.image_code is ImageCode.STORAGE_FAILED
    fetcher.close()


def test_no_more_connections_to_a_host_than_set(origin: Origin, spool: Path) -> None:
    fetcher = Fetcher(FetchSettings(**(SETTINGS | {"per_host": 3})), spool)  # type: ignore[arg-type]
    with Origin(origin.folder) as fresh, ThreadPoolExecutor(12) as threads:
        fetched = list(threads.map(fetcher.fetch, [f"{fresh.url}/slow/0.02/small.jpg"] * 36))
        fetcher.close()
    assert {one.sha256 for one in fetched} == {hashlib.sha256(SMALL).hexdigest()}
    assert fresh.connections <= 3


DATE = "Mon, 05 Jan 2026 10:00:00 GMT"


@pytest.mark.parametrize(
    ("path", "validator"), [("/tagged/small.jpg", '"first"'), ("/dated/small.jpg", "Mon, 05 Jan 2026 10:00:00 GMT")]
)
def test_what_has_not_changed_is_not_sent_again(path: str, validator: str, origin: Origin, fetcher: Fetcher) -> None:
    assert fetcher.fetch(origin.url + path).validator == validator
    assert fetcher.refetch(origin.url + path, validator) is None
    other = fetcher.refetch(origin.url + path, '"another"')
    assert other is not None
    assert (other.data, other.validator) == (SMALL, validator)
    assert "if-none-match" in origin.headers[path]
    fetcher.fetch(origin.url + path)
    assert not {"if-none-match", "if-modified-since"} & origin.headers[path].keys()


def test_a_validator_is_of_the_address_that_was_asked(origin: Origin, fetcher: Fetcher) -> None:
    behind = f"{origin.url}/redirect/tagged/small.jpg"
    assert fetcher.fetch(behind).validator == ""
    fetched = fetcher.refetch(behind, '"first"')
    assert fetched is not None
    assert (fetched.data, fetched.validator) == (SMALL, "")
    assert "if-none-match" not in origin.headers["/tagged/small.jpg"]


def test_a_304_that_was_not_asked_for_is_an_error(origin: Origin, fetcher: Fetcher) -> None:
    origin.answers["/unasked"] = b"HTTP/1.1 304 Not Modified\r\n\r\n"
    for path in ("/unasked", "/redirect/unasked"):
        assert failure(fetcher, origin.url + path).image_code is ImageCode.HTTP_STATUS
    with pytest.raises(ImageError, match="304"):
        fetcher.refetch(f"{origin.url}/redirect/unasked", '"first"')


OLD, NEW = DATE, "Mon, 05 Jan 2026 10:00:30 GMT"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"etag": '"a-1"'}, '"a-1"'),
        ({"etag": 'W/"weak"', "last-modified": OLD}, 'W/"weak"'),
        ({"etag": '"' + 200 * "x" + '"'}, '"' + 200 * "x" + '"'),
        ({"etag": '"' + 201 * "x" + '"'}, ""),
        ({"etag": "bare"}, ""),
        ({"etag": '"a" "b"'}, ""),
        ({"etag": '"é"'}, ""),
        ({"etag": "bare", "last-modified": OLD, "date": "Tue, 06 Jan 2026 10:00:00 GMT"}, OLD),
        ({"last-modified": OLD}, ""),
        ({"last-modified": OLD, "date": NEW}, ""),
        ({"last-modified": NEW, "date": OLD}, ""),
        ({"last-modified": "Mon, 30 Feb 2026 10:00:00 GMT", "date": OLD}, ""),
        ({"last-modified": "yesterday", "date": OLD}, ""),
        ({"last-modified": OLD + "\nX: y", "date": "Tue, 06 Jan 2026 10:00:00 GMT"}, ""),
        ({}, ""),
    ],
)
def test_only_a_validator_of_sane_form_is_kept(headers: dict[str, str], expected: str) -> None:
    assert validator_of(headers) == expected


@pytest.mark.parametrize("route", ["silent", "drip", "no-end"])
def test_a_download_is_broken_off_by_another_thread(fetcher: Fetcher, origin: Origin, spool: Path, route: str) -> None:
    breaker = Breaker()
    with ThreadPoolExecutor(1) as hand:
        under_way = hand.submit(fetcher.fetch, f"{origin.url}/{route}/small.jpg", breaker)
        until(lambda: breaker.busy_s > 0, 20, "it has begun")
        breaker.break_off()
        failed = under_way.exception(15)  # its own limits are 20 and 60 s
    assert isinstance(failed, ImageError)
    assert (failed.image_code, failed.is_attempt) == (ImageCode.CANCELLED, False)
    hits = origin.hits.total()
    with pytest.raises(ImageError, match="cancelled"):
        fetcher.fetch(f"{origin.url}/small.jpg", breaker)
    assert (origin.hits.total(), breaker.busy_s, list(spool.iterdir())) == (hits, 0, [])
    assert fetcher.fetch(f"{origin.url}/small.jpg").data == SMALL
