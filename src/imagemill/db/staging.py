"""A sheet on its way in, in a throw-away file: a slow upload locks nothing, and memory stays flat."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from imagemill.core.keys import host_number, host_of
from imagemill.db.database import translated
from imagemill.imports import hidden

with hidden():
    import peewee

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_BATCH = 2_000


class Sampled(msgspec.Struct, frozen=True):
    """How many places and distinct URLs a sheet has, and some of the URLs."""

    places: int
    unique: int
    urls: list[str]


class Staging:
    """Rows of one upload before they are accepted. Worthless after a crash, so nothing of the file is ever flushed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.places = self.images = 0
        self._pending: list[tuple[int, int, int, str, int]] = []
        self._serials: list[tuple[int, str]] = []
        pragmas = {"journal_mode": "off", "synchronous": "off", "cache_size": -8_000, "temp_store": "file"}
        self._database = peewee.SqliteDatabase(str(path), pragmas=pragmas, check_same_thread=False, thread_safe=False)
        self._database.execute_sql(
            "CREATE TABLE place (n INTEGER PRIMARY KEY, sheet_row INTEGER, position INTEGER, url TEXT, host INTEGER)"
        )
        self._database.execute_sql("CREATE TABLE serial (sheet_row INTEGER PRIMARY KEY, value TEXT)")
        self._database.begin()

    def add(self, row: int, urls: Iterable[str], serial: str) -> None:
        """Keep one row's canonical URLs, in order, and its serial where it has one."""
        for position, url in enumerate(urls, 1):
            self.places += 1
            self._pending.append((self.places, row, position, url, host_number(host_of(url))))
        if serial:
            self._serials.append((row, serial))
        if len(self._pending) >= _BATCH or len(self._serials) >= _BATCH:
            self._flush()

    def repeated_serials(self, limit: int) -> list[tuple[int, int, str]]:
        """Return (row, first row with the same serial, serial) of every repetition, at most `limit`."""
        self._flush()
        rows = self._database.execute_sql(
            "SELECT sheet_row, first, value FROM"
            " (SELECT sheet_row, value, min(sheet_row) OVER (PARTITION BY value) AS first FROM serial)"
            " WHERE sheet_row > first ORDER BY sheet_row LIMIT ?",
            (limit,),
        )
        return [(int(row), int(first), str(value)) for row, first, value in rows.fetchall()]

    def sample(self, most: int) -> Sampled:
        """Return how many places and distinct URLs there are, and at most so many of these, drawn by lot."""
        self._flush()
        with translated():
            self._database.execute_sql("CREATE TABLE address AS SELECT DISTINCT url FROM place")
            ((unique,),) = self._database.execute_sql("SELECT count(*) FROM address").fetchall()
            rows = self._database.execute_sql(
                "SELECT url FROM address WHERE rowid IN (SELECT rowid FROM address ORDER BY random() LIMIT ?)", (most,)
            ).fetchall()
        return Sampled(self.places, unique, [url for (url,) in rows])

    def size_bytes(self) -> int:
        """Return how large the file is, with what is still to be written."""
        self._flush()
        return self.path.stat().st_size

    def seal(self) -> None:
        """Join equal URLs to one image, named by its first place, and let go of the file for `Store.accept_job`."""
        self._flush()
        with translated():
            self._database.execute_sql(
                "CREATE TABLE ranked AS SELECT n, first_value(n) OVER (PARTITION BY url ORDER BY n) AS image_n,"
                " count(*) OVER (PARTITION BY url) AS places FROM place"
            )
            counted = self._database.execute_sql("SELECT count(*) FROM ranked WHERE n = image_n")
            ((self.images,),) = counted.fetchall()
        self.close()

    def close(self) -> None:
        """Let go of the file; what is not sealed is lost, as meant."""
        if not self._database.is_closed():
            self._database.commit()
            self._database.close()

    def _flush(self) -> None:
        connection = self._database.connection()
        with translated():
            connection.executemany("INSERT INTO place VALUES (?, ?, ?, ?, ?)", self._pending)
            connection.executemany("INSERT INTO serial VALUES (?, ?)", self._serials)
        self._pending.clear()
        self._serials.clear()
