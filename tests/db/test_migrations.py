"""A fresh schema is a migrated one, a newer one is refused, a step happens whole or not at all."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import peewee
import pytest

from imagemill.core.errors import StartError
from imagemill.db import open_database
from imagemill.db.database import connected
from imagemill.db.dialect import Dialect
from imagemill.db.migrations import STEPS, migrate, schema_version
from tests.db.test_images import together
from tests.postgres_server import on_sqlite

Schema = set[tuple[str, ...]]

SQLITE = "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL"
POSTGRES = (
    "SELECT 'column', table_name, column_name, data_type, column_default FROM information_schema.columns"
    " WHERE table_schema = 'public' UNION ALL"
    " SELECT 'index', tablename, indexname, indexdef, NULL FROM pg_indexes WHERE schemaname = 'public' UNION ALL"
    " SELECT 'trigger', t.tgname, p.proname, p.prosrc, NULL FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid"
)


@pytest.fixture
def place(on: str, request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """Where a database is that has nothing in it yet."""
    return tmp_path / "empty.db" if on == "sqlite" else str(request.getfixturevalue("postgres").make_database())


@pytest.fixture
def database(place: Path | str) -> Iterator[Dialect]:
    database = connected(place)
    yield database
    database.close()


def schema(database: Dialect) -> Schema:
    return {tuple(map(str, row)) for row in database.rows(POSTGRES if database.is_shared else SQLITE)}


def test_every_older_schema_becomes_the_fresh_one(
    database: Dialect, on: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    for known in range(len(STEPS) + 1):
        migrate(database, STEPS[:known])
        assert schema_version(database) == known
    at = tmp_path / "fresh.db" if on == "sqlite" else request.getfixturevalue("postgres").make_database()
    fresh = open_database(at)
    assert schema(database) == schema(fresh)
    fresh.close()


@on_sqlite
def test_jobs_of_before_are_tallied(database: Dialect) -> None:
    migrate(database, STEPS[:7])
    job = "INSERT INTO job VALUES (?, ?, 'sheet', '', 'shop', 0, '', '', '', '', 3, 5, 3, 1, 1, 1, 1, 1, 1, NULL)"
    for number in (1, 2):
        database.touched(job, (number, f"uid{number}"))
    image = "INSERT INTO image (job_id, n, url, places, state, source_bytes, output_bytes) VALUES (1, {})"
    for values in ("1, '', 3, 'done', 100, 40", "4, '', 1, 'done', 10, 10", "5, '', 1, 'cancelled', NULL, NULL"):
        database.touched(image.format(values))
    migrate(database)
    assert database.rows("SELECT * FROM tally") == [(1, 0, 0, 4, 0, 1, 310, 130), (2, 0, 0, 0, 0, 0, 0, 0)]


def test_migrating_again_changes_nothing(database: Dialect) -> None:
    migrate(database)
    before = schema(database), database.rows("SELECT * FROM migration")
    migrate(database)
    assert (schema(database), database.rows("SELECT * FROM migration")) == before


def test_machines_that_start_together_migrate_once(place: Path | str) -> None:
    assert together(*[lambda: open_database(place).close()] * 3) == [None] * 3
    again = open_database(place)
    assert [number for (number,) in again.rows("SELECT version FROM migration ORDER BY version")] == [
        *range(1, len(STEPS) + 1)
    ]
    again.close()


def test_a_newer_schema_is_refused_untouched(database: Dialect, place: Path | str) -> None:
    migrate(database, (*STEPS, ("CREATE TABLE novelty (id INTEGER)",)))
    before = schema(database)
    with pytest.raises(StartError, match=f"schema {len(STEPS) + 1}.* knows {len(STEPS)}"):
        open_database(place)
    assert schema(database) == before


def test_a_step_that_breaks_leaves_nothing(database: Dialect) -> None:
    migrate(database)
    before = schema(database)
    steps = (*STEPS, ("CREATE TABLE half (id INTEGER)", "CREATE TABLE job (id INTEGER)"))
    with pytest.raises(peewee.DatabaseError, match="already exists"):
        migrate(database, steps)
    assert schema(database) == before
    assert schema_version(database) == len(STEPS)


def test_the_file_is_ours_alone_and_waits_for_the_disk_where_it_promised(tmp_path: Path) -> None:
    path = tmp_path / "imagemill.db"
    database = open_database(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    pragmas = {name: database.rows(f"PRAGMA {name}")[0][0] for name in ("journal_mode", "synchronous")}
    assert pragmas == {"journal_mode": "wal", "synchronous": 1}
    for name in ("imagemill.db-wal", "imagemill.db-shm"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    database.close()
