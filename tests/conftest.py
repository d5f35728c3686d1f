"""Shared by all: a clock that stands still, and a database of one's own, and pictures to fetch."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from httpx._config import DEFAULT_TIMEOUT_CONFIG
from hypothesis import settings
from PIL import Image

from imagemill.db import Store, open_database
from tests.origin import Origin
from tests.postgres_server import PostgresServer
from tests.redis_server import RedisServer
from tests.s3_server import S3Server
from tests.seeds import Clock, Seeds, mistallied

# A slow example says that the machine is busy; what must be quick is timed by tests of its own.
settings.register_profile("imagemill", deadline=None)
settings.load_profile("imagemill")

# Nor are 5 s, httpx's own patience, enough for every answer of a busy machine.
vars(DEFAULT_TIMEOUT_CONFIG).update(connect=60.0, read=60.0, write=60.0, pool=60.0)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run slow tests first: where several processes share the work, none begins the longest file when others end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """Put the root logger back: a verb that a test runs in this process sets its level, and others look at the log."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    root.setLevel(level)
    root.handlers[:] = handlers


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """The PostgreSQL server of this session; tests that ask for it are marked `needs_postgres`."""
    with PostgresServer() as server:
        yield server


@pytest.fixture(scope="session")
def redis() -> Iterator[RedisServer]:
    """The Redis server of this session; tests that ask for it are marked `needs_redis`."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def on() -> str:
    """Say what the store of a test is on; tests/db and tests/pipeline ask for both."""
    return "sqlite"


@pytest.fixture
def store(on: str, request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[Store]:
    if on == "postgres":
        database = request.getfixturevalue("postgres").cleared()
    else:
        database = open_database(tmp_path / "imagemill.db")
    store = Store(database, clock)
    yield store
    store.close()


@pytest.fixture
def seeds(store: Store, tmp_path: Path, clock: Clock) -> Iterator[Seeds]:
    """Whatever a test does with its jobs, their tallies come to the same as a count."""
    yield Seeds(store, tmp_path, clock)
    assert not mistallied(store)


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Origin]:
    """An origin of the module's own, with three small pictures: /0.jpg, /1.jpg and /2.jpg."""
    folder = tmp_path_factory.mktemp("origin")
    for number in range(3):
        Image.effect_noise((160, 120), 30 + number).convert("RGB").save(folder / f"{number}.jpg", quality=95)
    with Origin(folder) as found:
        yield found


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """The S3 server of this session; tests that ask for it are marked `needs_s3`."""
    with S3Server(tmp_path_factory.mktemp("s3")) as server:
        yield server
