"""The real appliance on a real S3 server: killed, cut off, slowed down, refused; what it says is done can be opened."""

from __future__ import annotations

import io
import itertools
import random
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.appliance_process import SOURCE, ApplianceProcess, environment, needs_proc, until
from tests.origin_nginx import needs_nginx
from tests.places import needs_shared
from tests.s3_server import S3Server, needs_s3
from tests.story.conftest import Shop
from tests.story.kills import survives
from tests.story.ledger import mapping, names, pairs
from tests.tcp_proxy import TcpProxy

pytestmark = [needs_shared, needs_nginx, needs_proc, needs_s3, pytest.mark.slow]

UNHURRIED = {"fetch_per_host_rate": 40}
"""A job that is not over when the test, on a busy machine, comes to break the line."""


@pytest.fixture
def bucket(s3: S3Server) -> str:
    return s3.make_bucket(is_public=True)


@pytest.fixture
def line(s3: S3Server) -> Iterator[TcpProxy]:
    """The line to S3, whole until it is told otherwise."""
    with TcpProxy(s3.port) as proxy:
        yield proxy


def assert_stored(shop: Shop, s3: S3Server, bucket: str, returned: bytes) -> None:
    """Every output is in the bucket, byte for byte what a local disk has, and nothing else is but the probe."""
    outputs = mapping(pairs(shop.part, returned))
    shop.assert_undisturbed(shop.part, returned)
    stored = {f"shop/{name}" for name in names(outputs).values()}
    assert set(s3.objects(bucket)) == {*stored, "shop/imagemill-probe"}
    for url, name in itertools.islice(names(outputs).items(), 0, None, 9):
        assert s3.read(bucket, f"shop/{name}").content == shop.appliance.get(shop.outputs[url]).content


def test_kills_leave_the_output_as_it_would_have_been(shop: Shop, s3: S3Server, bucket: str, tmp_path: Path) -> None:
    """Its links lead through the appliance, which streams from S3."""
    survives(shop, shop.part, tmp_path, 2, settings=s3.settings(bucket))
    data = tmp_path / "data"
    assert [path for path in (*data.glob("outputs/**/*"), *data.glob("spool/*")) if path.is_file()] == []


def test_while_it_is_down_work_pauses_also_across_a_kill(
    shop: Shop, s3: S3Server, bucket: str, line: TcpProxy, tmp_path: Path
) -> None:
    settings = s3.settings(bucket) | {"storage_endpoint": line.url, "fetch_retries": 0}
    with ApplianceProcess(tmp_path / "data", settings | UNHURRIED) as appliance:
        job = appliance.submit(shop.part)
        until(lambda: appliance.job(job)["counts"]["done"] > 20, 60, "some are done")
        line.refuse()
        until(lambda: not appliance.get("/readyz").is_success, 30, "it is found down")
        assert "S3" in appliance.get("/readyz").json()["parts"]["storage"]
        until(lambda: appliance.job(job)["counts"]["running"] == 0, 30, "the work pauses")
        appliance.kill()
        appliance.settings = settings
        appliance.launch()
        appliance.ready()
        until(lambda: not appliance.get("/readyz").is_success, 30, "it is still down")
        counts = appliance.job(job)["counts"]
        assert (counts["failed"], counts["done"] < counts["images"]) == (0, True)
        late = appliance.submit(shop.part)  # accepted all the same
        line.mend()
        for each in (job, late):
            # Not one attempt was counted: with no retries, one would have been the last.
            assert appliance.finished(each, 90)["state"] == "completed"
        assert appliance.get("/readyz").is_success
        assert_stored(shop, s3, bucket, appliance.output(job))


def test_whatever_the_line_does_nothing_is_done_that_is_not_stored(
    shop: Shop, s3: S3Server, bucket: str, line: TcpProxy, tmp_path: Path
) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    dice, is_over = random.Random(seed), threading.Event()
    faults = (
        line.refuse,
        line.hang,
        lambda: line.answer(500, "InternalError"),
        lambda: line.answer(503, "SlowDown"),
        lambda: line.cut_after(dice.randrange(200_000)),
    )

    def trouble() -> None:
        for _ in range(12):
            dice.choice(faults)()
            is_over.wait(dice.uniform(0.1, 0.6))
            line.mend()
            is_over.wait(dice.uniform(0.3, 1.0))

    patience = {"fetch_retries": 20, "fetch_retry_base_s": 0.1, "storage_timeout_s": 1, "storage_connect_timeout_s": 1}
    settings = s3.settings(bucket) | patience | {"storage_endpoint": line.url}
    with ApplianceProcess(tmp_path / "data", settings) as appliance:
        troublemaker = threading.Thread(target=trouble)
        troublemaker.start()
        job = appliance.submit(shop.part)
        try:
            assert appliance.finished(job, 120)["state"] == "completed"
        finally:
            is_over.set()
            troublemaker.join(30)
        assert_stored(shop, s3, bucket, appliance.output(job))


