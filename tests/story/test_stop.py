"""SIGTERM returns the work and ends soon; a second one ends at once."""

from __future__ import annotations

import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.appliance_process import PATIENCE_S, ApplianceProcess, needs_proc, until
from tests.origin_nginx import needs_nginx
from tests.places import needs_shared
from tests.story.conftest import Shop
from tests.story.ledger import sheet

pytestmark = [needs_proc, pytest.mark.slow]

GRACE_S = 9.5
"""After so long it ends as by a second signal; what is then still claimed is given back by the next start."""
PATIENT = {"fetch_read_timeout_s": 300, "fetch_total_timeout_s": 300}
_LEASED = "SELECT count(*) FROM image WHERE state = 'running' OR lease IS NOT NULL"


def leased(appliance: ApplianceProcess) -> int:
    """How many images somebody still claims, in the database of a stopped appliance."""
    with closing(sqlite3.connect(appliance.data_dir / "imagemill.db")) as database:
        return int(database.execute(_LEASED).fetchone()[0])


@pytest.fixture
def silent_url() -> Iterator[str]:
    """An origin that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@needs_shared
@needs_nginx
def test_sigterm_in_the_middle_returns_the_work(shop: Shop, tmp_path: Path) -> None:
    with ApplianceProcess(tmp_path / "data") as appliance:
        job = appliance.submit(shop.part)
        until(lambda: appliance.job(job)["counts"]["done"] > 300, 30, "the job is in its middle")
        began = time.monotonic()
        assert appliance.stop() in {0, 143}
        appliance.all_gone()
        assert leased(appliance) == 0 or time.monotonic() - began > GRACE_S
        appliance.launch()
        appliance.ready()
        assert appliance.finished(job, 60)["state"] == "completed"
        shop.assert_undisturbed(shop.part, appliance.output(job))


@pytest.mark.parametrize("signals", [1, 2])
def test_a_silent_origin_cannot_hold_up_the_end(tmp_path: Path, silent_url: str, signals: int) -> None:
    with ApplianceProcess(tmp_path / "data", PATIENT) as appliance:
        job = appliance.submit(sheet(f"{silent_url}/{n}.jpg" for n in range(40)))
        until(lambda: appliance.job(job)["counts"]["running"], 10, "images are running")
        started = time.monotonic()
        appliance.terminate()
        if signals == 2:
            until(lambda: _stopping(appliance), 5, "the stop has begun")
            started = time.monotonic()
            appliance.terminate()
        appliance.process.wait(PATIENCE_S)
        took = time.monotonic() - started
        assert took < (5 if signals == 2 else 30)  # in hand is work for minutes; the first signal leaves it 6 s
        appliance.all_gone()
        assert signals == 2 or leased(appliance) == 0 or took > GRACE_S


def _stopping(appliance: ApplianceProcess) -> bool:
    """Whether it has ended or closed its door."""
    if appliance.process.poll() is not None:
        return True
    try:
        socket.create_connection(("127.0.0.1", appliance.port), timeout=1).close()
    except OSError:
        return True
    return False
