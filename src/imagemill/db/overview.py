"""What a database has, for somebody who must not see whose it is: counts, times, codes; no name, no address."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from imagemill.db.soundness import opened

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

NEWEST: Final = 200
"""So many jobs are told of."""

_JOB: Final = (
    *("id", "uid", "kind", "profile", "priority", "sheet_rows", "places", "images"),
    *("created_at", "started_at", "finished_at", "paused_at", "cancelled_at", "deleted_at", "expires_at"),
)
_TALLY: Final = ("pending", "running", "done", "failed", "cancelled", "source_bytes", "output_bytes")


def overview(path: Path) -> dict[str, Any]:
    """Return schema, totals and the newest jobs, as JSON has it; StoreError where the file cannot be read."""
    with opened(path) as database:
        (version,) = database.execute("SELECT coalesce(max(version), 0) FROM migration").fetchone()
        jobs = [_job(database, row) for row in _rows(database, f"{_SELECT} ORDER BY id DESC LIMIT {NEWEST}")]
        totals = {name: _count(database, name) for name in ("job", "output", "source", "delivery", "token", "leftover")}
        sums = ", ".join(f"coalesce(sum({column}), 0)" for column in _TALLY)
        tally = dict(zip(_TALLY, database.execute(f"SELECT {sums} FROM tally").fetchone(), strict=True))
        return {"schema": version, "rows": totals, "places": tally, "jobs": jobs}


_SELECT: Final = f"SELECT {', '.join(_JOB)}, json_extract(submission, '$.recipe') AS recipe FROM job"


def secrets_and_names(path: Path) -> set[str]:
    """Return what must be in no text that leaves the house: secrets of callbacks, names of jobs and sheets."""
    with opened(path) as database:
        rows = database.execute(
            "SELECT json_extract(submission, '$.callback_secret'), name, filename FROM job ORDER BY id DESC LIMIT 10000"
        )
        return {str(text) for row in rows for text in row if text}


def _job(database: sqlite3.Connection, row: dict[str, Any]) -> dict[str, Any]:
    job = row.pop("id")
    counts = _rows(database, f"SELECT {', '.join(_TALLY)} FROM tally WHERE job_id = ?", job)
    errors = database.execute(
        "SELECT coalesce(error_code, ''), count(*) FROM image WHERE job_id = ? AND state = 'failed' GROUP BY 1", (job,)
    )
    calls = "SELECT event, state, attempts, last_status, created_at FROM delivery WHERE job_id = ? ORDER BY id"
    recipe = row.pop("recipe")
    return row | {
        "recipe": json.loads(recipe) if recipe else None,
        "counts": counts[0] if counts else {},
        "failed": dict(errors.fetchall()),
        "callbacks": _rows(database, calls, job),
    }


def _rows(database: sqlite3.Connection, sql: str, *params: object) -> list[dict[str, Any]]:
    cursor = database.execute(sql, params)
    names = [each[0] for each in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def _count(database: sqlite3.Connection, table: str) -> int:
    return int(database.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
