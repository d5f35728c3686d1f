"""A whole database from its file to a server, in one transaction: all of it is there, or nothing."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final

from imagemill.core.errors import StartError
from imagemill.db.database import open_database, translated
from imagemill.db.soundness import opened
from imagemill.db.store import Store
from imagemill.db.tokens import FIRST
from imagemill.imports import hidden

with hidden():
    from imagemill.db.postgres import Postgres

if TYPE_CHECKING:
    from pathlib import Path

_NAMES: Final = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
_NOT_MOVED: Final = frozenset({"migration", "machine", "turn", "sent", "draft"})
_NUMBERED: Final = ("job", "output", "delivery", "fetched")
"""Tables that count their rows' ids themselves."""


def move_database(file: Path, url: str) -> int:
    """Copy what a file knows to a server that knows nothing yet, and return how many jobs those are.

    StartError where there are jobs already, and for a file that nobody should be at work on: nothing of it is in hand
    afterwards.
    """
    with closing(Store(open_database(file))) as ours:
        ours.release_leases()
        ours.release_deliveries()
    target = open_database(url, 2)
    if not isinstance(target, Postgres):
        raise TypeError(url)
    try:
        with opened(file) as source, translated(target), target.durable():
            return _moved(source, target)
    finally:
        target.close()


def _moved(source: sqlite3.Connection, target: Postgres) -> int:
    target.alone()
    if target.rows("SELECT 1 FROM job LIMIT 1"):
        message = "there are jobs in the database of database.url already: name an empty one"
        raise StartError(message)
    names = {name for (name,) in source.execute(_NAMES)} - _NOT_MOVED
    # The tally last: jobs that come in begin theirs.
    for name in sorted(names, key=lambda name: (name == "tally", name)):
        columns = ", ".join(row[1] for row in source.execute(f"PRAGMA table_info({name})"))
        target.touched(f"DELETE FROM {name}")
        target.copy(f"{name} ({columns})", source.execute(f"SELECT {columns} FROM {name}"))
    target.touched("DELETE FROM token WHERE name = ?", (FIRST,))  # each machine has its own, made at its start
    for name in _NUMBERED:
        newest = f"(SELECT coalesce(max(id), 0) + 1 FROM {name})"
        target.rows(f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), {newest}, false)")
    return int(target.rows("SELECT count(*) FROM job WHERE deleted_at IS NULL")[0][0])
