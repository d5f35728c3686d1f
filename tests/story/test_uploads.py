"""Pictures sent to the appliance itself: killed in the middle, every one and every thumbnail is there in the end."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from tests.appliance_process import ApplianceProcess, needs_proc
from tests.places import needs_shared
from tests.story.ledger import PRODUCTS

pytestmark = [needs_shared, needs_proc, pytest.mark.slow]

PICTURES = 60


def size(data: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(data)) as picture:
        return picture.size


def test_uploaded_pictures_survive_a_kill_and_come_home_in_one_file(tmp_path: Path) -> None:
    pictures = sorted(PRODUCTS.glob("*.jpg"))[:PICTURES]
    files = [("image", (picture.name, picture.read_bytes())) for picture in pictures]
    with ApplianceProcess(tmp_path / "data") as appliance:
        fields = {"thumbnails": "100x80,64x64:contain", "quality": "40"}
        answer = appliance._client.post("/api/v1/images", files=files, data=fields)
        assert answer.status_code == 202, answer.text
        job = answer.json()["id"]
        appliance.kill()
        appliance.launch()
        appliance.ready()
        done = appliance.finished(job, 60)
        assert (done["state"], done["kind"], done["counts"]["done"]) == ("completed", "images", PICTURES)
        with zipfile.ZipFile(io.BytesIO(appliance.get(done["links"]["archive"]).content)) as archive:
            assert archive.testzip() is None
            sizes = {name: size(archive.read(name)) for name in archive.namelist()}
    assert len(sizes) == 3 * PICTURES
    for picture in pictures:
        (main,) = [found for name, found in sizes.items() if name.endswith(f"-{picture.stem}.jpg")]
        assert main == size(picture.read_bytes())
    assert {found for name, found in sizes.items() if "thumb-100x80" in name} == {(100, 80)}
    assert all(max(found) == 64 for name, found in sizes.items() if "thumb-64x64" in name)
