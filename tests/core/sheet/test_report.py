from __future__ import annotations

import pytest

from imagemill.core.sheet import REPORT_COLUMNS, report_line
from tests.core.sheet.tables import table


def test_columns() -> None:
    assert len(REPORT_COLUMNS) == len(set(REPORT_COLUMNS)) == 16
    assert report_line(REPORT_COLUMNS).startswith(b"row,column position,input URL,output URL,state,error code,")
    assert report_line(REPORT_COLUMNS).endswith(b",seconds,ssim\n")


def test_values() -> None:
    assert report_line([2, 1, "é", None, 12.5, -3, ""]) == "2,1,é,,12.5,-3,\n".encode()


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1", "-1", "@SUM(A1)", "\uff1d1+1", "\uff20SUM(A1)", "\t=1", "\r=1", "\n=1", '=HYPERLINK("x","y")'],
)
def test_text_that_a_spreadsheet_would_run_is_defused(text: str) -> None:
    assert table(report_line([text, f" {text}"])) == [["'" + text, f" {text}"]]


def test_quoting_and_broken_text() -> None:
    assert table(report_line(['a "b", c\nd', "\ud800"])) == [['a "b", c\nd', "?"]]


@pytest.mark.parametrize("place", range(len(REPORT_COLUMNS)))
def test_no_column_runs_what_a_stranger_wrote(place: int) -> None:
    """Whatever column a text comes to stand in: nothing is trusted for its place."""
    values: list[str | float | None] = [1] * len(REPORT_COLUMNS)
    values[place] = "=cmd|' /C calc'!A0"
    assert table(report_line(values))[0][place] == "'=cmd|' /C calc'!A0"