def test_links_follow_the_setting_also_those_of_finished_jobs(
    shop: Shop, s3: S3Server, bucket: str, tmp_path: Path
) -> None:
    settings = s3.settings(bucket)
    with ApplianceProcess(tmp_path / "data", settings) as appliance:
        job = appliance.submit(shop.part)
        assert appliance.finished(job, 90)["state"] == "completed"
        for publish in ("public", "presigned"):
            assert appliance.stop() == 0
            appliance.settings = {**settings, "storage_publish": publish}
            appliance.launch()
            appliance.ready()
            placed = pairs(shop.part, appliance.output(job))
            mapping((given, link.partition("?")[0]) for given, link in placed)  # a signature has its second
            links = list(dict(placed).values())
            assert all(link.startswith(f"{s3.url}/{bucket}/shop/") for link in links)
            links += [output["url"] for image in appliance.images(job)[:5] for output in image["outputs"]]
            assert {"X-Amz-Signature" in link for link in links} == {publish == "presigned"}
            assert_open_to_anybody(appliance, links)


def assert_open_to_anybody(appliance: ApplianceProcess, links: list[str]) -> None:
    """Each link must give what the appliance itself gives under that name."""
    with httpx.Client(trust_env=False) as anybody:
        for link in links:
            name = httpx.URL(link).path.rpartition("/")[2]
            assert anybody.get(link).content == appliance.get(f"/images/{name}").raise_for_status().content


def test_an_archive_is_read_from_there_and_a_deleted_job_leaves_nothing(
    shop: Shop, s3: S3Server, bucket: str, tmp_path: Path
) -> None:
    with ApplianceProcess(tmp_path / "data", s3.settings(bucket)) as appliance:
        job = appliance.submit(shop.part)
        assert appliance.finished(job, 90)["state"] == "completed"
        stored = {s3.read(bucket, key).content for key in s3.objects(bucket) if not key.endswith("probe")}
        with zipfile.ZipFile(io.BytesIO(appliance.get(f"/api/v1/jobs/{job}/images.zip").content)) as archive:
            assert {archive.read(name) for name in archive.namelist()} == stored
        assert appliance.delete(f"/jobs/{job}").is_success
        until(lambda: set(s3.objects(bucket)) == {"shop/imagemill-probe"}, 60, "its objects are gone")


def test_a_stop_does_not_wait_for_a_storage_that_hangs(
    shop: Shop, s3: S3Server, bucket: str, line: TcpProxy, tmp_path: Path
) -> None:
    settings = s3.settings(bucket) | {"storage_endpoint": line.url}
    with ApplianceProcess(tmp_path / "data", settings | UNHURRIED) as appliance:
        job = appliance.submit(shop.part)
        until(lambda: appliance.job(job)["counts"]["done"] > 5, 60, "some are done")
        line.hang()
        until(lambda: appliance.job(job)["counts"]["running"] > 0, 30, "some are in hand")
        assert appliance.stop() in {0, 143}, appliance.log_tail()
        appliance.all_gone()
        line.mend()
        appliance.settings = settings
        appliance.launch()
        assert appliance.ready().finished(job, 90)["state"] == "completed"


def test_a_wrong_key_is_told_at_the_start(s3: S3Server, bucket: str, tmp_path: Path) -> None:
    settings = s3.settings(bucket) | {"storage_secret_key": "a wrong secret", "port": 0}
    command = [str(SOURCE), "serve"]
    done = subprocess.run(
        command, env=environment(tmp_path, settings), capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 1
    assert "403 Forbidden (SignatureDoesNotMatch); look at storage.url, storage.endpoint" in done.stderr
    assert "a wrong secret" not in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
