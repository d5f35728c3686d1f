"""A mill with real tables and real files, between an origin, a press and a receiver that do as they are told."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from imagemill.db import Store
from imagemill.settings import FetchSettings, Settings
from tests.pipeline.seams import Mill
from tests.postgres_server import needs_postgres
from tests.seeds import Clock


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=needs_postgres)])
def on(request: pytest.FixtureRequest) -> str:
    """Say what the store is on: the story is the same on both."""
    return cast("str", request.param)


@pytest.fixture
def mill(tmp_path: Path, store: Store, clock: Clock) -> Mill:
    settings = Settings(threads=1, disk_reserve_mb=0, fetch=FetchSettings(retries=2, retry_base_s=10.0))
    return Mill(tmp_path, store, clock, settings)
