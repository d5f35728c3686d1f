"""SQLite: the file in the data folder, and pragmas that say how durable a commit is."""

from __future__ import annotations

import sqlite3
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, cast

import peewee

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from imagemill.db.dialect import Answer, Bring, Grip

PRAGMAS: Final = (
    ("journal_mode", "wal"),
    # NORMAL loses the last commits with the power, never the file's integrity: an image recorded in them is compressed
    # again. Where an answer promises durability (accepting a job) `durable` raises it to FULL.
    ("synchronous", "normal"),
    ("busy_timeout", 30_000),
    # A thread has a connection, and there are fifty: with 8 MB, what was streamed to a client would stay in each.
    ("cache_size", -2_000),
    ("temp_store", "file"),
    ("journal_size_limit", 64 << 20),
    ("trusted_schema", "off"),
)


class Sqlite:
    """One file. A connection a thread; a transaction is the only one that writes, so it need hold nothing."""

    is_shared: Final = False
    skipping: Final = ""
    errors: Final = (
        peewee.OperationalError,
        sqlite3.OperationalError,
    )  # the second from `many`, which passes peewee by

    def __init__(self, file: Path | str) -> None:
        self.database = peewee.SqliteDatabase(str(file), pragmas=PRAGMAS, lock_type="IMMEDIATE", timeout=30)

    def rows(self, sql: str, params: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return all that a query finds."""
        return list(self.database.execute_sql(sql, params).fetchall())

    def ask(self, sql: str, params: Sequence[object] = ()) -> Answer:
        """Send a query, whose answer is here at once."""
        found = self.rows(sql, params)
        return lambda: found

    def touched(self, sql: str, params: Sequence[object] = ()) -> int:
        """Return how many rows a statement wrote."""
        return int(self.database.execute_sql(sql, params).rowcount)

    def many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Write a statement once for each of some rows."""
        self.database.connection().executemany(sql, rows)

    def define(self, sql: str) -> None:
        """Change the schema."""
        self.database.execute_sql(sql)

    def transaction(self) -> AbstractContextManager[None]:
        """Begin; commit or roll back at the end."""
        return cast("AbstractContextManager[None]", self.database.atomic())

    @contextmanager
    def durable(self) -> Iterator[None]:
        """Begin a transaction whose commit is on the disk when the block has ended.

        PRAGMA synchronous belongs to the connection, and so to this thread.
        """
        self.database.execute_sql("PRAGMA synchronous = FULL")
        try:
            with self.transaction():
                yield
        finally:
            self.database.execute_sql("PRAGMA synchronous = NORMAL")

    def hold(self, job_id: int, grip: Grip) -> None:
        """Nobody else writes."""

    def alone(self) -> None:
        """Nobody else writes."""

    def alone_with(self, name: str) -> None:
        """Nobody else writes."""

    @contextmanager
    def reading(self, sheet: Path) -> Iterator[Bring]:
        """Attach a staging file: no row of it comes through Python."""
        self.database.execute_sql("ATTACH DATABASE ? AS staged", (str(sheet),))
        try:
            yield self._bring
        finally:
            self.database.execute_sql("DETACH DATABASE staged")

    def now(self) -> float:
        """Return this machine's time: there is no other."""
        return time.time()

    def close(self) -> None:
        """Close this thread's connection; the others close with their threads."""
        self.database.close()

    def _bring(self, job_id: int, state: str) -> None:
        self.database.execute_sql(
            "INSERT INTO place (job_id, n, sheet_row, position, image_n)"
            " SELECT ?, p.n, p.sheet_row, p.position, r.image_n"
            " FROM (SELECT n, image_n FROM staged.ranked ORDER BY n) r JOIN staged.place p ON p.n = r.n",
            (job_id,),
        )
        self.database.execute_sql(
            "INSERT INTO image (job_id, n, url, places, state, host) SELECT ?, p.n, p.url, r.places, ?, p.host"
            " FROM (SELECT n, places FROM staged.ranked WHERE n = image_n ORDER BY n) r"
            " JOIN staged.place p ON p.n = r.n",
            (job_id, state),
        )
