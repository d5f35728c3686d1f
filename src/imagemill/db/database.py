"""Opening the database: pragmas, durability, and one small base for the query modules."""

from __future__ import annotations

import sqlite3
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import peewee

from imagemill.core.errors import ImagemillError
from imagemill.db.copies import prepare_upgrade
from imagemill.db.migrations import migrate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

PRAGMAS = (
    ("journal_mode", "wal"),
    # NORMAL loses the last commits with the power, never the file's integrity: an image recorded in them is compressed
    # again. Where an answer promises durability (accepting a job) `_durable` raises it to FULL.
    ("synchronous", "normal"),
    ("busy_timeout", 30_000),
    ("cache_size", -8_000),
    ("temp_store", "file"),
    ("journal_size_limit", 64 << 20),
    ("trusted_schema", "off"),
)


def open_database(path: Path) -> peewee.SqliteDatabase:
    """Open (or make) `imagemill.db` with mode 0600 and the newest schema; of an older one a copy is kept beside it."""
    prepare_upgrade(path)
    path.touch(mode=0o600, exist_ok=True)
    database = peewee.SqliteDatabase(str(path), pragmas=PRAGMAS, lock_type="IMMEDIATE", timeout=30)
    migrate(database)
    return database


class StoreError(ImagemillError):
    """The database cannot be read or written now: locked, or its disk is full or gone."""

    code = "database_unavailable"


class Queries:
    """What each query module builds on: one database, statements in its own dialect."""

    def __init__(self, database: peewee.SqliteDatabase, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    def _rows(self, sql: str, params: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        with translated():
            return list(self._database.execute_sql(sql, params).fetchall())

    def _row(self, sql: str, params: Sequence[object] = ()) -> tuple[Any, ...] | None:
        return next(iter(self._rows(sql, params)), None)

    def _touched(self, sql: str, params: Sequence[object] = ()) -> int:
        with translated():
            return int(self._database.execute_sql(sql, params).rowcount)

    def _many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        self._database.connection().executemany(sql, rows)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with translated(), self._database.atomic():
            yield

    @contextmanager
    def _step(self) -> Iterator[None]:
        """Open one of many transactions in a row, and leave as long as it took to others before the next.

        Whoever waits for the database only looks for it now and then (sqlite3_busy_timeout), and may miss short gaps
        for seconds.
        """
        began_s = time.monotonic()
        with self._transaction():
            yield
        time.sleep(time.monotonic() - began_s)

    @contextmanager
    def _durable(self) -> Iterator[None]:
        """Open a transaction whose commit is on the disk when the block has ended.

        PRAGMA synchronous belongs to the connection, and so to this thread.
        """
        self._database.execute_sql("PRAGMA synchronous = FULL")
        try:
            with self._transaction():
                yield
        finally:
            self._database.execute_sql("PRAGMA synchronous = NORMAL")


@contextmanager
def translated() -> Iterator[None]:
    """Let no error of the libraries out but IntegrityError and its like, which are mistakes of ours."""
    try:
        yield
    except (peewee.OperationalError, sqlite3.OperationalError) as error:  # `_many` goes past peewee
        message = "the database cannot be read or written now: try again"
        raise StoreError(message, cause=str(_first(error))) from error


def _first(error: BaseException) -> BaseException:
    """Return what began it: on a full disk SQLite ends the transaction itself, and peewee's ROLLBACK fails too."""
    while error.__context__ is not None:
        error = error.__context__
    return error
