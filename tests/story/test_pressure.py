"""Whatever the pictures: the whole tree's memory stays within what is promised. Real pictures, real processes."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from PIL import Image

from tests.appliance_process import ApplianceProcess, needs_proc
from tests.bench.memory import Peaks
from tests.origin_nginx import Nginx, needs_nginx
from tests.story.ledger import sheet

pytestmark = [needs_nginx, needs_proc, pytest.mark.slow]

PICTURES = 8
MOST_MB = 450
"""Measured: 327 MB. Three at a time, one in each child, take 646."""


def test_pictures_of_40_megapixels_take_turns(tmp_path: Path) -> None:
    folder = tmp_path / "origin"
    folder.mkdir()
    made = folder / "0.jpg"
    small = Image.frombytes("RGB", (484, 326), random.Random(1).randbytes(3 * 484 * 326))
    small.resize((7744, 5208), Image.Resampling.BICUBIC).save(made, quality=90, progressive=True)
    for n in range(1, PICTURES):
        (folder / f"{n}.jpg").write_bytes(made.read_bytes() + b"%d" % n)  # equal ones would be compressed once
    with Nginx(folder) as origin, ApplianceProcess(tmp_path / "data", {"workers": 3}) as appliance:
        watch = Peaks(appliance.process.pid)
        job = appliance.finished(appliance.submit(sheet(f"{origin.url}/{n}.jpg" for n in range(PICTURES))), 120)
        peaks = watch.done()
    assert (job["state"], job["counts"]["done"]) == ("completed", PICTURES)
    assert 150 < peaks["tree_mb"] < MOST_MB, peaks
