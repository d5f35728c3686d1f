"""The frozen program passes the same story as the source: spawn and freezing are proven by use."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.appliance_process import FROZEN, ApplianceProcess, environment, needs_proc
from tests.origin_nginx import needs_nginx
from tests.places import needs_shared
from tests.ports import free_port
from tests.s3_server import S3Server, needs_s3
from tests.story.conftest import Shop
from tests.story.kills import survives

pytestmark = [
    needs_shared,
    needs_nginx,
    needs_proc,
    pytest.mark.slow,
    pytest.mark.skipif(not FROZEN.exists(), reason="`make binary` has not been run"),
]


def test_the_binary_survives_a_kill(shop: Shop, tmp_path: Path) -> None:
    survives(shop, shop.part, tmp_path, 1, FROZEN)


def test_the_binary_has_both_native_modules(tmp_path: Path) -> None:
    """They are optional when they are built, so freezing without them would pass unseen."""
    own = environment(tmp_path / "data", {"port": free_port()})
    done = subprocess.run(
        [FROZEN, "doctor", "--json"], env=own, capture_output=True, text=True, timeout=60, check=False
    )
    told = {each["check"]: each for each in json.loads(done.stdout)}
    assert told["pool child"]["state"] == "ok"
    assert "native codec with libjpeg" in told["pool child"]["detail"]
    assert "native palette" in told["pool child"]["detail"]


def test_the_binary_has_the_page(tmp_path: Path) -> None:
    """Templates and static files are no modules: freezing takes only those it is told of."""
    with ApplianceProcess(tmp_path / "data", program=FROZEN) as appliance:
        files = re.findall(r'(?:href|src)="(/assets/[^"]+)"', appliance.get("/sign-in").text)
        assert {Path(file).suffix for file in files} == {".css", ".js", ".svg"}
        assert all(appliance.get(file).is_success for file in files)


@needs_s3
def test_the_binary_stores_in_s3(shop: Shop, s3: S3Server, tmp_path: Path) -> None:
    """Its S3 client is a library of machine code that is imported late: freezing could miss it."""
    survives(shop, shop.part, tmp_path, 1, FROZEN, s3.settings(s3.make_bucket()))
