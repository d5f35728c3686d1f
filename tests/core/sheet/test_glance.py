"""What is shown of a sheet: columns with their parts, the first rows, and some that have faults."""

from __future__ import annotations

from imagemill.core.sheet import Column, Glance, Glimpse, Rules, SheetReader, ShownRow, unrecognised
from imagemill.core.sheet.glance import FAULTY_ROWS, FIRST_ROWS, MOST_COLUMNS
from tests.core.sheet.tables import HEAD, A, B, C, chunks


def glance(data: str, size: int = 1 << 16) -> Glance:
    reader = SheetReader(Rules())
    glimpse = Glimpse(reader)
    for chunk in chunks(data.encode(), size):
        glimpse.take(reader.feed(chunk))
    glimpse.take(reader.close())
    return glimpse.glance()


def test_columns_are_marked_with_their_parts() -> None:
    found = glance(f"Size,Images,SKU,ID,Output Image Urls,Image Errors\nXL,{A},Hat,7,{B},\n\nM,{C}\n")
    assert found.columns == [
        Column(1, "Size", None, 0),
        Column(2, "Images", "input", 2),
        Column(3, "SKU", "product", 0),
        Column(4, "ID", "serial", 0),
        Column(5, "Output Image Urls", "output", 1),
        Column(6, "Image Errors", "errors", 0),
    ]
    assert found.rows == [ShownRow(2, ["XL", A, "Hat", "7", B, ""]), ShownRow(4, ["M", C, "", "", "", ""])]


def test_the_first_rows_and_the_first_faulty_ones_are_shown() -> None:
    good, bad = f"1,x,{A}\n", "1,x,ftp://a/b\n"
    for size in (50, 1 << 16):
        found = glance(HEAD + good * 100 + (good + bad) * 30 + good, size)
        first, faulty = found.rows[:FIRST_ROWS], found.rows[FIRST_ROWS:]
        assert [row.row for row in first] == list(range(2, 2 + FIRST_ROWS))
        assert [row.row for row in faulty] == list(range(103, 103 + 2 * FAULTY_ROWS, 2))
        assert faulty[0].cells[2] == "ftp://a/b"


def test_a_list_that_spilled_is_shown_in_its_column() -> None:
    found = glance(f"Name,Images,Note\nHat,{A},{B},new\n")
    assert found.rows == [ShownRow(2, ["Hat", f"{A}, {B}", "new"])]


def test_cells_are_shortened_and_passwords_hidden() -> None:
    (row,) = glance(f"Name,Images\n{'x' * 500},https://a:b@host/1.jpg\n").rows
    assert (len(row.cells[0]), row.cells[1]) == (80, "https://…@host/1.jpg")


def test_of_a_wide_sheet_the_columns_that_matter_are_shown() -> None:
    names = ",".join(f"c{n}" for n in range(300))
    found = glance(f"{names},Images\n{',' * 300}{A}\n")
    assert len(found.columns) == len(found.rows[0].cells) == MOST_COLUMNS + 1
    assert found.columns[-1] == Column(301, "Images", "input", 1)


def test_a_sheet_without_an_input_column_is_shown_with_its_addresses_counted() -> None:
    found = unrecognised(f"Artikel;SKU;Bild\n1;Hut;{A}\n2;Tasse;{B}\n".encode(), Rules(required=("serial", "input")))
    assert found.columns == [
        Column(1, "Artikel", None, 0),
        Column(2, "SKU", "product", 0),
        Column(3, "Bild", None, 2),
    ]
    assert [row.cells for row in found.rows] == [["1", "Hut", A], ["2", "Tasse", B]]


def test_what_is_no_table_shows_nothing() -> None:
    assert unrecognised(b"\x89PNG", Rules()) == Glance([], [])
    assert glance("Artikel,Bild\n") == Glance([], [])
