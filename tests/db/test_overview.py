"""The overview of a database tells counts and codes on both kinds of it, and nothing of whose they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from imagemill.core.errors import ImageCode
from imagemill.core.job import Submission
from imagemill.db import Store, StoreError, open_database, overview, secrets_and_names
from tests.postgres_server import PostgresServer
from tests.seeds import Clock, Seeds, done, failed


@pytest.fixture
def where(on: str, request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    if on == "sqlite":
        return tmp_path / "of-its-own.db"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.make_database()


def test_counts_and_codes_and_nothing_else(where: Path | str, tmp_path: Path, clock: Clock) -> None:
    store = Store(open_database(where), clock)
    seeds = Seeds(store, tmp_path, clock)
    asked = Submission(name="spring", callback_secret="hunter2", callback_url="http://shop.example/hook")
    job = seeds.images(3, asked)
    claim = seeds.claim(job)
    store.record_images(claim, [done(claim, 1), failed(2), failed(3, ImageCode.TIMEOUT)])
    store.close()
    found = overview(where)
    (told,) = found["jobs"]
    assert (found["rows"]["job"], found["places"]["done"], found["places"]["failed"]) == (1, 1, 2)
    assert (told["counts"]["done"], told["failed"]) == (1, {"not_an_image": 1, "timeout": 1})
    assert (told["uid"], told["recipe"]["quality"], told["callbacks"][0]["state"]) == (job.uid, 50, "pending")
    text = json.dumps(found)
    assert not [word for word in ("spring", "hunter2", "shop", "http") if word in text]
    assert secrets_and_names(where) == {"spring", "hunter2", "shop.csv"}


def test_what_cannot_be_read_is_told(on: str, where: Path | str, tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        overview(where)
    if on == "sqlite":
        (tmp_path / "of-its-own.db").write_bytes(b"x" * 5000)
        with pytest.raises(StoreError, match="cannot be read"):
            secrets_and_names(where)
