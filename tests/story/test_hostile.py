"""Broken, malicious and odd files in one sheet: each ends by name, and nothing of them stays."""

from __future__ import annotations

import io
from pathlib import Path
from urllib.parse import quote

import pytest
from PIL import Image

from imagemill.core.errors import ImageCode
from tests.appliance_process import ApplianceProcess, needs_proc, resident_bytes, until
from tests.origin_nginx import Nginx, needs_nginx
from tests.places import needs_shared
from tests.story.ledger import HOSTILE, sheet

pytestmark = [needs_shared, needs_nginx, needs_proc, pytest.mark.slow]

ALLOWANCE_BYTES = 64 << 20


def test_every_hostile_file_ends_and_leaves_nothing(tmp_path: Path) -> None:
    files = sorted(path.name for path in HOSTILE.iterdir())
    with Nginx(HOSTILE) as origin, ApplianceProcess(tmp_path / "data", {"image_timeout_s": 5}) as appliance:
        urls = [f"{origin.url}/{quote(name)}" for name in files]
        appliance.finished(appliance.submit(sheet([url for url in urls if url.endswith("hopper.jpg")] or urls[:1])), 30)
        before = resident_bytes(appliance.pids())
        job = appliance.submit(sheet(urls))
        appliance.finished(job, 90)
        images = appliance.images(job)
        assert [image["source_url"] for image in images] == urls
        for image in images:
            assert image["state"] == "done" or ImageCode(image["error"]["code"]) is not ImageCode.INTERNAL, image
        for output in [output for image in images for output in image["outputs"]]:
            with Image.open(io.BytesIO(appliance.get(output["url"]).content)) as picture:
                assert picture.size == (output["width"], output["height"])
        until(lambda: resident_bytes(appliance.pids()) < before + ALLOWANCE_BYTES, 15, "memory is back")
        assert appliance.stop() == 0
        appliance.all_gone()
