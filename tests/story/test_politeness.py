"""A host that says how much it can bear is asked for no more, and gets through all the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.appliance_process import ApplianceProcess, needs_proc
from tests.origin import Origin
from tests.places import needs_shared
from tests.story.ledger import PRODUCTS, sheet

pytestmark = [needs_shared, needs_proc, pytest.mark.slow]

IMAGES = 120


def test_a_host_that_complains_is_asked_more_slowly(tmp_path: Path) -> None:
    picture = min(PRODUCTS.glob("*.jpg")).name
    with Origin(PRODUCTS) as origin, ApplianceProcess(tmp_path / "data") as appliance:
        origin.allowance = 20
        job = appliance.submit(sheet(f"{origin.url}/limited/{n}/{picture}" for n in range(IMAGES)))
        assert appliance.finished(job, 90)["state"] == "completed"
        asked = {what: count for what, count in origin.hits.items() if what.startswith("second")}
        refused = sum(max(0, count - origin.allowance) for count in asked.values())
        attempts = max(image["attempts"] for image in appliance.images(job))
        print(f"{sum(asked.values())} requests, {refused} of them refused, at most {attempts} attempts: {asked}")
        assert refused <= IMAGES / 2
