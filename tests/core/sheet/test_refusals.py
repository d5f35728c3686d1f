"""One case, or more, for each code of SHEETS.md's refusals: where the fault stands, and that all are listed."""

from __future__ import annotations

import codecs

import pytest

from imagemill.core.sheet import MAX_LISTED, Rules, SheetError, SheetReader, duplicate_serial_fault
from imagemill.core.sheet.records import MAX_BROKEN
from tests.core.sheet.tables import HEAD, A, B, faults, good, read

SMALL = Rules(max_cell_chars=10)
MIB = 1 << 20


@pytest.mark.parametrize("data", [b"", b"\n\r\n", codecs.BOM_UTF8, b" ,,\n", b"sep=;\n", b"\n" * (MIB + 9)])
def test_empty_sheet(data: bytes) -> None:
    assert faults(data) == [(1, 1, "empty_sheet")]


def test_a_header_alone_is_an_empty_sheet() -> None:
    assert faults(HEAD) == [(1, 1, "empty_sheet")]
    assert faults(HEAD + ",,\n\n") == [(1, 1, "empty_sheet")]


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"PK\x03\x04\x14\x00\x06\x00", "workbook"),
        (b"PK\x05\x06" + bytes(18), "workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "old Excel"),
        (b"%PDF-1.7\n", "PDF"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "picture"),
        (b"\x89PNG\r\n\x1a\n", "picture"),
        (b"GIF89a", "picture"),
        (b"RIFF\x00\x00\x00\x00WEBP", "picture"),
        (b"\x1f\x8b\x08\x00", "unpack"),
        (b"\n <!DOCTYPE html><title>x</title>", "web page"),
        (codecs.BOM_UTF8 + b"<html>", "web page"),
        (b"<table><tr>", "web page"),
        (HEAD.encode("utf-16-le"), "UTF-16"),
        (HEAD.encode("utf-16-be"), "UTF-16"),
        (HEAD.encode() + b"1,x\0y,", "NUL"),
    ],
)
def test_not_a_table(data: bytes, word: str) -> None:
    for size in (1, 4096):
        reader, rows = read(data, size=size)
        assert rows == []
        assert [(fault.row, fault.column, fault.code) for fault in reader.faults] == [(1, 1, "not_a_table")]
        assert word in reader.faults.listed[0].message


def test_a_nul_far_below_is_told_with_its_row() -> None:
    data = (HEAD + f"1,x,{A}\n" * 100 + "1,x,ftp://a\r").encode() + b'\0\n"'
    for size in (1, 700, 1 << 16):
        found = [(fault.row, fault.code) for fault in read(data, size=size)[0].faults]
        assert found == [(102, "bad_url"), (103, "not_a_table")]


def test_nothing_is_read_after_the_end() -> None:
    reader = SheetReader(Rules())
    reader.feed(b"PK\x03\x04" * 200)
    assert reader.feed(HEAD.encode()) == []
    assert reader.close() == []
    assert (reader.faults.total, reader.header, reader.rows, reader.urls) == (1, None, 0, 0)


@pytest.mark.parametrize(
    ("data", "places"),
    [
        (
            "S. No.,Möbel,Images\n1,x,".encode() + A.encode() + b"\n2,\xff,\n3,x\xc3\x28,\xfe\n",
            [(3, 2), (4, 2), (4, 3)],
        ),
        (b"Caf\xe9,Images\nx,\n\x81y,\n", [(3, 1)]),
        (b"\x81,Images\n" + b"x," + A.encode(), [(1, 1)]),
        (codecs.BOM_UTF8 + b"\xff,Images\n" + b"x," + A.encode(), [(1, 1)]),
        ("Möbel,Images\nx,y,\n".encode() + b"x,,\xc3", [(3, 3)]),
        (codecs.BOM_UTF16_LE + "Images\n\ud800,x\nä".encode("utf-16-le", "surrogatepass") + b"\x00", [(2, 1), (3, 1)]),
        (codecs.BOM_UTF16_BE + "Images\nä".encode("utf-16-be") + b"\xd8\x00", [(2, 1)]),
    ],
)
def test_bad_encoding(data: bytes, places: list[tuple[int, int]]) -> None:
    for size in (1, 5, 4096):
        found = [(fault.row, fault.column) for fault in read(data, size=size)[0].faults if fault.code == "bad_encoding"]
        assert found == places


