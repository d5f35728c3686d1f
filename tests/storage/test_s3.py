"""A real S3 server keeps the contract, and what it is not asked twice for is told in words when it fails."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from imagemill.settings import StorageSettings
from imagemill.storage import Storage, StorageError
from imagemill.storage.s3 import PART_BYTES, S3Storage
from tests.s3_server import ACCESS_KEY, SECRET_KEY, S3Server, needs_s3
from tests.storage.contract import NAME, OTHER, StorageContract
from tests.tcp_proxy import TcpProxy

pytestmark = needs_s3


class TestS3(StorageContract):
    @pytest.fixture
    def storage(self, s3: S3Server) -> S3Storage:
        self.s3, self.bucket = s3, s3.make_bucket()
        return S3Storage(s3.section(self.bucket))

    def read(self, storage: Storage, name: str) -> bytes | None:
        key = f"shop/{name}"
        return self.s3.read(self.bucket, key).content if key in self.s3.objects(self.bucket) else None


@pytest.fixture
def bucket(s3: S3Server) -> str:
    return s3.make_bucket()


@pytest.fixture
def storage(s3: S3Server, bucket: str) -> S3Storage:
    return S3Storage(s3.section(bucket))


@pytest.mark.parametrize(
    ("prefix", "key"),
    [("", NAME), ("shop", f"shop/{NAME}"), ("shop/", f"shop/{NAME}"), ("a/b-c/d.e", f"a/b-c/d.e/{NAME}")],
)
def test_keys_begin_with_the_prefix(s3: S3Server, bucket: str, prefix: str, key: str) -> None:
    storage = S3Storage(s3.section(bucket, prefix))
    storage.put(NAME, b"x")
    assert s3.objects(bucket) == {key: 1}
    assert list(storage.names()) == [NAME]


def test_what_others_keep_there_is_not_ours(s3: S3Server, bucket: str, storage: S3Storage) -> None:
    for key in (NAME, f"shop/old/{NAME}", f"shopping/{NAME}", "shop/notes.txt.part", "shop/imagemill-probe"):
        s3.ask("PUT", f"/{bucket}/{key}", body=b"theirs")
    assert list(storage.names()) == []
    assert storage.missing([NAME, OTHER]) == [NAME, OTHER]


@pytest.mark.parametrize("size", [10, PART_BYTES, 2 * PART_BYTES + 5])
def test_an_object_says_what_it_is(s3: S3Server, bucket: str, storage: S3Storage, tmp_path: Path, size: int) -> None:
    file = tmp_path / "made"
    file.write_bytes(b"x" * size)
    storage.adopt(NAME, file)
    found = s3.read(bucket, f"shop/{NAME}")
    assert len(found.content) == size
    assert found.headers["content-type"] == "image/jpeg"
    assert found.headers["cache-control"] == "public, max-age=31536000, immutable"


def test_links_lead_through_us_to_the_bucket_or_to_it_for_a_time(s3: S3Server) -> None:
    bucket = s3.make_bucket(is_public=True)
    storages = {kind: S3Storage(s3.section(bucket, publish=kind)) for kind in ("proxy", "public", "presigned")}
    storages["proxy"].put(NAME, b"picture")
    urls = {kind: storage.url(NAME) for kind, storage in storages.items()}
    assert urls["proxy"] is None
    assert urls["public"] == f"{s3.url}/{bucket}/shop/{NAME}"
    for kind in ("public", "presigned"):
        assert httpx.get(str(urls[kind]), trust_env=False).content == b"picture"
    own = S3Storage(s3.section(bucket, publish="public", public_url="https://cdn.example/pictures/"))
    assert own.url(NAME) == f"https://cdn.example/pictures/{NAME}"


def test_a_presigned_link_opens_what_is_closed_until_it_expires(s3: S3Server, bucket: str) -> None:
    storage = S3Storage(s3.section(bucket, publish="presigned", presign_s=60))
    storage.put(NAME, b"picture")
    url = httpx.URL(str(storage.url(NAME)))
    assert url.params["X-Amz-Expires"] == "60"
    assert SECRET_KEY not in str(url)
    assert httpx.get(url, trust_env=False).content == b"picture"
    assert httpx.get(url.copy_with(query=None), trust_env=False).status_code == 403
    later = url.copy_merge_params({"X-Amz-Expires": "6000"})
    assert httpx.get(later, trust_env=False).status_code == 403


def test_nothing_of_the_environment_is_used(s3: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = "http://127.0.0.1:1"
    for name in ("AWS_ENDPOINT", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, elsewhere)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "another")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    storage = S3Storage(s3.section(bucket))
    storage.put(NAME, b"x")
    assert storage.has(NAME)


def test_without_a_key_that_of_the_environment_is_used(
    s3: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    storage = S3Storage(s3.section(bucket, access_key=None, secret_key=None))
    storage.put(NAME, b"x")
    assert storage.has(NAME)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"secret_key": "wrong"}, "403 Forbidden (SignatureDoesNotMatch)"),
        ({"access_key": "WRONG"}, "403 Forbidden (InvalidAccessKeyId)"),
        ({"url": "s3://no-such-bucket/shop"}, "404 Not Found (NoSuchBucket)"),
    ],
)
def test_a_refusal_says_what_to_look_at(s3: S3Server, bucket: str, change: dict[str, str], said: str) -> None:
    storage = S3Storage(s3.section(bucket, **change))
    for call in (storage.check, lambda: storage.put(NAME, b"x"), lambda: list(storage.names())):
        with pytest.raises(StorageError) as caught:
            call()
        assert caught.value.is_refusal
        assert said in str(caught.value)
        assert "storage.endpoint" in str(caught.value)
        assert SECRET_KEY not in str(caught.value)


def test_reading_may_be_allowed_where_writing_is_not(s3: S3Server, bucket: str, storage: S3Storage) -> None:
    storage.put(NAME, b"old")
    s3.refuse_writes(bucket)
    assert storage.has(NAME)
    with pytest.raises(StorageError, match="AccessDenied") as caught:
        storage.check()
    assert caught.value.is_refusal


def test_a_server_that_is_down_is_said_to_be(s3: S3Server, bucket: str) -> None:
    with TcpProxy(s3.port) as proxy:
        storage = S3Storage(s3.section(bucket, endpoint=proxy.url))
        storage.put(NAME, b"x")
        proxy.refuse()
        calls = (lambda: storage.has(NAME), lambda: storage.put(NAME, b"y"), lambda: storage.open(NAME), storage.check)
        for call in (*calls, lambda: storage.missing([NAME, OTHER]), lambda: storage.delete(NAME)):
            with pytest.raises(StorageError, match="does not answer: ") as caught:
                call()
            assert (caught.value.is_refusal, caught.value.is_busy) == (False, False)
        proxy.mend()
        assert S3Storage(s3.section(bucket, endpoint=proxy.url)).has(NAME)


@pytest.mark.parametrize(("status", "is_busy"), [(500, False), (503, True), (429, True)])
def test_an_error_is_told_and_not_tried_again(s3: S3Server, bucket: str, status: int, is_busy: bool) -> None:
    with TcpProxy(s3.port) as proxy:
        storage = S3Storage(s3.section(bucket, endpoint=proxy.url))
        s3.ask("PUT", f"/{bucket}/shop/{NAME}", body=b"old")
        proxy.answer(status, "SlowDown")
        with pytest.raises(StorageError, match=rf"answers {status} .*\(SlowDown\)") as caught:
            storage.put(NAME, b"new")
        assert (caught.value.is_refusal, caught.value.is_busy) == (False, is_busy)
        assert proxy.connections == 1
    assert s3.read(bucket, f"shop/{NAME}").content == b"old"


def test_a_server_that_hangs_is_waited_for_so_long(s3: S3Server, bucket: str) -> None:
    with TcpProxy(s3.port) as proxy:
        storage = S3Storage(s3.section(bucket, endpoint=proxy.url, timeout_s=0.5))
        proxy.hang()
        began_s = time.monotonic()
        for call in (lambda: storage.has(NAME), lambda: storage.put(NAME, b"x"), lambda: storage.open(NAME)):
            with pytest.raises(StorageError, match="does not answer") as caught:
                call()
            assert caught.value.is_busy
        assert 1.5 <= time.monotonic() - began_s < 60


@pytest.mark.parametrize("size", [100_000, 2 * PART_BYTES + 5])
def test_a_line_that_is_cut_while_it_is_put_leaves_the_old_or_nothing(
    s3: S3Server, bucket: str, storage: S3Storage, tmp_path: Path, size: int
) -> None:
    file = tmp_path / "made"
    file.write_bytes(b"n" * size)
    with TcpProxy(s3.port) as proxy:
        storage.put(NAME, b"old")
        for part, name in itertools.product((0, 1, 7), (NAME, OTHER)):
            proxy.cut_after(size * part // 8 + 200)
            with pytest.raises(StorageError):
                S3Storage(s3.section(bucket, endpoint=proxy.url)).adopt(name, file)
            assert file.exists()
            assert (storage.has(OTHER), b"".join(storage.open(NAME).chunks)) == (False, b"old")
        proxy.mend()
        S3Storage(s3.section(bucket, endpoint=proxy.url)).adopt(NAME, file)
    assert s3.objects(bucket) == {f"shop/{NAME}": size}


def test_a_line_that_is_cut_while_it_is_read_is_an_error(s3: S3Server, bucket: str) -> None:
    with TcpProxy(s3.port) as proxy:
        S3Storage(s3.section(bucket)).put(NAME, bytes(3_000_000))
        proxy.cut_after(1_000_000)
        opened = S3Storage(s3.section(bucket, endpoint=proxy.url)).open(NAME)
        with pytest.raises(StorageError):
            list(opened.chunks)


def test_a_reader_may_take_his_time(s3: S3Server, bucket: str) -> None:
    """The limit is between bytes: a client of ours that is slow must not be cut off for it."""
    storage = S3Storage(s3.section(bucket, timeout_s=2.0))
    S3Storage(s3.section(bucket)).put(NAME, bytes(1_500_000))
    total = 0
    for number, chunk in enumerate(storage.open(NAME).chunks):
        total += len(chunk)
        time.sleep(2.5 if number < 2 else 0)
    assert total == 1_500_000


def test_a_bucket_that_is_gone_is_no_reason_to_think_all_lost(s3: S3Server) -> None:
    storage = S3Storage(s3.section("no-such-bucket"))
    for count in (1, 20, 200):
        with pytest.raises(StorageError, match="NoSuchBucket"):
            storage.missing(f"{n:040x}.jpg" for n in range(count))


def test_what_is_cheaper_is_done(s3: S3Server, bucket: str) -> None:
    """The bucket has three pages of a thousand: for 150 names one is worth being listed, for 400 all are."""
    stored = [f"{n:040x}.jpg" for n in range(2_100)]
    storage = S3Storage(s3.section(bucket))
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda name: storage.put(name, b"x"), stored))
    with TcpProxy(s3.port) as proxy:
        storage = S3Storage(s3.section(bucket, endpoint=proxy.url))
        gone = "ff.png"
        asked = []
        for part in (slice(5), slice(0, 2_100, 14), slice(0, 2_100, 5)):
            proxy.requests.clear()
            assert storage.missing([*stored[part], gone]) == [gone]
            asked.append((proxy.requests["HEAD"], proxy.requests["GET"]))
    # With one more to see that the listing does not end there, and one to see that the bucket is there.
    assert asked == [(6, 1), (79, 3), (0, 3)]


def test_many_are_asked_for_at_a_time(s3: S3Server, bucket: str) -> None:
    with TcpProxy(s3.port, delay_s=0.2) as proxy:
        storage = S3Storage(s3.section(bucket, endpoint=proxy.url))
        names = [f"{n:040x}.jpg" for n in range(64)]
        began_s = time.monotonic()
        assert storage.missing(names) == names
        assert time.monotonic() - began_s < 64 * 0.2


def test_obstore_is_loaded_for_s3_alone() -> None:
    asked = "import sys, imagemill.appliance; print('obstore' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_nothing_is_asked_before_it_is_needed() -> None:
    S3Storage(StorageSettings(url="s3://bucket/prefix", endpoint="http://127.0.0.1:1")).url(NAME)
