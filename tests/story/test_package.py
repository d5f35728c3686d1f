"""The installed .deb passes the same story as the source, as its own user, in a copy of this machine."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.appliance_process import FROZEN, needs_proc
from tests.installer.machine import Copy, needs_copy
from tests.installer.test_deb import Installed, built
from tests.origin_nginx import needs_nginx
from tests.places import needs_shared
from tests.story.conftest import Shop
from tests.story.kills import tell


@needs_copy
@needs_shared
@needs_nginx
@needs_proc
@pytest.mark.slow
@pytest.mark.skipif(not FROZEN.exists(), reason="`make binary` has not been run")
@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="not a Debian system")
def test_the_package_survives_a_kill(shop: Shop, tmp_path: Path) -> None:
    place = tmp_path / "machine"
    place.mkdir()
    with Copy(place) as machine:
        machine.run("dpkg", "-i", machine.take(built(tmp_path, "deb", "0.1.0")))
        with Installed(machine, tmp_path) as appliance:
            tell(shop, shop.part, appliance, 1)
