"""Next month's catalogue: it costs the shop's server only what has changed."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.appliance_process import ApplianceProcess, needs_proc
from tests.origin_nginx import Nginx, needs_nginx
from tests.places import needs_shared
from tests.story.ledger import DISTINCT, SHOP, mapping, pairs, shop_sheet

pytestmark = [needs_shared, needs_nginx, needs_proc, pytest.mark.slow]


def test_an_unchanged_catalogue_is_asked_for_and_not_sent(tmp_path: Path) -> None:
    with Nginx(SHOP) as origin, ApplianceProcess(tmp_path / "data") as appliance:
        given, took, sent = shop_sheet(origin.url), [], []
        outputs = []
        for month in ("January", "February"):
            began = time.monotonic()
            job = appliance.submit(given, name=month)
            assert appliance.finished(job, 100)["state"] == "completed"
            took.append(time.monotonic() - began)
            sent.append(origin.take_answers())
            outputs.append(mapping(pairs(given, appliance.output(job))))
        print(f"seconds {took}, answers and bytes {sent}")
        assert outputs[0] == outputs[1]
        (first, bytes_sent), (second, bytes_again) = sent
        assert (first[200], second[304], second[200]) == (DISTINCT, DISTINCT, 0)
        assert bytes_sent > 0
        assert bytes_again == 0
