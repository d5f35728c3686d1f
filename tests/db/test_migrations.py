"""A fresh schema is a migrated one, a newer one is refused, a step happens whole or not at all."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import peewee
import pytest

from imagemill.core.errors import StartError
from imagemill.db import open_database
from imagemill.db.migrations import STEPS, migrate, schema_version

Schema = set[tuple[str, str, str]]


@pytest.fixture
def database() -> Iterator[peewee.SqliteDatabase]:
    database = peewee.SqliteDatabase(":memory:")
    yield database
    database.close()


def schema(database: peewee.Database) -> Schema:
    return set(rows(database, "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL"))


def rows(database: peewee.Database, sql: str) -> list[Any]:
    cursor: Any = database.execute_sql(sql)  # type: ignore[no-untyped-call]
    return list(cursor.fetchall())


def test_every_older_schema_becomes_the_fresh_one(database: peewee.SqliteDatabase, tmp_path: Path) -> None:
    fresh = open_database(tmp_path / "fresh.db")
    for known in range(len(STEPS) + 1):
        migrate(database, STEPS[:known])
        assert schema_version(database) == known
    assert schema(database) == schema(fresh)
    fresh.close()


def test_jobs_of_before_are_tallied(database: peewee.SqliteDatabase) -> None:
    migrate(database, STEPS[:7])
    job = "INSERT INTO job VALUES (?, ?, 'sheet', '', 'shop', 0, '', '', '', '', 3, 5, 3, 1, 1, 1, 1, 1, 1, NULL)"
    for number in (1, 2):
        rows(database, job.replace("?, ?", f"{number}, 'uid{number}'"))
    image = "INSERT INTO image (job_id, n, url, places, state, source_bytes, output_bytes) VALUES (1, {}) RETURNING n"
    for values in ("1, '', 3, 'done', 100, 40", "4, '', 1, 'done', 10, 10", "5, '', 1, 'cancelled', NULL, NULL"):
        rows(database, image.format(values))
    migrate(database)
    assert rows(database, "SELECT * FROM tally") == [(1, 0, 0, 4, 0, 1, 310, 130), (2, 0, 0, 0, 0, 0, 0, 0)]


def test_migrating_again_changes_nothing(database: peewee.SqliteDatabase) -> None:
    migrate(database)
    before = schema(database), rows(database, "SELECT * FROM migration")
    migrate(database)
    assert (schema(database), rows(database, "SELECT * FROM migration")) == before


def test_a_newer_schema_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "imagemill.db"
    database = open_database(path)
    migrate(database, (*STEPS, ("CREATE TABLE novelty (id INTEGER)",)))
    before = schema(database)
    database.close()
    with pytest.raises(StartError, match=f"schema {len(STEPS) + 1}.* knows {len(STEPS)}"):
        open_database(path)
    assert schema(database) == before
    database.close()


def test_a_step_that_breaks_leaves_nothing(database: peewee.SqliteDatabase) -> None:
    migrate(database)
    before = schema(database)
    steps = (*STEPS, ("CREATE TABLE half (id INTEGER)", "CREATE TABLE job (id INTEGER)"))
    with pytest.raises(peewee.OperationalError, match="already exists"):
        migrate(database, steps)
    assert schema(database) == before
    assert schema_version(database) == len(STEPS)


def test_the_file_is_ours_alone_and_waits_for_the_disk_where_it_promised(tmp_path: Path) -> None:
    path = tmp_path / "imagemill.db"
    database = open_database(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    pragmas = {name: rows(database, f"PRAGMA {name}")[0][0] for name in ("journal_mode", "synchronous")}
    assert pragmas == {"journal_mode": "wal", "synchronous": 1}
    for name in ("imagemill.db-wal", "imagemill.db-shm"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    database.close()
