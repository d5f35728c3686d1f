"""Before the schema changes a copy is kept, but not many; a newer schema is refused, and the way back is told."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import stat
import threading
from collections import namedtuple
from pathlib import Path

import pytest
from PIL import Image

from imagemill.core.errors import StartError
from imagemill.db import open_database
from imagemill.db.copies import KEPT, copy_database, kept_copies, prepare_upgrade, schema_of
from imagemill.db.database import connected
from imagemill.db.migrations import STEPS, migrate
from tests.appliance_process import ApplianceProcess, needs_proc, until
from tests.cli.children import imagemill
from tests.origin import Origin
from tests.story.ledger import pairs, sheet

NEWEST = len(STEPS)
TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> 'migration'"


def made(path: Path, schema: int) -> Path:
    """Make a database of an older schema."""
    database = connected(path)
    migrate(database, STEPS[:schema])
    database.close()
    return path


def put_back(path: Path, schema: int) -> None:
    """Turn a database into what the program of an older schema would have made of the same work."""
    older = made(path.with_name("older.db"), schema)
    with contextlib.closing(sqlite3.connect(older)) as database, database:
        database.execute("ATTACH DATABASE ? AS newer", (str(path),))
        for (table,) in database.execute(TABLES).fetchall():
            columns = ", ".join(row[1] for row in database.execute(f"PRAGMA table_info({table})"))
            # Triggers have counted already what is counted in a table of its own.
            database.execute(f"INSERT OR REPLACE INTO main.{table} ({columns}) SELECT {columns} FROM newer.{table}")
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    older.replace(path)


@pytest.mark.parametrize("schema", [1, NEWEST - 1])
def test_a_copy_of_the_older_schema_is_kept_beside(tmp_path: Path, schema: int) -> None:
    path = made(tmp_path / "imagemill.db", schema)
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("INSERT INTO token VALUES ('shop', 'hash', 'submit', 'shop', 0)")
    open_database(path).close()
    copy = tmp_path / f"imagemill.schema-{schema}.db"
    assert kept_copies(path) == {schema: copy}
    assert (schema_of(path), schema_of(copy)) == (NEWEST, schema)
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    for each in (path, copy):
        with contextlib.closing(sqlite3.connect(each)) as database:
            assert database.execute("SELECT name FROM token").fetchall() == [("shop",)]
    before = copy.read_bytes()
    open_database(path).close()
    assert copy.read_bytes() == before


def test_a_new_database_needs_no_copy_and_copies_are_few(tmp_path: Path) -> None:
    path = tmp_path / "imagemill.db"
    open_database(path).close()
    assert kept_copies(path) == {}
    for schema in range(1, NEWEST):
        path.unlink()
        prepare_upgrade(made(path, schema))
    assert list(kept_copies(path)) == list(range(NEWEST - 1, NEWEST - 1 - KEPT, -1))


def test_without_room_for_a_copy_nothing_is_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = made(tmp_path / "imagemill.db", NEWEST - 1)
    usage = namedtuple("usage", "total used free")  # noqa: PYI024 - what shutil returns
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1 << 30, 1 << 30, 0))
    with pytest.raises(StartError, match="no room for a copy"):
        open_database(path)
    assert (schema_of(path), kept_copies(path)) == (NEWEST - 1, {})


def test_a_damaged_database_is_told_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "imagemill.db"
    path.write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 40)
    with pytest.raises(StartError, match=r"cannot be read.*imagemill restore"):
        open_database(path)


def test_a_downgrade_is_refused_with_the_way_back(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    path = made(data / "imagemill.db", NEWEST - 1)
    open_database(path).close()
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("INSERT INTO migration VALUES (?, 0)", (NEWEST + 1,))
    for verb in (("serve", "--port", "0"), ("token", "list")):
        (data / "token").write_text("im_x\n")
        code, out, err = imagemill(tmp_path, *verb)
        assert (code, out) == (2, ""), "systemd does not try again what stays so"
        assert f"the database has schema {NEWEST + 1}, this program knows {NEWEST}" in err
        assert f"mv {data}/imagemill.schema-{NEWEST - 1}.db {path}" in err
    assert schema_of(path) == NEWEST + 1


def test_a_copy_taken_while_others_write_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "imagemill.db"
    open_database(path).close()
    ends = threading.Event()

    def write() -> None:
        with contextlib.closing(sqlite3.connect(path, timeout=60)) as database:
            n = 0
            while not ends.is_set():
                n += 1
                with database:
                    database.execute("INSERT INTO token VALUES (?, ?, '', 'a', 0)", (f"a{n}", f"a{n}"))
                    database.execute("INSERT INTO token VALUES (?, ?, '', 'b', 0)", (f"b{n}", f"b{n}"))

    writer = threading.Thread(target=write)
    writer.start()
    counts: list[int] = []
    for n in range(5):
        copy = tmp_path / f"copy-{n}.db"
        until(lambda: count(path) > (counts[-1] if counts else 0), 20, "something was written")
        copy_database(path, copy)
        counts.append(count(copy))
        with contextlib.closing(sqlite3.connect(copy)) as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    ends.set()
    writer.join()
    assert all(each % 2 == 0 for each in counts)
    assert counts == sorted(set(counts))


def count(path: Path) -> int:
    with contextlib.closing(sqlite3.connect(path)) as database:
        return int(database.execute("SELECT count(*) FROM token").fetchone()[0])


@needs_proc
@pytest.mark.slow
def test_a_job_goes_on_after_an_upgrade_from_the_former_schema(tmp_path: Path) -> None:
    for n in range(30):
        Image.new("RGB", (64, 64), (n, 2 * n, 3 * n)).save(tmp_path / f"{n}.png")
    with Origin(tmp_path) as origin, ApplianceProcess(tmp_path / "data", {"fetch_retries": 0}) as appliance:
        given = sheet([f"{origin.url}/{n}.png" for n in range(30)] + [f"{origin.url}/status/404"])
        appliance.post("/system/pause")
        job = appliance.submit(given, name="spring")
        assert appliance.stop() == 0
        put_back(tmp_path / "data" / "imagemill.db", NEWEST - 1)
        appliance.launch()
        appliance.ready()
        appliance.post("/system/resume")
        ended = appliance.finished(job, 60)
        assert (ended["name"], ended["counts"]["done"], ended["counts"]["failed"]) == ("spring", 30, 1)
        assert len(pairs(given, appliance.output(job))) == 31
        copies = kept_copies(tmp_path / "data" / "imagemill.db")
        assert list(copies) == [NEWEST - 1]
        with contextlib.closing(sqlite3.connect(copies[NEWEST - 1])) as database:
            assert database.execute("SELECT count(*) FROM image WHERE state = 'pending'").fetchone() == (31,)
