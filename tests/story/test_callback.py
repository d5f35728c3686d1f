"""The end of a job is told, signed, until somebody has heard it: across a deaf receiver and a killed appliance."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.appliance_process import ApplianceProcess, needs_proc, until
from tests.origin_nginx import Nginx, needs_nginx
from tests.places import needs_shared
from tests.story.ledger import PRODUCTS, sheet
from tests.story.receiver import SECRET, Receiver, assert_signed

pytestmark = [needs_shared, needs_nginx, needs_proc, pytest.mark.slow]


def test_a_callback_survives_a_deaf_receiver_and_a_kill(tmp_path: Path) -> None:
    pictures = sorted(PRODUCTS.glob("*.jpg"))[:3]
    with Receiver(500) as receiver, Nginx(PRODUCTS) as origin, ApplianceProcess(tmp_path / "data") as appliance:
        urls = [f"{origin.url}/{picture.name}" for picture in pictures]
        job = appliance.submit(sheet(urls), callback_url=receiver.url, callback_secret=SECRET)
        until(lambda: appliance.job(job)["callback"]["attempts"] == 1, 15, "the first attempt is recorded")
        receiver.status = 204  # before: should it be asked again already, that is not in vain
        appliance.kill()
        appliance.launch()
        appliance.ready()
        until(lambda: appliance.job(job)["callback"]["state"] == "delivered", 15, "the callback is delivered")
    (first, _), *_, (second, _) = receiver.calls  # two, or more where it is long until the kill
    assert first["webhook-id"] == second["webhook-id"]
    assert int(second["webhook-timestamp"]) > int(first["webhook-timestamp"])
    for headers, body in receiver.calls:
        assert_signed(headers, body)
        assert json.loads(body)["type"] == "job.completed"
        assert json.loads(body)["data"]["job"]["id"] == job
