"""Broken, malicious and odd files in one sheet: each ends by name, and nothing of them stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.appliance_process import ApplianceProcess, needs_proc
from tests.origin_nginx import needs_nginx
from tests.places import needs_shared
from tests.story.hostile import all_end_by_name

pytestmark = [needs_shared, needs_nginx, needs_proc, pytest.mark.slow]


def test_every_hostile_file_ends_and_leaves_nothing(tmp_path: Path) -> None:
    with ApplianceProcess(tmp_path / "data", {"image_timeout_s": 5}) as appliance:
        all_end_by_name(appliance)
        assert appliance.stop() == 0
        appliance.all_gone()
