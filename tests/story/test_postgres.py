"""The real appliance on real PostgreSQL and Redis: killed at random, and left alone by each of them for a while."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.appliance_process import ApplianceProcess, needs_proc, until
from tests.cli.children import imagemill
from tests.origin_nginx import needs_nginx
from tests.places import needs_shared
from tests.postgres_server import PostgresServer, needs_postgres
from tests.redis_server import RedisServer, needs_redis
from tests.story.conftest import Shop
from tests.story.kills import survives
from tests.story.ledger import pairs

pytestmark = [needs_shared, needs_nginx, needs_proc, needs_postgres, needs_redis, pytest.mark.slow]


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server that may go away, and flushes as one should."""
    with PostgresServer(fsync="on") as server:
        yield server


def test_kills_leave_the_output_as_it_would_have_been(
    shop: Shop, server: PostgresServer, redis: RedisServer, tmp_path: Path
) -> None:
    survives(shop, shop.part, tmp_path, 2, settings={"database_url": server.make_database(), "queue_url": redis.url})
    assert [path.name for path in (tmp_path / "data").glob("*.db")] == []


def test_a_dump_taken_in_the_middle_goes_on_elsewhere(shop: Shop, server: PostgresServer, tmp_path: Path) -> None:
    """As docs/operations.md has it: pg_dump, then the pictures; and both put back on a machine that has nothing."""
    settings: dict[str, Any] = {"database_url": server.make_database(), "fetch_retries": 0}
    with ApplianceProcess(tmp_path / "data", {**settings, "fetch_per_host_rate": 40}) as appliance:
        job = appliance.submit(shop.part)
        until(lambda: appliance.job(job)["counts"]["done"] > 10, 60, "some are done")
        code, _, told = imagemill(tmp_path, "backup", str(tmp_path / "b.zip"), **settings)
        assert (code, "pg_dump" in told) == (1, True)
        dump = server.dump(settings["database_url"])
        shutil.copytree(tmp_path / "data" / "outputs", tmp_path / "new" / "outputs")
        for name in ("token", "node"):
            shutil.copy(tmp_path / "data" / name, tmp_path / "new" / name)
        appliance.kill()
    with ApplianceProcess(tmp_path / "new", {**settings, "database_url": server.restore(dump)}) as restored:
        assert restored.finished(job, 120)["state"] == "completed"
        shop.assert_undisturbed(shop.part, restored.output(job))


def test_while_it_is_down_work_pauses_and_then_goes_on(shop: Shop, server: PostgresServer, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"database_url": server.make_database(), "fetch_retries": 0}
    unhurried = {**settings, "fetch_per_host_rate": 15}  # so that each outage finds work to be done
    with (
        RedisServer() as redis,
        ApplianceProcess(tmp_path / "data", {**unhurried, "queue_url": redis.url}) as appliance,
    ):
        job = appliance.submit(shop.part)
        until(lambda: appliance.job(job)["counts"]["done"] > 20, 60, "some are done")
        with redis.outage():
            until(lambda: not appliance.get("/readyz").is_success, 30, "it is found away")
            waiting = appliance.submit(shop.part)  # accepted all the same
            appliance.post(f"/jobs/{waiting}/cancel")
        before = appliance.job(job)["counts"]["done"]
        until(
            lambda: appliance.job(job)["counts"]["done"] > before, 30, "with Redis, which has forgotten all, it goes on"
        )
        with server.outage():
            until(lambda: not appliance.get("/readyz").is_success, 30, "it is found down")
            refused = appliance.post_sheet(shop.part)
            assert (refused.status_code, refused.headers.get("retry-after") is not None) == (503, True)
            code, told, _ = imagemill(tmp_path, "doctor", **settings)
            assert (code, "pg_hba.conf" in told) == (1, True)
        until(lambda: appliance.get("/readyz").is_success, 30, "it is found up")
        before = appliance.job(job)["counts"]["done"]
        until(lambda: appliance.job(job)["counts"]["done"] > before, 60, "work goes on")
        # A claim whose commit was not heard of is nobody's until its lease ends, or this machine starts again.
        appliance.kill()
        appliance.settings = {**settings, "queue_url": redis.url}
        appliance.launch()
        appliance.ready()
        # No attempt was counted: with no retries, one would have been the last.
        assert appliance.finished(job, 60)["state"] == "completed"
        shop.assert_undisturbed(shop.part, appliance.output(job))
        assert len(pairs(shop.part, appliance.output(job))) == appliance.job(job)["counts"]["images"]
        assert imagemill(tmp_path, "token", "list", **settings)[1].startswith("first-")
