"""Bodies that are made to cost: refused while they stream, soon, and without leaving anything."""

import json
import time
from collections.abc import Iterator

import pytest

from imagemill.settings import Settings
from tests.api.conftest import ADMIN, SHEET, Site, connected, heard, running

JOBS, IMAGES = "/api/v1/jobs", "/api/v1/images"
MULTIPART = {"Content-Type": "multipart/form-data; boundary=bb"}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    settings = Settings(max_upload_bytes=1_000_000, max_json_bytes=100_000, max_upload_images=10)
    with running(tmp_path_factory.mktemp("bombs") / "data", settings) as found:
        yield found


def part(head: str, body: bytes = b"x") -> bytes:
    return b"--bb\r\nContent-Disposition: form-data; " + head.encode() + b"\r\n\r\n" + body + b"\r\n"


MANY_FIELDS = b"".join(part(f'name="f{n}"') for n in range(5_000))
MULTIPART_BOMBS = {
    "many fields": MANY_FIELDS,
    "many images": b"".join(part('name="image"; filename="a"') for _ in range(5_000)),
    "a head without end": b"--bb\r\nContent-Disposition: form-data; name=" + b"a" * 500_000,
    "many headers of a part": b"--bb\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(20_000)) + b"\r\nx\r\n",
    "a long name": part('name="' + "n" * 100_000 + '"'),
    "a long filename": part('name="file"; filename="' + "n" * 100_000 + '"', SHEET),
    "nested": b"--bb\r\nContent-Disposition: form-data; name=f\r\n"
    b"Content-Type: multipart/mixed; boundary=cc\r\n\r\n--cc\r\n",
    "no disposition": b"--bb\r\n\r\nx\r\n",
    "no boundary at all": b"x" * 300_000,
    "line breaks only": b"\r\n" * 200_000,
    "boundaries only": b"--bb\r\n" * 50_000,
    "almost boundaries": b"\r\n--b" * 100_000,
    "another transfer encoding": b"--bb\r\nContent-Disposition: form-data; name=f\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\n",
}


@pytest.mark.parametrize("path", [JOBS, IMAGES, "/api/v1/estimate"])
@pytest.mark.parametrize("bomb", MULTIPART_BOMBS)
def test_a_multipart_bomb(small: Site, bomb: str, path: str) -> None:
    started_at = time.process_time()
    with small.client() as client:
        answer = client.post(path, content=MULTIPART_BOMBS[bomb], headers=MULTIPART)
    assert answer.status_code in {400, 413, 422}, answer.text
    assert len(answer.content) < 100_000
    assert time.process_time() - started_at < 5, "this process serves: its time is the bomb's cost"
    assert small.leftovers() == []


JSON_BOMBS = {
    "deep lists": b"[" * 50_000,
    "deep in a field": b'{"images":' + b"[" * 40_000 + b"]" * 40_000 + b"}",
    "deep objects": b'{"a":' * 15_000,
    "a long number": b'{"priority":' + b"9" * 90_000 + b"}",
    "a huge exponent": b'{"priority":1e999999999}',
    "many names": json.dumps({f"k{n}": 1 for n in range(5_000)}).encode(),
    "one name often": b'{"images":["http://h/a"]' + b',"quality":1' * 5_000 + b"}",
    "half of a letter": b'{"name":"\\ud800","images":["http://h/a"]}',
    "not UTF-8": b'{"name":"\xff\xfe"}',
    "too long": b'{"name":"' + b"x" * 200_000 + b'"}',
    "no object": b'"text"',
    "nothing": b"",
}


@pytest.mark.parametrize("path", [JOBS, "/api/v1/estimate"])
@pytest.mark.parametrize("bomb", JSON_BOMBS)
def test_a_json_bomb(small: Site, bomb: str, path: str) -> None:
    with small.client() as client:
        answer = client.post(path, content=JSON_BOMBS[bomb], headers={"Content-Type": "application/json"})
    assert 400 <= answer.status_code < 500 or bomb == "one name often", answer.text
    assert small.leftovers() == []


@pytest.mark.parametrize("path", ["/api/v1/tokens", "/api/v1/callbacks/test"])
@pytest.mark.parametrize("bomb", JSON_BOMBS)
def test_a_json_bomb_where_objects_are_small(small: Site, bomb: str, path: str) -> None:
    kind = {"Content-Type": "application/json"}
    with small.client() as client:
        answer = client.post(path, content=JSON_BOMBS[bomb], headers=kind)
        endless = client.post(path, content=(b" " * 65_536 for _ in range(400)), headers=kind)
    assert 400 <= answer.status_code < 500, answer.text
    assert endless.status_code in {400, 413}


def test_a_body_byte_by_byte(small: Site) -> None:
    """Chunks of one byte each cost the client more than us, and make the same job."""
    body = part('name="file"; filename="a.csv"', SHEET) + b"--bb--\r\n"
    head = f"POST {JOBS} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ADMIN}\r\nTransfer-Encoding: chunked\r\n"
    with connected(small) as line:
        line.sendall(f"{head}Content-Type: multipart/form-data; boundary=bb\r\n\r\n".encode())
        line.sendall(b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n")
        assert heard(line).startswith(b"HTTP/1.1 202")


NAMES = [
    "../../etc/passwd", "..\\..\\boot.ini", "/etc/passwd", "C:\\x.csv", "a\x00.csv", "a\r\nX-Evil: 1.csv",
    "\x1b[2J.csv", 'a"; filename="b.csv', "a%2e%2e%2f.csv", "~root", "-rf", "CON",
    "a" * 5_000, "\u202egnp.csv", "..", ".", "",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_a_filename_is_for_showing(small: Site, name: str) -> None:
    before = folders(small)
    with small.client() as client:
        answer = client.post(JOBS, files={"file": (name or None, SHEET)})
        if answer.status_code == 202:
            for link in ("input", "report"):
                headers = client.get(answer.json()["links"][link]).headers
                assert "x-evil" not in headers
                assert headers["content-disposition"].isascii()
                assert headers["content-disposition"].count('"') == 2
    assert answer.status_code in {202, 422}
    assert folders(small) == before, "it named no place"


def folders(site: Site) -> set[str]:
    """Return what there is beside the data folder, and which folders in it; content keys make some of their own."""
    root = site.folders.root
    return {place.name for place in (*root.parent.iterdir(), *root.iterdir())}
