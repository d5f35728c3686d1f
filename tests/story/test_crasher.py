"""A picture that kills children: twice, and it is given up, whatever happens in between; until somebody asks again."""

from __future__ import annotations

import os
import resource
import signal
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.appliance_process import ApplianceProcess, needs_proc, until
from tests.origin import Origin
from tests.story.ledger import sheet

pytestmark = [needs_proc, pytest.mark.slow]

SETTINGS = {"workers": 1, "fetch_retry_base_s": 0.05}
DEEP_BYTES = 150 << 20


def resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()
    except (FileNotFoundError, ProcessLookupError):
        return 0


def crash_child(appliance: ApplianceProcess) -> None:
    """Kill the child that is deep in the large picture, as a bug in a decoder would."""

    def deep() -> list[int]:
        return [pid for pid in appliance.pids() if pid != appliance.process.pid and resident(pid) > DEEP_BYTES]

    os.kill(until(deep, 30, "a child decodes the picture")[0], signal.SIGSEGV)


def the_image(appliance: ApplianceProcess, job: str) -> dict[str, Any]:
    found: dict[str, Any] = appliance.images(job)[0]
    return found


def test_two_crashes_are_remembered_over_a_kill_until_a_retry(tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    Image.new("RGB", (9900, 9900)).save(pictures / "slow.png", compress_level=1)
    with Origin(pictures) as origin, ApplianceProcess(tmp_path / "data", SETTINGS) as appliance:
        job = appliance.submit(sheet([f"{origin.url}/slow.png"]))
        crash_child(appliance)
        until(lambda: the_image(appliance, job)["attempts"] == 1, 30, "the crash is recorded")
        until(lambda: the_image(appliance, job)["state"] == "running", 30, "it is tried again")
        appliance.kill()  # an interrupted attempt: not counted
        appliance.launch()
        appliance.ready()
        crash_child(appliance)
        assert appliance.finished(job, 30)["state"] == "failed"
        for _ in range(2):
            image = the_image(appliance, job)
            assert (image["error"]["code"], image["attempts"]) == ("decode_crashed", 2)
            appliance.kill()
            appliance.launch()
            appliance.ready()
        assert appliance.job(job)["state"] == "failed"
        retried = appliance.post(f"/jobs/{job}/retry")
        assert (retried.status_code, retried.json()["state"]) == (200, "processing")
        crash_child(appliance)
        assert appliance.finished(job, 60)["state"] == "completed"
        assert the_image(appliance, job)["attempts"] == 2
