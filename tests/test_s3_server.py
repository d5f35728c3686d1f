"""The S3 server of the tests does what other tests take its word for."""

from __future__ import annotations

import httpx
import pytest

from tests.s3_server import S3Server, needs_s3

pytestmark = needs_s3


def test_what_is_stored_outlives_an_outage(s3: S3Server) -> None:
    bucket = s3.make_bucket()
    s3.ask("PUT", f"/{bucket}/shop/a", body=b"first")
    with s3.outage(), pytest.raises(httpx.ConnectError):
        s3.read(bucket, "shop/a")
    assert s3.read(bucket, "shop/a").content == b"first"
    assert s3.objects(bucket) == {"shop/a": 5}


def test_only_a_public_bucket_is_read_without_a_key(s3: S3Server) -> None:
    statuses = []
    for is_public in (False, True):
        bucket = s3.make_bucket(is_public=is_public)
        s3.ask("PUT", f"/{bucket}/a", body=b"x")
        statuses.append(httpx.get(f"{s3.url}/{bucket}/a", trust_env=False).status_code)
    assert statuses == [403, 200]


def test_writes_can_be_refused(s3: S3Server) -> None:
    bucket = s3.make_bucket()
    s3.refuse_writes(bucket)
    with pytest.raises(AssertionError, match="AccessDenied"):
        s3.ask("PUT", f"/{bucket}/a", body=b"x")
    assert s3.objects(bucket) == {}
