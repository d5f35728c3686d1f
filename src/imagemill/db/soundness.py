"""Whether a database file is sound: looked at without being opened for work, so nothing is made, migrated or locked."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Final

import msgspec

from imagemill.db.database import StoreError
from imagemill.db.migrations import STEPS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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


def inspect(path: Path) -> Soundness:
    """Read every page of a database file; StoreError where it cannot be read at all."""
    with opened(path) as database:
        faults = [str(word) for (word,) in database.execute(f"PRAGMA quick_check({_MOST_FAULTS})")]
        (version,) = database.execute("SELECT coalesce(max(version), 0) FROM migration").fetchone()
    return Soundness([] if faults == ["ok"] else faults, version)


def newest_at(path: Path) -> float | None:
    """Return when a database file's newest job came; None where there is none, or none that can be read."""
    with suppress(StoreError), opened(path) as database:
        (found,) = database.execute("SELECT max(created_at) FROM job").fetchone()
        return None if found is None else float(found)
    return None


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a database file for reading; StoreError where it, or what is asked of it, cannot be read."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_WAIT_S)) as database:
            yield database
    except sqlite3.DatabaseError as error:
        raise StoreError(f"{path.name} cannot be read: {error}", cause=repr(error)) from error
