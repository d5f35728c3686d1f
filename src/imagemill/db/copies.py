"""Copies of a database file: taken while others write to it, and one beside it before its schema changes."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Final

from imagemill.core.errors import StartError, UnfitError
from imagemill.db.migrations import STEPS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEPT: Final = 3
"""So many copies of former schemas stay, the newest."""

_SPARE_BYTES: Final = 16 << 20


def copy_database(source: Path, target: Path) -> None:
    """Make `target` a copy of a database as it is at one moment: one file, mode 0600, flushed.

    Who writes meanwhile does not wait (https://sqlite.org/backup.html: one step, so nothing begins anew).
    """
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with _legible(source), closing(_reading(source)) as ours, closing(sqlite3.connect(target)) as theirs:
        ours.backup(theirs)
        theirs.execute("PRAGMA journal_mode = delete")
    with target.open("rb+") as file:
        os.fsync(file.fileno())


def forget_jobs(copy: Path, keep: set[str]) -> None:
    """Delete the jobs of a copy but those with these ids: the others' sheets went while it was made."""
    with closing(sqlite3.connect(copy)) as database, database:
        database.execute("CREATE TEMP TABLE kept (uid TEXT PRIMARY KEY)")
        database.executemany("INSERT INTO kept VALUES (?)", ((uid,) for uid in keep))
        database.execute(
            "UPDATE job SET deleted_at = ? WHERE deleted_at IS NULL AND uid NOT IN (SELECT uid FROM kept)",
            (time.time(),),
        )


def job_counts(copy: Path) -> tuple[int, int]:
    """Return how many jobs a database file has, and how many of them have not ended."""
    with closing(_reading(copy)) as database:
        counts = "count(*), coalesce(sum(finished_at IS NULL), 0)"
        jobs, unfinished = database.execute(f"SELECT {counts} FROM job WHERE deleted_at IS NULL").fetchone()
    return int(jobs), int(unfinished)


def schema_of(path: Path) -> int:
    """Return the schema of a database file, 0 where it has none yet; sqlite3.DatabaseError where it is damaged."""
    if not path.exists() or not path.stat().st_size:
        return 0
    with closing(_reading(path)) as database:
        (is_there,) = database.execute("SELECT count(*) FROM sqlite_master WHERE name = 'migration'").fetchone()
        if not is_there:
            return 0
        (version,) = database.execute("SELECT coalesce(max(version), 0) FROM migration").fetchone()
    return int(version)


def prepare_upgrade(path: Path, newest: int = len(STEPS)) -> None:
    """Copy a database whose schema will change, and refuse one that is newer than this program (UnfitError)."""
    with _legible(path):
        schema = schema_of(path)
    if schema > newest:
        raise UnfitError(_refusal(path, schema, newest))
    if 0 < schema < newest:
        _keep_copy(path, schema)


def kept_copies(path: Path) -> dict[int, Path]:
    """Return the copies beside a database by their schema, the newest first."""
    named = re.compile(rf"{re.escape(path.stem)}\.schema-(\d+){re.escape(path.suffix)}")
    found = {int(match[1]): each for each in path.parent.iterdir() if (match := named.fullmatch(each.name))}
    return dict(sorted(found.items(), reverse=True))


@contextmanager
def _legible(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        message = f"{path} cannot be read: {error}; run `imagemill doctor`, or restore a backup: `imagemill restore`"
        raise StartError(message, cause=repr(error)) from error


def _reading(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=30)


def _keep_copy(path: Path, schema: int) -> None:
    target = path.with_name(f"{path.stem}.schema-{schema}{path.suffix}")
    needed, free = path.stat().st_size + _SPARE_BYTES, shutil.disk_usage(path.parent).free
    if free < needed:
        message = (
            f"{path} is to be upgraded, and there is no room for a copy of it before:"
            f" {needed >> 20} MiB are needed, {free >> 20} MiB are free; free some space"
        )
        raise StartError(message)
    part = target.with_name(f"{target.name}.part")
    part.unlink(missing_ok=True)
    copy_database(path, part)
    part.replace(target)
    for old in list(kept_copies(path).values())[KEPT:]:
        old.unlink(missing_ok=True)


def _refusal(path: Path, schema: int, newest: int) -> str:
    message = f"the database has schema {schema}, this program knows {newest}: start the newer imagemill again"
    older = [copy for version, copy in kept_copies(path).items() if version <= newest]
    if not older:
        return f"{message}, or restore a backup that was made with this one: `imagemill restore FILE`"
    back = f"rm -f {path}-wal {path}-shm; mv {older[0]} {path}"
    return f"{message}. Or go back to before the upgrade, without what was done since: {back}"