def test_missing_column_names_what_is_accepted() -> None:
    reader, _ = read(f"S. No.;Name;Picture\n1;x;{A}\n")
    (fault,) = reader.faults
    assert (fault.row, fault.column, fault.column_name, fault.code) == (1, 4, "Input Image Urls", "missing_column")
    assert all(alias in fault.message for alias in ("inputimageurls", "images", "url"))


def test_every_missing_column_is_told() -> None:
    rules = Rules(required=("serial", "product", "input"))
    assert faults("Images\n" + A, rules) == [(1, 2, "missing_column"), (1, 3, "missing_column")]
    assert faults("a;b\n", rules) == [(1, 3, "missing_column"), (1, 4, "missing_column"), (1, 5, "missing_column")]


def test_duplicate_column() -> None:
    head = "Images,ID,images,Size,Size,id,Output Image Urls,output_image_urls\n"
    assert faults(f"{head}{A}\n") == [
        (1, 3, "duplicate_column"),
        (1, 6, "duplicate_column"),
        (1, 8, "duplicate_column"),
    ]


def test_too_many_columns() -> None:
    assert faults("Images" + "," * 16_384 + f"\n{A}\n") == [(1, 16_385, "too_many_columns")]
    assert faults("Images" + "," * 16_383 + f"\n{A}\n") == []


def test_missing_value() -> None:
    rules = Rules(required=("serial", "product", "input"))
    text = f"{HEAD}1,x,{A}\n ,y,{A}\n\n,,\n4,,\n5\n"
    assert faults(text, rules) == [(3, 1, "missing_value"), (6, 2, "missing_value"), (7, 2, "missing_value")]


def test_missing_value_of_the_input_column_if_asked_for() -> None:
    rules = Rules(require_values=("input", "serial"))
    assert faults(f'{HEAD}1,x,{A}\n,y,","\n\n', rules) == [(3, 3, "missing_value"), (3, 1, "missing_value")]
    assert faults(f"Images,x\n{A}\n,y\n", rules) == [(3, 1, "missing_value")]


def test_duplicate_serial_is_the_callers_to_find() -> None:
    reader, rows = good(f"Images,S.No\n{A},7\n{B},7\n")
    assert [row.serial for row in rows] == ["7", "7"]
    assert reader.header is not None
    fault = duplicate_serial_fault(3, 2, reader.header, "7")
    assert (fault.row, fault.column, fault.column_name, fault.code) == (3, 2, "S.No", "duplicate_serial")
    assert "“7”" in fault.message
    assert "row 2" in fault.message


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.example/1.jpg",
        "file:///etc/passwd",
        "/srv/1.jpg",
        r"C:\pictures\1.jpg",
        "1.jpg",
        "https://",
        "https:///1.jpg",
        "javascript:alert(1)",
        "data:image/png",
    ],
)
def test_bad_url(url: str) -> None:
    reader, rows = read(f'{HEAD}1,x,"{A}\n{url}\n{B}"\n')
    (fault,) = reader.faults
    assert (fault.row, fault.column, fault.column_name, fault.code) == (2, 3, "Input Image Urls", "bad_url")
    assert url in fault.message
    assert rows[0].urls == rows[0].urls_raw == [A, B]


def test_bad_urls_are_shown_short_and_without_secrets() -> None:
    reader, _ = read(f"{HEAD}1,x,https://joe:secret@a.example/1.jpg\n2,y,{'z' * 500}\x07\n")
    first, second = (fault.message for fault in reader.faults)
    assert "secret" not in first
    assert "…@a.example/1.jpg" in first
    assert len(second) < 200
    assert second.isprintable()


def test_each_bad_url_of_a_cell_is_told() -> None:
    assert faults(f'{HEAD}1,x,"1.jpg,{A},2.jpg"\n2,y,3.jpg\n') == [(2, 3, "bad_url")] * 2 + [(3, 3, "bad_url")]


def test_too_many_rows() -> None:
    rules = Rules(max_rows=2)
    assert faults(f"{HEAD}1,x,{A}\n\n2,x,{A}\n\n", rules) == []
    assert faults(f"{HEAD}1,x,{A}\n\n2,x,{A}\n\n3,x,{A}\n4,x,1.jpg\n", rules) == [(6, 1, "too_many_rows")]


