"""Images that lie elsewhere are sent through us as local ones are; what the storage cannot say is a 503, not a lie."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from imagemill.settings import Settings
from imagemill.storage import CHUNK_BYTES, MemoryStorage, Opened, StorageError
from tests.api.conftest import Site, running

KEY = "0123456789abcdef0123456789abcdef01234567"
PATH = f"/images/{KEY}.jpg"
DATA = bytes(range(256)) * 4000


class Elsewhere(MemoryStorage):
    """Counts what it is asked; `trouble` is what it says then, `breaks` ends a reading after one chunk."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.trouble: OSError | None = None
        self.breaks = False
        self.may_answer = threading.Event()
        self.may_answer.set()

    def size(self, name: str) -> int:
        self._ask("size")
        return super().size(name)

    def open(self, name: str, span: range | None = None) -> Opened:
        self._ask("open")
        opened = super().open(name, span)
        return Opened(opened.size, self._broken(opened.chunks)) if self.breaks else opened

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        assert self.may_answer.wait(60)
        if self.trouble:
            raise self.trouble

    def _broken(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        yield next(chunks)
        raise StorageError("S3 does not answer: Connection reset")


@pytest.fixture
def elsewhere() -> Elsewhere:
    found = Elsewhere()
    found.put(f"{KEY}.jpg", DATA)
    return found


@pytest.fixture
def public(tmp_path: Path, elsewhere: Elsewhere) -> Iterator[httpx.Client]:
    with running(tmp_path / "data", Settings(), storage=elsewhere) as site, site.client(token=None) as client:
        yield client


@pytest.mark.parametrize(
    ("headers", "status", "sent", "asked"),
    [
        ({}, 200, DATA, ["open"]),
        ({"Range": "bytes=5-999999"}, 206, DATA[5:1_000_000], ["size", "open"]),
        ({"Range": "bytes=-7"}, 206, DATA[-7:], ["size", "open"]),
        ({"Range": "lines=1-2"}, 200, DATA, ["size", "open"]),
        ({"Range": "bytes=0-1", "If-Range": '"other"'}, 200, DATA, ["size", "open"]),
        ({"If-None-Match": f'"{KEY}"'}, 304, b"", ["size"]),
        ({"If-None-Match": '"other"'}, 200, DATA, ["size", "open"]),
    ],
)
def test_it_is_sent_as_a_local_one_is(
    site: Site,
    public: httpx.Client,
    elsewhere: Elsewhere,
    headers: dict[str, str],
    status: int,
    sent: bytes,
    asked: list[str],
) -> None:
    answer = public.get(PATH, headers=headers)
    assert (answer.status_code, answer.content) == (status, sent)
    assert elsewhere.asked == asked
    site.storage.put(f"{KEY}.jpg", DATA)
    with site.client(token=None) as client:
        local = client.get(PATH, headers=headers)
    assert without_date(answer) == without_date(local)


def without_date(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name != "date"}


def test_head_asks_for_the_size_alone(public: httpx.Client, elsewhere: Elsewhere) -> None:
    answer = public.head(PATH)
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", str(len(DATA)))
    assert elsewhere.asked == ["size"]


def test_a_range_outside_is_refused(public: httpx.Client) -> None:
    answer = public.get(PATH, headers={"Range": f"bytes={len(DATA)}-"})
    assert (answer.status_code, answer.headers["content-range"]) == (416, f"bytes */{len(DATA)}")


def test_an_empty_one_is_an_answer(public: httpx.Client, elsewhere: Elsewhere) -> None:
    elsewhere.put(f"{KEY}.png", b"")
    answer = public.get(f"/images/{KEY}.png")
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, b"", "image/png")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_is_not_there_is_not_found(public: httpx.Client, method: str) -> None:
    answer = public.request(method, f"/images/{KEY}.webp")
    assert (answer.status_code, answer.headers["cache-control"]) == (404, "no-store")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_storage_that_cannot_say_is_no_404(public: httpx.Client, elsewhere: Elsewhere, method: str) -> None:
    elsewhere.trouble = StorageError("S3 (http://10.0.0.9, bucket shop) does not answer")
    answer = public.request(method, PATH)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
    assert answer.headers["cache-control"] == "no-store"
    if method == "GET":
        assert answer.json()["code"] == "storage_unavailable"
        assert "10.0.0.9" not in answer.text


def test_a_reading_that_breaks_does_not_look_whole(public: httpx.Client, elsewhere: Elsewhere) -> None:
    elsewhere.breaks = True
    with pytest.raises(httpx.RemoteProtocolError):
        public.get(PATH)
    elsewhere.breaks = False
    assert public.get(PATH).content == DATA


def test_a_storage_that_hangs_does_not_take_the_api_along(public: httpx.Client, elsewhere: Elsewhere) -> None:
    elsewhere.may_answer.clear()
    lines = [socket.create_connection((public.base_url.host, public.base_url.port or 0), timeout=60) for _ in range(60)]
    for line in lines:
        line.sendall(f"GET {PATH} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    assert public.get("/healthz").is_success
    assert public.get("/readyz").is_success  # a route that takes one of the API's threads
    elsewhere.may_answer.set()
    for line in lines:
        assert line.recv(15) == b"HTTP/1.1 200 OK"
        line.close()


def test_who_leaves_early_costs_little(public: httpx.Client, elsewhere: Elsewhere) -> None:
    taken: list[int] = []

    def endless() -> Iterator[bytes]:
        for n in range(10_000):
            taken.append(n)
            yield bytes(CHUNK_BYTES)

    elsewhere.open = lambda name, span=None: Opened(10_000 * CHUNK_BYTES, endless())  # type: ignore[method-assign]
    with public.stream("GET", PATH) as answer:
        assert next(answer.iter_raw(1000))
    assert public.get("/healthz").is_success
    assert len(taken) < 5_000
