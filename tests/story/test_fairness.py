"""A small job does not wait for a large one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.appliance_process import ApplianceProcess, needs_proc, until
from tests.origin_nginx import Nginx, needs_nginx
from tests.places import needs_shared
from tests.story.ledger import PRODUCTS, sheet

pytestmark = [needs_shared, needs_nginx, needs_proc, pytest.mark.slow]

LARGE = 100_000


def test_five_images_finish_while_a_hundred_thousand_run(tmp_path: Path) -> None:
    pictures = sorted(PRODUCTS.glob("*.jpg"))
    with Nginx(PRODUCTS) as origin, ApplianceProcess(tmp_path / "data") as appliance:
        large = appliance.submit(sheet(f"{origin.url}/{pictures[n % 1000].name}?v={n}" for n in range(LARGE)))
        until(lambda: appliance.job(large)["counts"]["done"], 30, "the large job has begun")
        small = appliance.submit(sheet(f"{origin.url}/{picture.name}" for picture in pictures[-5:]))
        assert appliance.finished(small, 10)["state"] == "completed"
        counts = appliance.job(large)["counts"]
        assert counts["done"] < LARGE // 2
        until(lambda: appliance.job(large)["counts"]["done"] > counts["done"], 10, "the large job goes on")
