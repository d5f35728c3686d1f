"""A disk that fills up pauses the work before it is full; room lets it go on by itself."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.appliance_process import ApplianceProcess, needs_proc, until
from tests.origin_nginx import needs_nginx
from tests.places import needs_shared
from tests.story.conftest import Shop

pytestmark = [needs_shared, needs_nginx, needs_proc, pytest.mark.slow]


def _mount(folder: Path, options: str) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs that holds half of the outputs."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.getuid() or not _mount(folder, "size=32m"):
        pytest.skip("needs root and the right to mount a tmpfs")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_pauses_and_resumes(shop: Shop, small_disk: Path) -> None:
    with ApplianceProcess(small_disk / "data", {"disk_reserve_mb": 24}) as appliance:
        job = appliance.submit(shop.part)
        until(
            lambda: appliance.get("/readyz").status_code == httpx.codes.SERVICE_UNAVAILABLE,
            60,
            "the disk is found full",
        )
        assert "disk" in appliance.get("/readyz").text
        until(lambda: appliance.job(job)["counts"]["running"] == 0, 15, "the work pauses")
        refused = appliance.post_sheet(shop.part)
        assert refused.status_code == httpx.codes.SERVICE_UNAVAILABLE
        assert int(refused.headers["Retry-After"]) > 0
        assert appliance.job(job)["state"] == "processing"
        assert _mount(small_disk, "remount,size=512m")
        assert appliance.finished(job, 90)["state"] == "completed"
        assert appliance.get("/readyz").is_success
        shop.assert_undisturbed(shop.part, appliance.output(job))
