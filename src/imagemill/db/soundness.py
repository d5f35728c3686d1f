"""Whether a database file is sound: looked at without being opened for work, so nothing is made, migrated or locked."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

import msgspec

from imagemill.db.database import StoreError, connected, translated
from imagemill.db.migrations import STEPS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NEWEST: Final = "SELECT max(created_at) FROM job"
_WAIT_S: Final = 5.0
_MOST_FAULTS: Final = 3


class Soundness(msgspec.Struct, frozen=True):
    """What was found in a database file: SQLite's own words for what is broken, and whether its schema is ours."""

    faults: list[str]
    schema: int

    @property
    def is_newer(self) -> bool:
        """Whether a newer program wrote it."""
        return self.schema > len(STEPS)


def inspect(where: Path | str) -> Soundness:
    """Read every page of a database file, or ask a server for its schema; StoreError where that cannot be read."""
    if isinstance(where, str):
        version = _asked(where, "SELECT coalesce(max(version), 0) FROM migration")
        return Soundness([], int(version or 0))
    with opened(where) as database:
        faults = [str(word) for (word,) in database.execute(f"PRAGMA quick_check({_MOST_FAULTS})")]
        (version,) = database.execute("SELECT coalesce(max(version), 0) FROM migration").fetchone()
    return Soundness([] if faults == ["ok"] else faults, version)


def newest_at(where: Path | str) -> float | None:
    """Return when a database's newest job came; None where there is none, or none that can be read."""
    with suppress(StoreError):
        found = _asked(where, _NEWEST) if isinstance(where, str) else _read(where, _NEWEST)
        return None if found is None else float(found)
    return None


def _read(path: Path, sql: str) -> Any:  # noqa: ANN401  whatever the query asks for
    with opened(path) as database:
        return database.execute(sql).fetchone()[0]


def _asked(url: str, sql: str) -> Any:  # noqa: ANN401
    """Return the one value that a server answers; None where it has no tables of ours yet."""
    server = connected(url)
    try:
        with translated(server):
            is_new = server.rows("SELECT to_regclass('migration') IS NULL")[0][0]
            return None if is_new else server.rows(sql)[0][0]
    finally:
        server.close()


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a database file for reading; StoreError where it, or what is asked of it, cannot be read."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_WAIT_S)) as database:
            yield database
    except sqlite3.DatabaseError as error:
        raise StoreError(f"{path.name} cannot be read: {error}", cause=repr(error)) from error
