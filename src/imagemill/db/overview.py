"""What a database has, for somebody who must not see whose it is: counts, times, codes; no name, no address."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from imagemill.db.database import StoreError, connected, translated
from imagemill.db.soundness import opened

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

NEWEST: Final = 200
"""So many jobs are told of."""

_NAMED: Final = 10_000
"""Names of so many jobs are looked for in what leaves the house."""

_TABLES: Final = ("job", "output", "source", "delivery", "token", "leftover")
_JOB: Final = (
    *("uid", "kind", "profile", "priority", "sheet_rows", "places", "images"),
    *("created_at", "started_at", "finished_at", "paused_at", "cancelled_at", "deleted_at", "expires_at"),
)
_TALLY: Final = ("pending", "running", "done", "failed", "cancelled", "source_bytes", "output_bytes")
_CALL: Final = ("event", "state", "attempts", "last_status", "created_at")

Ask: TypeAlias = Callable[..., "Sequence[tuple[Any, ...]]"]
"""A query and its parameters, to its rows."""


def overview(where: Path | str) -> dict[str, Any]:
    """Return schema, totals and the newest jobs, as JSON has it; StoreError where the database cannot be read.

    It is a file, which is neither migrated nor locked, or a server's, by its address.
    """
    with _asking(where) as ask:
        (version,) = ask("SELECT coalesce(max(version), 0) FROM migration")[0]
        sums = ", ".join(f"coalesce(sum({column}), 0)" for column in _TALLY)
        tally = map(int, ask(f"SELECT {sums} FROM tally")[0])
        newest = ask(f"SELECT id, submission, {', '.join(_JOB)} FROM job ORDER BY id DESC LIMIT {NEWEST}")
        return {
            "schema": version,
            "rows": {table: ask(f"SELECT count(*) FROM {table}")[0][0] for table in _TABLES},
            "places": dict(zip(_TALLY, tally, strict=True)),
            "jobs": [_job(ask, *row) for row in newest],
        }


def secrets_and_names(where: Path | str) -> set[str]:
    """Return what must be in no text that leaves the house: secrets of callbacks, names of jobs and sheets."""
    with _asking(where) as ask:
        rows = ask(f"SELECT submission, name, filename FROM job ORDER BY id DESC LIMIT {_NAMED}")
    found = {str(json.loads(submission).get("callback_secret") or "") for submission, _, _ in rows}
    return (found | {text for _, *names in rows for text in names}) - {""}


def _job(ask: Ask, job: int, submission: str, *row: object) -> dict[str, Any]:
    counts = ask(f"SELECT {', '.join(_TALLY)} FROM tally WHERE job_id = ?", job)
    codes = "SELECT coalesce(error_code, ''), count(*) FROM image WHERE job_id = ? AND state = 'failed' GROUP BY 1"
    calls = ask(f"SELECT {', '.join(_CALL)} FROM delivery WHERE job_id = ? ORDER BY id", job)
    return dict(zip(_JOB, row, strict=True)) | {
        "recipe": json.loads(submission).get("recipe", {}),
        "counts": dict(zip(_TALLY, counts[0], strict=True)) if counts else {},
        "failed": dict(ask(codes, job)),
        "callbacks": [dict(zip(_CALL, call, strict=True)) for call in calls],
    }


@contextmanager
def _asking(where: Path | str) -> Iterator[Ask]:
    if not isinstance(where, str):
        with opened(where) as database:
            yield lambda sql, *params: database.execute(sql, params).fetchall()
        return
    server = connected(where, 1)
    try:
        with translated(server):
            if server.rows("SELECT to_regclass('job') IS NULL")[0][0]:
                raise StoreError("the database has no tables yet: start imagemill once, which makes them")
            yield lambda sql, *params: server.rows(sql, params)
    finally:
        server.close()
