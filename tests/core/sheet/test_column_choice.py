"""Somebody says which column has the links: by its name, or by its number."""

from __future__ import annotations

import pytest

from imagemill.core.sheet import Rules
from tests.core.sheet.tables import A, B, faults, good, read, urls, write


def choosing(column: str) -> Rules:
    return Rules(input_column=column)


@pytest.mark.parametrize("column", ["Bild gross", "bildgross", "BILD-Gross", "#2"])
def test_a_column_is_chosen(column: str) -> None:
    assert urls(f"Artikel,Bild gross\nHut,{A}\n", choosing(column)) == [[A]]


def test_a_choice_goes_before_what_would_be_recognised() -> None:
    reader, rows = good(f"Images,Large,Name\n{A},{B},Hat\n", choosing("Large"))
    assert reader.header is not None
    assert (reader.header.input, rows[0].urls, rows[0].product) == (1, [B], "Hat")


def test_a_name_goes_before_a_number_and_a_number_before_a_spelling() -> None:
    sheet = f"2,#2,name\n{A},{B},Hat\n"
    assert urls(sheet, choosing("#2")) == [[B]]
    assert urls(f"2,x\n{A},{B}\n", choosing("#2")) == [[B]]
    assert urls(f"2,x\n{A},{B}\n", choosing("2")) == [[A]]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("column", ["Bild", "#3"])
def test_the_delimiter_is_found_with_it(delimiter: str, column: str) -> None:
    lines = [delimiter.join(cells) for cells in (("Nr", "Name", "Bild"), ("1", "Hut", A))]
    assert urls("\n".join(lines), choosing(column)) == [[A]]


def test_a_column_that_is_not_there_is_told_with_those_that_are() -> None:
    for column in ("Foto", "#4", "--"):
        reader, _ = read(f"Nr,Bild\n1,{A}\n", choosing(column))
        (fault,) = reader.faults.listed
        assert (fault.row, fault.column, fault.code) == (1, 3, "missing_column")
        assert f"“{column}”; there are “Nr”, “Bild”: choose one" in fault.message
    many, _ = read(",".join(f"c{n}" for n in range(30)) + "\n", choosing("Foto"))
    assert "“c19” and others" in many.faults.listed[0].message


def test_a_first_row_that_is_no_header_is_told() -> None:
    assert faults(f"1,{A}\n2,{B}\n", choosing("#2")) == [(1, 2, "missing_column")]


def test_two_of_one_name_are_told_apart_by_number() -> None:
    sheet = f"Bild,Bild\n{A},{B}\n"
    assert faults(sheet, choosing("Bild")) == [(1, 2, "duplicate_column")]
    assert urls(sheet, choosing("#2")) == [[B]]


def test_the_output_is_written_behind_it() -> None:
    written = write(f"Nr;Bild\n1;{A}\n", rules=choosing("Bild"))
    assert written.decode() == f"Nr;Bild;Output Image Urls\n1;{A};https://out.example/1.jpg\n"
