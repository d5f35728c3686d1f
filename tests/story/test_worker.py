"""A server and a worker, each with a data folder of its own, on real PostgreSQL, Redis and S3."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from imagemill.appliance.crew import check_storage
from imagemill.core.errors import StartError
from imagemill.settings import StorageSettings
from tests.appliance_process import ApplianceProcess, WorkerProcess, needs_proc, until
from tests.cli.children import imagemill
from tests.origin_nginx import needs_nginx
from tests.places import needs_shared
from tests.postgres_server import PostgresServer, needs_postgres
from tests.redis_server import RedisServer, needs_redis
from tests.s3_server import S3Server, needs_s3
from tests.story.conftest import Shop
from tests.story.ledger import PRODUCTS

pytestmark = [pytest.mark.slow, needs_shared, needs_nginx, needs_proc, needs_postgres, needs_redis, needs_s3]

UNHURRIED = {"fetch_per_host_rate": 25}
"""So that one machine does not do it all before the other has begun."""


@pytest.fixture
def shared(postgres: PostgresServer, redis: RedisServer, s3: S3Server) -> dict[str, Any]:
    """Settings that several machines have in common."""
    places = {"database_url": postgres.make_database(), "queue_url": redis.url, "fetch_retries": 3}
    return s3.settings(s3.make_bucket()) | places


@pytest.fixture
def server(shared: dict[str, Any], tmp_path: Path) -> Iterator[ApplianceProcess]:
    with ApplianceProcess(tmp_path / "server", shared | UNHURRIED) as server:
        yield server


def leased_by(postgres: PostgresServer, url: str) -> set[str]:
    """Return whose images are in hand now, by the machines' names."""
    told = postgres.query(url, "SELECT DISTINCT split_part(lease, '-', 1) FROM image WHERE state = 'running'")
    return set(told.split())


def test_a_worker_helps_is_killed_and_comes_back(
    shop: Shop, server: ApplianceProcess, shared: dict[str, Any], postgres: PostgresServer, tmp_path: Path
) -> None:
    settings = shared | {"public_url": server.url}
    with WorkerProcess(tmp_path / "worker", settings | UNHURRIED) as worker:
        job = server.submit(shop.part)
        name = (worker.data_dir / "node").read_text().strip()
        until(lambda: name in leased_by(postgres, shared["database_url"]), 30, "the worker has images in hand", 0.02)
        worker.kill()
        worker.settings, server.settings = settings, shared
        worker.launch()
        picture = next(PRODUCTS.glob("*.jpg")).read_bytes()
        server.stop()  # who was sent it is not there any more: the worker has it from the database
        server.launch()
        server.ready()
        assert server.finished(job, 120)["state"] == "completed"
        shop.assert_undisturbed(shop.part, server.output(job))
        with contextlib.closing(server.client()) as client:
            sent = client.post("/api/v1/images", files={"image": ("a.jpg", picture, "image/jpeg")}).json()
        assert server.finished(sent["id"], 60)["state"] == "completed"
        assert worker.stop() == 0
    assert list((tmp_path / "worker").glob("*.db")) == []


def test_a_worker_says_what_it_needs(tmp_path: Path) -> None:
    code, _, told = imagemill(tmp_path, "worker", queue_url="redis://nowhere", public_url="http://a")
    assert code == 2, "systemd does not try again what stays so"
    assert "set database.url, storage.url as they have it" in told


def test_several_machines_need_one_storage() -> None:
    check_storage(StorageSettings(), [])
    check_storage(StorageSettings(url="file:/shared"), ["a-"])
    with pytest.raises(StartError, match=r"1 other machines .* set storage\.url"):
        check_storage(StorageSettings(), ["a-"])
