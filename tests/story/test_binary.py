"""The frozen program passes the same story as the source: spawn and freezing are proven by use."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.appliance_process import FROZEN, ApplianceProcess, WorkerProcess, environment, needs_proc, until
from tests.origin_nginx import needs_nginx
from tests.places import ROOT, needs_shared
from tests.ports import free_port
from tests.postgres_server import PostgresServer, needs_postgres
from tests.redis_server import RedisServer, needs_redis
from tests.s3_server import S3Server, needs_s3
from tests.story.conftest import Shop
from tests.story.kills import survives

pytestmark = [
    needs_shared,
    needs_nginx,
    needs_proc,
    pytest.mark.slow,
    pytest.mark.skipif(not FROZEN.exists(), reason="`make binary` has not been run"),
]


def test_the_binary_survives_a_kill(shop: Shop, tmp_path: Path) -> None:
    survives(shop, shop.part, tmp_path, 1, FROZEN)


def test_the_binary_has_both_native_modules(tmp_path: Path) -> None:
    """They are optional when they are built, so freezing without them would pass unseen."""
    own = environment(tmp_path / "data", {"port": free_port()})
    done = subprocess.run(
        [FROZEN, "doctor", "--json"], env=own, capture_output=True, text=True, timeout=180, check=False
    )
    told = {each["check"]: each for each in json.loads(done.stdout)}
    assert told["pool child"]["state"] == "ok"
    assert "native codec with libjpeg" in told["pool child"]["detail"]
    assert "native palette" in told["pool child"]["detail"]


def test_the_binary_has_the_page(tmp_path: Path) -> None:
    """Templates and static files are no modules: freezing takes only those it is told of."""
    with ApplianceProcess(tmp_path / "data", program=FROZEN) as appliance:
        files = re.findall(r'(?:href|src)="(/assets/[^"]+)"', appliance.get("/sign-in").text)
        assert {Path(file).suffix for file in files} == {".css", ".js", ".svg"}
        assert all(appliance.get(file).is_success for file in files)


@needs_s3
@needs_postgres
@needs_redis
def test_the_binary_works_with_others(
    shop: Shop, postgres: PostgresServer, redis: RedisServer, s3: S3Server, tmp_path: Path
) -> None:
    """The drivers of PostgreSQL, Redis and S3 are imported late, by name, two with machine code: freezing could miss
    them. The worker has what its environment file names from there, and the rest from a file of settings.
    """
    database = postgres.make_database()
    shared = s3.settings(s3.make_bucket()) | {"database_url": database, "queue_url": redis.url, "fetch_retries": 3}
    server = ApplianceProcess(tmp_path / "server", shared, program=FROZEN)
    words = re.findall(r"^IMAGEMILL_(\w+)=", (ROOT / "systemd" / "worker.env").read_text(), re.MULTILINE)
    told = {word.lower(): (shared | {"public_url": server.url})[word.lower()] for word in words}
    (tmp_path / "imagemill.toml").write_text(
        "[storage]\n" + "".join(f'{name} = "{shared[f"storage_{name}"]}"\n' for name in ("access_key", "secret_key"))
    )
    with server:
        server.post("/system/pause")
        job = server.submit(shop.part)
        server.post("/system/resume")
        assert server.stop() == 0
        left = "SELECT count(*) FROM image WHERE state <> 'done'"
        assert postgres.query(database, left) != "0\n"
        with WorkerProcess(
            tmp_path / "worker", {**told, "config": tmp_path / "imagemill.toml"}, program=FROZEN
        ) as worker:
            until(lambda: postgres.query(database, left) == "0\n", 60, "the worker does all that is left", 0.2)
            assert worker.stop() == 0
        server.launch()
        server.ready()
        shop.assert_undisturbed(shop.part, server.output(job))
