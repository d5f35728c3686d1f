"""The grammar of one record, beside Python's own reader and writer."""

from __future__ import annotations

import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagemill.core.sheet.dialect import Grammar

COMMA = Grammar(",")
raws = st.text(st.sampled_from('",;ab '), max_size=14)


@pytest.mark.parametrize(
    ("raw", "cells", "fields"),
    [
        ("", [""], [""]),
        ("a,b", ["a", "b"], ["a", "b"]),
        (",,", ["", "", ""], ["", "", ""]),
        ('"a,b",c', ['"a,b"', "c"], ["a,b", "c"]),
        ('"","a""b",', ['""', '"a""b"', ""], ["", 'a"b', ""]),
        ('a"b,"c"d', ['a"b', '"c"d'], ['a"b', "cd"]),
        ('"12" TV"', ['"12" TV"'], ['12 TV"']),
        ('""""', ['""""'], ['"']),
        (' "a,b"', [' "a', 'b"'], [' "a', 'b"']),
    ],
)
def test_cells(raw: str, cells: list[str], fields: list[str]) -> None:
    assert COMMA.cells(raw) == cells
    assert COMMA.fields(raw) == fields == (next(csv.reader([raw])) or [""])


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (['"a'], [True]),
        (['a,"b', 'c"'], [True, False]),
        (['"a', "", 'b""', 'c"",', 'd",e'], [True, True, True, True, False]),
        (['"a', 'b","', '""",c'], [True, True, False]),
        (['a,"""', '"'], [True, False]),
        (['a",""",', 'a",""",'], [True, True]),
    ],
)
def test_a_quoted_cell_goes_on(lines: list[str], expected: list[bool]) -> None:
    found, is_open = [], False
    for line in lines:
        is_open = COMMA.is_open(line + "\r\n", was_open=is_open)
        found.append(is_open)
    assert found == expected


@given(raws, st.sampled_from([",", ";", "|", "\t", "^"]))
def test_fields_are_those_of_pythons_reader(raw: str, delimiter: str) -> None:
    grammar = Grammar(delimiter)
    raw = raw.replace(";", delimiter)
    fields = grammar.fields(raw)
    is_open = grammar.is_open(raw, was_open=False)
    assert (fields is None) == is_open
    if not is_open:
        assert fields == (next(csv.reader([raw], delimiter=delimiter)) or [""])
        assert delimiter.join(grammar.cells(raw)) == raw
        for index, cell in enumerate(grammar.cells(raw)):
            assert (grammar.quotes_cell(index)(raw) is not None) == cell.startswith('"')


@given(st.text(st.sampled_from('",;ab \r\n|'), max_size=10), st.booleans())
def test_what_is_quoted_is_read_back(text: str, always: bool) -> None:
    cell = COMMA.quoted(text, always=always)
    assert COMMA.fields(f"x,{cell},y") == ["x", text, "y"]
    assert cell.startswith('"') >= always


@pytest.mark.parametrize(
    ("raw", "expected"),
    [('"a\nb","c"', False), ('"a\nb" ,x', False), ('"a\nb"c', True), ('x,"a\n6,"SKU"', True), ("a,b", False)],
)
def test_text_behind_a_closing_quote(raw: str, expected: bool) -> None:
    assert COMMA.has_stray_text(raw) is expected
