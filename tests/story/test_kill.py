"""kill -9 of the whole tree, again and again: nothing is lost, nothing is done twice over, nothing is half written."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.appliance_process import environment, kill_session, needs_proc, run, run_command, until
from tests.origin_nginx import needs_nginx
from tests.places import needs_shared
from tests.story.conftest import Shop
from tests.story.kills import survives

pytestmark = [needs_shared, needs_nginx, needs_proc, pytest.mark.slow]

KILLS = int(os.environ.get("IMAGEMILL_TEST_KILLS", "10"))


@pytest.mark.timeout(300 + 60 * KILLS)
def test_ten_kills_leave_the_output_as_it_would_have_been(shop: Shop, tmp_path: Path) -> None:
    survives(shop, shop.sheet, tmp_path, KILLS)


def test_run_continues_after_a_kill(shop: Shop, tmp_path: Path) -> None:
    given, images = tmp_path / "shop.csv", tmp_path / "images"
    given.write_bytes(shop.part)
    process = subprocess.Popen(run_command(given, tmp_path), env=environment(tmp_path, {}), start_new_session=True)
    until(lambda: sum(1 for _ in images.rglob("*.jpg")) > 100, 60, "100 pictures are made")
    kill_session(process.pid)
    process.wait(60)
    assert not (tmp_path / "out.csv").exists()
    done = run(given, tmp_path)
    assert done.returncode == 0, done.stderr
    shop.assert_undisturbed(shop.part, (tmp_path / "out.csv").read_bytes())
