"""Opening the database, and one small base for the query modules: transactions and what they hold."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from imagemill.core.errors import ImagemillError
from imagemill.db.copies import prepare_upgrade
from imagemill.db.dialect import Grip
from imagemill.db.migrations import migrate
from imagemill.imports import hidden

with hidden():
    from imagemill.db.postgres import Postgres
    from imagemill.db.sqlite import Sqlite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from imagemill.db.dialect import Answer, Dialect


CONNECTIONS: Final = 8


def open_database(where: Path | str, connections: int = CONNECTIONS) -> Dialect:
    """Open the database with the newest schema: a file, made with mode 0600, or a server's, by its address.

    Of a file with an older schema a copy is kept beside it. `connections` is how many there are to a server at most;
    StoreError where it cannot be reached.
    """
    if not isinstance(where, str):
        prepare_upgrade(where)
    dialect = connected(where, connections)
    try:
        with translated(dialect):
            migrate(dialect)
    except BaseException:
        dialect.close()
        raise
    return dialect


def connected(where: Path | str, connections: int = CONNECTIONS) -> Dialect:
    """Return what carries queries to a database, whose schema is as it was left."""
    if isinstance(where, str):
        return Postgres(where, connections)
    where.touch(mode=0o600, exist_ok=True)
    return Sqlite(where)


class StoreError(ImagemillError):
    """The database cannot be read or written now: locked, not to be reached, or its disk is full or gone."""

    code = "database_unavailable"


class Queries:
    """What each query module builds on: one database, and its time unless another clock is given."""

    def __init__(self, dialect: Dialect, clock: Callable[[], float] | None = None) -> None:
        self._dialect = dialect
        self._clock = clock or self._time

    def _rows(self, sql: str, params: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        with translated(self._dialect):
            return self._dialect.rows(sql, params)

    def _row(self, sql: str, params: Sequence[object] = ()) -> tuple[Any, ...] | None:
        return next(iter(self._rows(sql, params)), None)

    def _ask(self, sql: str, params: Sequence[object] = ()) -> Answer:
        with translated(self._dialect):
            return self._dialect.ask(sql, params)

    def _touched(self, sql: str, params: Sequence[object] = ()) -> int:
        with translated(self._dialect):
            return self._dialect.touched(sql, params)

    def _time(self) -> float:
        with translated(self._dialect):
            return self._dialect.now()

    def _many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        self._dialect.many(sql, rows)

    @contextmanager
    def _transaction(self, job_id: int | None = None, grip: Grip = Grip.RECORD) -> Iterator[None]:
        """Open a transaction, on a job where one is given."""
        with translated(self._dialect), self._dialect.transaction():
            if job_id is not None:
                self._dialect.hold(job_id, grip)
            yield

    @contextmanager
    def _step(self, job_id: int) -> Iterator[None]:
        """Open one of many transactions in a row on a job, and leave as long as it took to others before the next.

        Whoever waits for SQLite only looks for it now and then (sqlite3_busy_timeout), and may miss short gaps for
        seconds.
        """
        began_s = time.monotonic()
        with self._transaction(job_id, Grip.VERB):
            yield
        time.sleep(time.monotonic() - began_s)

    @contextmanager
    def _durable(self, job_id: int | None = None) -> Iterator[None]:
        """Open a transaction whose commit is on the disk when the block has ended; a job is held against everything."""
        with translated(self._dialect), self._dialect.durable():
            if job_id is not None:
                self._dialect.hold(job_id, Grip.VERB)
            yield

    def _id(self, uid: str) -> int | None:
        """Return the small id of a job, also of one that is deleted."""
        row = self._row("SELECT id FROM job WHERE uid = ?", (uid,))
        return row[0] if row else None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Open a transaction beside which no job is held."""
        with translated(self._dialect), self._dialect.transaction():
            self._dialect.alone()
            yield


@contextmanager
def translated(dialect: Dialect | None = None) -> Iterator[None]:
    """Let no error of the libraries out but IntegrityError and its like, which are mistakes of ours."""
    errors = Sqlite.errors if dialect is None else dialect.errors
    try:
        yield
    except errors as error:
        message = "the database cannot be read or written now: try again"
        raise StoreError(message, cause=str(_first(error))) from error


def _first(error: BaseException) -> BaseException:
    """Return what began it: on a full disk SQLite ends the transaction itself, and peewee's ROLLBACK fails too."""
    while error.__context__ is not None:
        error = error.__context__
    return error
