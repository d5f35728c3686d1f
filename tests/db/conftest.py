"""Every query on both databases; what is only of one asks for its `on` itself."""

from __future__ import annotations

from typing import cast

import pytest

from tests.postgres_server import needs_postgres


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=needs_postgres)])
def on(request: pytest.FixtureRequest) -> str:
    return cast("str", request.param)
