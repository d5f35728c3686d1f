"""A mill with real tables and real files, between an origin, a press and a receiver that do as they are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagemill.db import Store
from imagemill.settings import FetchSettings, Settings
from tests.pipeline.seams import Mill
from tests.seeds import Clock


@pytest.fixture
def mill(tmp_path: Path, store: Store, clock: Clock) -> Mill:
    settings = Settings(threads=1, disk_reserve_mb=0, fetch=FetchSettings(retries=2, retry_base_s=10.0))
    return Mill(tmp_path, store, clock, settings)
