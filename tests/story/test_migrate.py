"""A single machine becomes a server that workers can help: its jobs, sheets and pictures move, and go on."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pytest

from imagemill.db import open_database
from tests.appliance_process import ApplianceProcess, needs_proc, until
from tests.cli.children import imagemill, started
from tests.cli.homes import JOB, left
from tests.origin_nginx import Nginx, needs_nginx
from tests.places import needs_shared
from tests.postgres_server import PostgresServer, needs_postgres
from tests.s3_server import S3Server, needs_s3
from tests.story.ledger import PRODUCTS, pairs, sheet

pytestmark = [pytest.mark.slow, needs_shared, needs_nginx, needs_proc, needs_postgres, needs_s3]


def picture() -> bytes:
    """Return a PNG that no origin has."""
    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (90, 60), "teal").save(file, "png")
    return file.getvalue()


def test_all_that_one_machine_has_goes_on_elsewhere(postgres: PostgresServer, s3: S3Server, tmp_path: Path) -> None:
    bucket, url = s3.make_bucket(), postgres.make_database()
    elsewhere: dict[str, Any] = {"database_url": url, **s3.settings(bucket)}
    data = tmp_path / "data"
    with Nginx(PRODUCTS) as origin, ApplianceProcess(data) as machine:
        given = sheet([f"{origin.url}/{path.name}" for path in sorted(PRODUCTS.glob("*.jpg"))[:6]])
        ended = machine.submit(given, keep_original="true")
        assert machine.finished(ended, 60)["state"] == "completed"
        machine.post("/system/pause")
        waiting = machine.submit(given, quality="30")
        with machine.client() as client:
            sent = client.post("/api/v1/images", files={"image": ("a.png", picture(), "image/png")}).json()["id"]
        before = machine.output(ended)
        code, _, told = imagemill(tmp_path, "migrate", **elsewhere)
        assert (code, "in use" in told or "another" in told) == (1, True), told
        machine.stop()
        code, out, told = imagemill(tmp_path, "migrate", **elsewhere)
        assert code == 0, told
        assert out.startswith("moved: 3 jobs, 4 files of clients, 12 pictures")
        code, _, told = imagemill(tmp_path, "migrate", **elsewhere)
        assert (code, "there are jobs" in told) == (1, True)
        machine.settings = elsewhere
        (data / "imagemill.db").rename(data / "kept.db")
        for folder in ("outputs", "sources/sheets", "sources/uploads", "sources/images"):
            (data / folder).rename(data / f"kept-{folder.replace(chr(47), chr(45))}")
        machine.launch()
        machine.ready()
        assert pairs(given, machine.output(ended)) == pairs(given, before)
        assert all(machine.get(link).is_success for _, link in pairs(given, before))
        assert machine.get(f"/api/v1/images/{machine.images(ended)[0]['id']}/original").is_success
        machine.post("/system/resume")
        for job in (waiting, sent):
            assert machine.finished(job, 60)["state"] == "completed"
        assert machine.submit(given) not in {ended, waiting, sent}  # ids go on where they were


def test_killed_at_any_point_and_run_again_all_of_it_is_there_once(postgres: PostgresServer, tmp_path: Path) -> None:
    """It is held while it sends what clients sent, by a file that is never whole, and in the middle of the tables."""
    url, shelf = postgres.make_database(), tmp_path / "shelf"
    settings: dict[str, Any] = {"database_url": url, "storage_url": f"file:{shelf}", "workers": 1}
    home = left(tmp_path / "data")
    outputs = [f"{number:02x}{'ab' * 19}.jpg" for number in range(30)]
    for name in outputs:
        (home / "outputs" / name[:2]).mkdir(parents=True)
        (home / "outputs" / name[:2] / name).write_bytes(b"picture")
    open_database(url).close()  # the tables are there, as after a start that was too early
    os.mkfifo(home / "sources" / "uploads" / JOB / "never")
    with started(tmp_path, "migrate", **settings) as process:
        in_hand = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'"
        until(lambda: postgres.query(url, in_hand) != "0\n", 60, "what clients sent is on its way")
        process.kill()
    (home / "sources" / "uploads" / JOB / "never").unlink()
    with postgres.locked(url, "tally"), started(tmp_path, "migrate", **settings) as process:
        waits = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        until(lambda: postgres.query(url, waits) != "0\n", 60, "the tables are waited for")
        process.kill()
    assert postgres.query(url, "SELECT count(*) FROM job") == "0\n"
    code, out, told = imagemill(tmp_path, "migrate", **settings)
    assert (code, out) == (0, "moved: 2 jobs, 3 files of clients, 0 pictures\n"), told
    assert sorted(path.name for path in shelf.rglob("*.jpg")) == outputs
    assert {path.read_bytes() for path in shelf.rglob("*.jpg")} == {b"picture"}
    assert postgres.query(url, "SELECT count(*), count(DISTINCT uid) FROM job") == "2|2\n"
    assert postgres.query(url, "SELECT count(*) FROM sent") == "3\n"


def test_where_to_must_be_said(tmp_path: Path, postgres: PostgresServer) -> None:
    code, _, told = imagemill(tmp_path, "migrate")
    assert (code, "database.url is not set" in told) == (1, True)
    code, _, told = imagemill(tmp_path, "migrate", database_url=postgres.url("any"))
    assert (code, "imagemill.db" in told) == (1, True)
