"""Tables for people: the faults of a sheet, the images that failed. Cells are strangers' text and are made harmless.

rich is loaded where there is a table to draw: a run without failures has none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import IO, TYPE_CHECKING, Final

from imagemill.cli.console import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from imagemill.core.failures import Group
    from imagemill.core.job import Job
    from imagemill.core.sheet import Fault

PLAIN_WIDTH: Final = 200
"""Columns where there is no terminal to ask: a log or a pipe, which wraps by itself."""

GROUPS: Final = 20
"""Groups of failures that are shown; the report has them all."""


def console_for(stream: IO[str]) -> Console:
    """Return rich's console for a stream: as wide as its terminal, or wide enough not to fold."""
    from rich.console import Console

    return Console(file=stream, width=None if stream.isatty() else PLAIN_WIDTH, highlight=False)


def faults_table(faults: Sequence[Fault]) -> Table:
    """Return the faults of a sheet: where they are and what to do."""
    table = _table("row", "column", "name", "code", "message")
    for fault in faults:
        _add(table, fault.row or "", fault.column or "", fault.column_name, fault.code, fault.message)
    return table


def failures_table(groups: Sequence[Group]) -> Table:
    """Return the failed images by code and host, each group with examples."""
    table = _table("images", "code", "host", "row", "image", "url", "message")
    for group in groups[:GROUPS]:
        cells: Iterable[object] = (group.count, group.code, group.host)
        for example in group.examples:
            _add(table, *cells, example.row, example.position, example.url, example.message)
            cells = ("", "", "")
    if len(groups) > GROUPS:
        _add(
            table,
            sum(group.count for group in groups[GROUPS:]),
            "…",
            f"{len(groups) - GROUPS} more groups",
            "",
            "",
            "",
            "",
        )
    return table


def jobs_table(jobs: Sequence[Job]) -> Table:
    """Return a line for each job."""
    table = _table("id", "state", "images", "done", "failed", "saved", "created", "name")
    for job in jobs:
        counts, created = job.counts, f"{job.created_at:%Y-%m-%d %H:%M}"
        saved = f"{job.bytes.saved_percent:.0f} %" if job.bytes.source else ""
        _add(table, job.id, job.state, counts.images, counts.done, counts.failed or "", saved, created, job.name)
    return table


def _table(*titles: str) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in titles:
        is_long = title in {"url", "message"}
        table.add_column(title, overflow="fold", min_width=16 if is_long else None, no_wrap=title == "code")
    return table


def _add(table: Table, *cells: object) -> None:
    from rich.text import Text

    # Text, not str: rich reads [square brackets] of a str as markup, and URLs may have them.
    table.add_row(*(Text(printable(str(cell))) for cell in cells))
