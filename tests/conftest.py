"""Shared by all: a clock that stands still, and a database of one's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from imagemill.db import Store, open_database
from tests.seeds import Clock, Seeds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    store = Store(open_database(tmp_path / "imagemill.db"), clock)
    yield store
    store.close()


@pytest.fixture
def seeds(store: Store, tmp_path: Path, clock: Clock) -> Seeds:
    return Seeds(store, tmp_path, clock)
