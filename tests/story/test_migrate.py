"""A single machine becomes a server that workers can help: its jobs, sheets and pictures move, and go on."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from tests.appliance_process import ApplianceProcess, needs_proc
from tests.cli.children import imagemill
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


def test_where_to_must_be_said(tmp_path: Path, postgres: PostgresServer) -> None:
    code, _, told = imagemill(tmp_path, "migrate")
    assert (code, "database.url is not set" in told) == (1, True)
    code, _, told = imagemill(tmp_path, "migrate", database_url=postgres.url("any"))
    assert (code, "imagemill.db" in told) == (1, True)
