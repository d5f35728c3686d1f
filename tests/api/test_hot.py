from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from litestar.types import HTTPResponseBodyEvent, HTTPResponseStartEvent

from imagemill.api.hot import MOST_BYTES, Hot, Ready, read
from imagemill.settings import Settings
from tests.api.conftest import Site, connected, running, say

NAME = f"{'ab' * 20}.jpg"
DATA = b"a picture" * 1000
LOCAL = "Host: localhost\n"


def ready(path: Path, data: bytes = b"x" * 1000) -> Ready:
    path.write_bytes(data)
    found = read(path, len(data))
    assert found
    body, stamp = found
    head = HTTPResponseStartEvent(type="http.response.start", status=200, headers=[])
    return Ready(head, HTTPResponseBodyEvent(type="http.response.body", body=body, more_body=False), str(path), stamp)


def test_it_is_bounded_and_the_least_asked_for_goes_first(tmp_path: Path) -> None:
    images = {name: ready(tmp_path / name) for name in "abcd"}
    hot = Hot(3 * images["a"].taken_bytes)
    for name in "abc":
        hot.keep(name, images[name])
        hot.keep(name, images[name])  # again: it counts once
    assert hot.find("a") is images["a"]
    hot.keep("d", images["d"])
    assert [name for name in "abcd" if hot.find(name)] == ["a", "c", "d"]
    hot.keep("e", ready(tmp_path / "e", bytes(10_000)))
    assert not any(hot.find(name) for name in "abcde")


@pytest.mark.parametrize("harm", ["deleted", "longer", "another"])
def test_what_is_not_there_any_more_is_not_in_memory(tmp_path: Path, harm: str) -> None:
    place, hot = tmp_path / "a", Hot(1 << 20)
    hot.keep("a", ready(place))
    assert hot.find("a")
    if harm == "deleted":
        place.unlink()
    elif harm == "longer":
        place.write_bytes(bytes(1001))
    else:
        (tmp_path / "b").write_bytes(b"x" * 1000)
        (tmp_path / "b").replace(place)
    assert hot.find("a") is None
    place.unlink(missing_ok=True)
    assert hot.find("a") is None


@pytest.fixture
def warm(site: Site) -> Iterator[httpx.Client]:
    """A client of a site that has the picture in memory."""
    site.storage.put(NAME, DATA)
    with site.client(token=None) as found:
        assert found.get(f"/images/{NAME}").content == DATA
        yield found


def test_from_memory_it_is_the_same_answer(warm: httpx.Client, tmp_path: Path) -> None:
    with running(tmp_path / "data", Settings(image_cache_mb=0)) as other, other.client(token=None) as cold:
        other.storage.put(NAME, DATA)
        expected, found = cold.get(f"/images/{NAME}"), warm.get(f"/images/{NAME}")
    assert (found.status_code, found.content) == (200, expected.content)
    assert _facts(found) == _facts(expected) == _facts(warm.head(f"/images/{NAME}"))


def _facts(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name != "date"}


def test_who_wants_something_else_gets_that(warm: httpx.Client, site: Site) -> None:
    part = warm.get(f"/images/{NAME}", headers={"Range": "bytes=0-3"})
    assert (part.status_code, part.content) == (206, DATA[:4])
    known = warm.get(f"/images/{NAME}", headers={"If-None-Match": f'"{"ab" * 20}"'})
    assert (known.status_code, known.content) == (304, b"")
    assert warm.post(f"/images/{NAME}").status_code == 405
    for hosts in ("Host: evil.example\n", f"{LOCAL}Host: evil.example\n", ""):
        assert say(site, f"GET /images/{NAME} HTTP/1.1\n{hosts}\n").startswith(b"HTTP/1.1 421")


@pytest.mark.usefixtures("warm")
def test_two_requests_at_once_have_two_answers(site: Site) -> None:
    request = f"GET /images/{NAME} HTTP/1.1\r\nHost: localhost\r\n"
    with connected(site) as line:
        line.sendall(f"{request}\r\n{request}Connection: close\r\n\r\n".encode())
        answer = b""
        while more := line.recv(65536):
            answer += more
    assert answer.count(DATA) == answer.count(b"HTTP/1.1 200 OK") == 2


def test_a_deleted_picture_is_not_found_at_once(warm: httpx.Client, site: Site) -> None:
    assert warm.get(f"/images/{NAME}").status_code == 200
    site.storage.delete(NAME)
    assert warm.get(f"/images/{NAME}").status_code == 404
    site.storage.put(NAME, DATA[:-1])
    assert warm.get(f"/images/{NAME}").content == DATA[:-1]


def test_each_is_counted(warm: httpx.Client, site: Site) -> None:
    before = _counted(site)
    for _ in range(3):
        warm.get(f"/images/{NAME}")
    assert _counted(site) == before + 3


def _counted(site: Site) -> float:
    samples = site.meters.requests.family().samples
    return sum(n for _, labels, n in samples if labels["route"] == "/images/{name}")


def test_what_is_large_or_gone_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"ab")
    assert read(tmp_path / "a", 2)
    assert read(tmp_path / "a", 1) is None
    assert read(tmp_path / "b", 9) is None


def test_a_large_one_is_sent_from_its_file(site: Site) -> None:
    large = bytes(MOST_BYTES + 1)
    site.storage.put(f"{'cd' * 20}.png", large)
    with site.client(token=None) as client:
        for _ in range(2):
            assert client.get(f"/images/{'cd' * 20}.png").content == large
