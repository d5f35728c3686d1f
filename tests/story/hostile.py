"""The hostile corpus as one job: what must be true of it, whoever runs the appliance."""

from __future__ import annotations

import io
from urllib.parse import quote

from PIL import Image

from imagemill.core.errors import ImageCode
from tests.appliance_process import ApplianceProcess, resident_bytes, until
from tests.origin_nginx import Nginx
from tests.story.ledger import HOSTILE, sheet

ALLOWANCE_BYTES = 64 << 20


def all_end_by_name(appliance: ApplianceProcess) -> str:
    """Have every hostile file compressed, and look at what became of each; returns the job's id."""
    files = sorted(path.name for path in HOSTILE.iterdir())
    with Nginx(HOSTILE) as origin:
        urls = [f"{origin.url}/{quote(name)}" for name in files]
        appliance.finished(appliance.submit(sheet([url for url in urls if url.endswith("hopper.jpg")] or urls[:1])), 30)
        before = resident_bytes(appliance.pids())
        job = appliance.submit(sheet(urls))
        appliance.finished(job, 90)
        images = appliance.images(job)
        assert [image["source_url"] for image in images] == urls
        for image in images:
            assert image["state"] == "done" or ImageCode(image["error"]["code"]) is not ImageCode.INTERNAL, image
        assert_opens(appliance, job)
        until(lambda: resident_bytes(appliance.pids()) < before + ALLOWANCE_BYTES, 15, "memory is back")
    return job


def assert_opens(appliance: ApplianceProcess, job: str) -> None:
    """Every output of a job is served, and is a picture of the size that is told."""
    outputs = [output for image in appliance.images(job) for output in image["outputs"]]
    assert outputs
    for output in outputs:
        with Image.open(io.BytesIO(appliance.get(output["url"]).content)) as picture:
            assert picture.size == (output["width"], output["height"])
