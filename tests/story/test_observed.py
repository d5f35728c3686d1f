"""A real appliance as its operator sees it: numbers for Prometheus, and one id from a request to a lost child."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families as parsed

from tests.appliance_process import ApplianceProcess, needs_proc, until
from tests.origin import Origin
from tests.story.ledger import sheet
from tests.story.test_crasher import SETTINGS, crash_child

pytestmark = [needs_proc, pytest.mark.slow]


def numbers(appliance: ApplianceProcess) -> dict[tuple[str, ...], float]:
    text = appliance.get("/metrics").text
    return {(s.name, *s.labels.values()): s.value for family in parsed(text) for s in family.samples}


def lines(appliance: ApplianceProcess, beginning: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in appliance.log.read_text().splitlines() if line.startswith("{")]
    return [line for line in found if line["message"].startswith(beginning)]


def test_numbers_and_lines_tell_what_happened(tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    Image.new("RGB", (9900, 9900)).save(pictures / "slow.png", compress_level=1)
    Image.effect_noise((64, 64), 90).convert("RGB").save(pictures / "small.jpg")
    settings = {**SETTINGS, "log_format": "json"}
    with Origin(pictures) as origin, ApplianceProcess(tmp_path / "data", settings) as appliance:
        answer = appliance.post_sheet(sheet([f"{origin.url}/{name}" for name in ("slow.png", "small.jpg", "none.jpg")]))
        job = answer.json()["id"]
        crash_child(appliance)
        assert appliance.finished(job, 60)["state"] == "partial"
        seen = numbers(appliance)
        system = appliance.ask("/system")
        images = [image["id"] for image in appliance.images(job)]
    (accepted,) = lines(appliance, "job accepted")
    assert (accepted["request"], accepted["job"]) == (answer.headers["x-request-id"], job)
    (lost,) = lines(appliance, "pool child")
    assert lost["job"] == job
    assert images[0] in lost["image"].split()
    (failed,) = lines(appliance, "image failed")
    assert (failed["job"], failed["image"]) == (job, images[2])
    assert f"http_status, attempt 1, host {origin.url.removeprefix('http://')}" in failed["message"]
    assert [line["job"] for line in lines(appliance, "job finished: partial")] == [job]
    assert seen["imagemill_images_recorded_total", "done", ""] == 2
    assert seen["imagemill_images_recorded_total", "failed", "http_status"] == 1
    assert seen["imagemill_images_recorded_total", "postponed", "decode_crashed"] == 1
    assert system["pool"]["restarts"] >= seen["imagemill_pool_restarts_total",] >= 1
    assert seen["imagemill_stage_seconds_count", "fetch"] >= 4
    assert seen["imagemill_pool_children", "wanted"] == 1
    assert (seen["imagemill_images", "pending"], seen["imagemill_images", "running"]) == (0, 0)
    assert seen["imagemill_queue_depth",] >= 0
    assert system["engine"]["engine"] in {"pillow-simd", "pillow"}
    assert system["throughput"]["images_per_s"] > 0


def test_a_pause_of_everything_outlives_a_kill(tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    Image.effect_noise((64, 64), 90).convert("RGB").save(pictures / "small.jpg")
    with Origin(pictures) as origin, ApplianceProcess(tmp_path / "data") as appliance:
        assert appliance.post("/system/pause").json()["paused_at"]
        job = appliance.submit(sheet([f"{origin.url}/small.jpg"]))
        appliance.kill()
        appliance.launch()
        appliance.ready()
        until(lambda: appliance.ask("/system")["pool"]["ready"], 30, "the pool is ready")
        assert appliance.ask(f"/jobs/{job}")["state"] == "paused"
        assert appliance.get("/readyz").status_code == 200
        assert not origin.hits
        appliance.post("/system/resume")
        assert appliance.finished(job, 30)["state"] == "completed"
