"""Lines of a job's report: CSV UTF-8 with LF, safe to open in a spreadsheet."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from imagemill.core.sheet.dialect import Grammar

REPORT_COLUMNS: Final = (
    "row",
    "column position",
    "input URL",
    "output URL",
    "state",
    "error code",
    "error",
    "bytes before",
    "bytes after",
    "saved %",
    "width",
    "height",
    "format before",
    "format after",
    "seconds",
    "ssim",
)
_RUNNABLE: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_GRAMMAR: Final = Grammar(",")


def report_line(values: Iterable[str | float | None]) -> bytes:
    """Return one line. None is an empty cell; a text that a spreadsheet would run gets an apostrophe in front."""
    return (",".join(map(_cell, values)) + "\n").encode("utf-8", "replace")


def _cell(value: str | float | None) -> str:
    if value is None:
        return ""
    text = str(value)
    # Only text comes from outside: a number that begins with a minus is a number (OWASP, "CSV Injection").
    if isinstance(value, str) and value.startswith(_RUNNABLE):
        text = "'" + text
    return _GRAMMAR.quoted(text, always=False)