def test_too_many_urls_in_cell() -> None:
    rules = Rules(max_urls_per_cell=2)
    text = f'{HEAD}1,x,"{A},{A}"\n2,y,{A},{A},{A}\n3,y,"{A};1.jpg;;;2.jpg"\n'
    assert faults(text, rules) == [(3, 3, "too_many_urls_in_cell"), (4, 3, "too_many_urls_in_cell")]


def test_cell_too_long() -> None:
    rows = f'1,12345678901,{A},\n2,"{"x" * 10}",,\n3,x,,{"y" * 11}\n'
    assert faults(HEAD + rows, SMALL) == [(2, 2, "cell_too_long"), (2, 3, "cell_too_long"), (4, 4, "cell_too_long")]


@pytest.mark.parametrize("end", ["", "\n", "\0"])
def test_a_row_without_end_is_not_kept(end: str) -> None:
    data = f"{HEAD}1,x,{A}\n" + "x" * (MIB + 1) + end
    for size in (10_000, 1 << 22):
        found = [(fault.row, fault.code) for fault in read(data, size=size)[0].faults]
        assert found == [(3, "cell_too_long")]
    assert faults("x" * (MIB + 1) + end) == [(1, 1, "cell_too_long")]


def test_unterminated_quote_at_the_end() -> None:
    text = f'{HEAD}1,x,{A}\n2,"y,{A}\n3,z,1.jpg\n'
    assert faults(text) == [(3, 2, "unterminated_quote"), (4, 3, "bad_url")]


def test_unterminated_quote_before_the_next_quote() -> None:
    text = f'{HEAD}1,"x,{A}\n2,"y",{A}\n3,"z,\n4,"w"\n'
    assert faults(text) == [(2, 2, "unterminated_quote"), (4, 2, "unterminated_quote")]


def test_a_cell_of_several_lines_is_no_unterminated_quote() -> None:
    assert faults(f'{HEAD}1,"x\n\n""y"",\nz" ,{A}\n') == []


def test_unterminated_quote_is_given_up_at_the_limit() -> None:
    rows = f"2,y,{A}\n" * (MIB // 20)
    reader, found = read(f'{HEAD}1,"x,{A}\n{rows}3,z,1.jpg\n', size=1 << 16)
    assert [(fault.row, fault.code) for fault in reader.faults] == [
        (2, "unterminated_quote"),
        (4 + MIB // 20 - 1, "bad_url"),
    ]
    assert len(found) == MIB // 20 + 1


def test_an_open_quote_and_a_line_without_end() -> None:
    overlong = "x" * (MIB + 1)
    assert faults(f'{HEAD}1,x,"\n{overlong}') == [(2, 3, "unterminated_quote")]
    assert faults(f'Images,"x\n{overlong}') == [(1, 2, "unterminated_quote")]


def test_a_sheet_of_open_quotes_is_left() -> None:
    lines = 'a",""",\n' * 1000
    assert faults(f"{HEAD}{lines}") == [(row, 2, "unterminated_quote") for row in range(2, 2 + MAX_BROKEN)]


@pytest.mark.parametrize(
    ("text", "column"),
    [('S. No.,"Name,Images\n1,x,y\n', 2), ('"Images\n', 1), ('a;b;"Images\n' + "x\n" * MIB, 3)],
)
def test_unterminated_quote_in_the_header(text: str, column: int) -> None:
    assert faults(text) == [(1, column, "unterminated_quote")]


def test_no_images() -> None:
    assert faults(f"{HEAD}1,x,\n2,y,\n") == [(1, 3, "no_images")]
    assert faults(f"{HEAD}1,x,1.jpg\n") == [(2, 3, "bad_url")]


def test_all_faults_are_counted_and_a_thousand_listed() -> None:
    reader, _ = read(HEAD + "1,x,1.jpg\n" * 1500 + "1,x,\n" * 1200)
    assert (reader.faults.total, len(reader.faults.listed)) == (1500, MAX_LISTED)
    assert (reader.warnings.total, len(reader.warnings.listed)) == (1200, MAX_LISTED)
    error = SheetError(reader.faults)
    assert (error.code, error.total, len(error.faults)) == ("invalid_sheet", 1500, MAX_LISTED)
    assert error.detail == "the sheet has 1500 faults: correct them and send it again"


def test_faults_of_all_kinds_come_together() -> None:
    text = f'Images,ID,ID\n"{A},1.jpg",1\n{A},2,"x\n'
    assert faults(text) == [(1, 3, "duplicate_column"), (2, 1, "bad_url"), (3, 3, "unterminated_quote")]
