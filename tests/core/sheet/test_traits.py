"""One case, or more, for each row of SHEETS.md's table of what is accepted."""

from __future__ import annotations

import codecs

import pytest

from imagemill.core.sheet import Fault, Header, Row, Rules
from tests.core.sheet.tables import HEAD, A, B, C, good, read, urls


def header(text: str, rules: Rules | None = None) -> Header:
    found = read(f"{text}\n", rules)[0].header
    assert found is not None
    return found


@pytest.mark.parametrize(
    "name", ["S. No.", "S.No", "Serial Number", "serial_number", "ID", " Sr No ", '"Sl. No."', "SERIALNO"]
)
def test_serial_spellings(name: str) -> None:
    assert header(f"Images,{name}").serial == 1


@pytest.mark.parametrize("name", ["Product Name", "productName", "Title", "SKU", "name", "PRODUCT", '" Product-Name "'])
def test_product_spellings(name: str) -> None:
    assert header(f"Images,{name}").product == 1


@pytest.mark.parametrize(
    "name",
    [
        "Input Image Urls",
        "Image URLs",
        "Input Image URL",
        "imageUrls",
        "Images",
        "input_urls",
        "URL",
        '"image ""URL"""',
    ],
)
def test_input_spellings(name: str) -> None:
    assert header(f"Colour,{name}").input == 1


def test_settings_add_spellings_that_are_preferred() -> None:
    rules = Rules(serial_aliases=("Artikel-Nr.",), product_aliases=("Bezeichnung",), input_aliases=("Bilder",))
    found = header("Images,ID,Name,Artikel Nr,Bezeichnung,Bilder", rules)
    assert (found.serial, found.product, found.input) == (3, 4, 5)


def test_the_better_alias_takes_the_role_and_the_other_is_carried() -> None:
    found = header("SKU,Name,url,Images")
    assert (found.product, found.input) == (1, 3)
    assert header("ID,serial no,Images").serial == 1


def test_an_alias_of_two_roles_is_not_given_twice() -> None:
    found = header("Images,SKU", Rules(serial_aliases=("sku",)))
    assert (found.serial, found.product) == (1, None)


def test_no_serial_or_product_column() -> None:
    reader, rows = good(f"Images\n{A}\n\n{B}\n")
    assert [(row.number, row.serial, row.product) for row in rows] == [(2, "2", ""), (3, "", ""), (4, "4", "")]
    assert (reader.rows, reader.urls) == (2, 2)


def test_a_row_without_image_is_a_warning() -> None:
    reader, rows = good(f"{HEAD}1,x,{A}\n2,y,\n3,z\n")
    assert [row.urls for row in rows] == [[A], [], []]
    message = "the row names no image: its output stays empty"
    assert reader.warnings.listed == [Fault(row, 3, "Input Image Urls", "no_images_in_row", message) for row in (3, 4)]


def test_column_order_and_extra_columns() -> None:
    _, rows = good(f"Colour,Images,Product Name,S. No.,Size\nred,{A},Hat,7,XL\n")
    assert (rows[0].serial, rows[0].product, rows[0].urls) == ("7", "Hat", [A])
    assert rows[0].fields == ["red", A, "Hat", "7", "XL"]


@pytest.mark.parametrize("between", [",", ", ", ";", "; ", "|", " | ", "\n", "\r\n", "\r", " ,\n"])
def test_a_quoted_list_is_split(between: str) -> None:
    assert urls(f'{HEAD}1,x,"{A}{between}{B}{between}"\n2,y,{C}\n') == [[A, B], [C]]


def test_a_list_may_mix_separators_and_have_gaps() -> None:
    assert urls(f'{HEAD}1,x,",{A},,;{B} |{C};"\n') == [[A, B, C]]


@pytest.mark.parametrize(
    "url",
    [
        "https://a.example/upload/w_80,h_80,c_fill/1.jpg",
        "https://a.example/cdn/width=80,fit=cover/1.jpg",
        "https://a.example/1.jpg?a=1&amp;b=2",
        "https://a.example/i;v=1",
    ],
)
def test_a_separator_inside_an_address_is_left_alone(url: str) -> None:
    assert urls(f'{HEAD}1,x,"{url},{A}"\n') == [[url, A]]


def test_an_unquoted_list_spills_into_surplus_cells() -> None:
    _, rows = good(f"{HEAD}1,x,{A},{B}, {C}\n2,y,{A},{B},,\n3,z,,{A}\n4,w,{A},,\n")
    assert [(row.urls, row.spilled) for row in rows] == [([A, B, C], 2), ([A, B], 3), ([A], 1), ([A], 0)]


def test_a_list_spills_in_the_middle_of_a_row() -> None:
    reader, rows = good(f"Images,Name,Note\n{A},{B},hat,x\n{A},hat,x\n{A},hat,x,y\n")
    assert [(row.urls, row.product) for row in rows] == [([A, B], B), ([A], "hat"), ([A], "hat")]
    assert [(warning.row, warning.column, warning.code) for warning in reader.warnings] == [(4, 4, "surplus_cells")]


def test_a_list_in_triple_quotes() -> None:
    assert urls(f'{HEAD}1,x,"""{A}, {B}"""\n2,y, "{A}, {B}"\n') == [[A, B], [A, B]]


PLAIN = f"S. No.,Product Name,Input Image Urls\r\n1,Möbel €,{A}\r\n"


@pytest.mark.parametrize(
    ("data", "encoding", "bom"),
    [
        (PLAIN.encode(), "utf-8", b""),
        (codecs.BOM_UTF8 + PLAIN.encode(), "utf-8", codecs.BOM_UTF8),
        (codecs.BOM_UTF16_LE + PLAIN.encode("utf-16-le"), "utf-16-le", codecs.BOM_UTF16_LE),
        (codecs.BOM_UTF16_BE + PLAIN.encode("utf-16-be"), "utf-16-be", codecs.BOM_UTF16_BE),
        (PLAIN.encode("cp1252"), "cp1252", b""),
        (f"{HEAD}1,Caf".encode() + b"\xe9", "cp1252", b""),
    ],
)
def test_encodings(data: bytes, encoding: str, bom: bytes) -> None:
    for size in (1, 3, 1000):
        reader, rows = read(data, size=size)
        assert (reader.dialect.encoding, reader.dialect.bom) == (encoding, bom)
        assert rows[0].product in {"Möbel €", "Café"}


def test_windows_1252_is_found_late() -> None:
    ascii_rows = "".join(f"{n},x,{A}\n" for n in range(2000))
    data = (HEAD + ascii_rows).encode() + f"0,Möbel,{A}\n".encode("cp1252")
    assert good(data)[1][-1].product == "Möbel"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_delimiters_and_line_ends(delimiter: str, end: str) -> None:
    lines = [["S. No.", '"Name, or; what|ever\tit is"', "Images"], ["1", "x", A], ["2", "y", B]]
    reader, rows = good(end.join(delimiter.join(line) for line in lines))
    assert reader.dialect.delimiter == delimiter
    assert [(row.serial, row.urls, row.end) for row in rows] == [("1", [A], end), ("2", [B], "")]


@pytest.mark.parametrize("sep", ["sep=;", "SEP=;", '"sep=;"'])
def test_an_excel_sep_line_decides(sep: str) -> None:
    reader, rows = good(f"{sep}\r\nImages,x;Images\r\n{B};{A}\r\n")
    assert (reader.dialect.delimiter, reader.dialect.preamble) == (";", f"{sep}\r\n")
    assert [(row.number, row.urls) for row in rows] == [(2, [A])]
    assert urls(f"sep=^\nName^Images\nx^{A}\n") == [[A]]


def test_blank_lines() -> None:
    reader, rows = good(f"\n , ,\r\n{HEAD}\n1,x,{A}\n   \n,,\n2,y,{B}\n\n")
    assert reader.dialect.preamble == "\n , ,\r\n"
    assert [(row.number, row.is_blank) for row in rows] == [
        (2, True),
        (3, False),
        (4, True),
        (5, True),
        (6, False),
        (7, True),
    ]
    assert (reader.rows, reader.warnings.total) == (2, 0)


def test_a_header_over_several_lines() -> None:
    _, rows = good(f'"Serial\nNo.","Input\r\nImage Urls","a ""quoted""\n\nname"\n1,{A},x\n')
    assert [(row.number, row.serial, row.urls) for row in rows] == [(2, "1", [A])]


@pytest.mark.parametrize("serial", ["1", "1.", "P001", "007", "1e3"])
def test_a_serial_is_text(serial: str) -> None:
    assert good(f"{HEAD}{serial},x,{A}\n")[1][0].serial == serial


def test_names_and_urls_may_repeat() -> None:
    assert urls(f'{HEAD}1,x,"{A},{A}"\n2,x,{A}\n') == [[A, A], [A]]


def test_urls_are_encoded_as_a_browser_would() -> None:
    written = "https://bücher.example/Möbel 1?größe=ä b"
    _, rows = good(f"{HEAD}1,x,{written}\n2,y,https://a.example/picture\n")
    assert rows[0].urls == ["https://xn--bcher-kva.example/M%C3%B6bel%201?gr%C3%B6%C3%9Fe=%C3%A4%20b"]
    assert rows[0].urls_raw == [written]
    assert rows[1].urls == ["https://a.example/picture"]


def test_other_unicode_line_ends_are_text() -> None:
    _, rows = good(f"{HEAD}1,a\x0bb\x0cc\x1cd\x85e\u2028f,{A}\n")
    assert rows[0].product == "a\x0bb\x0cc\x1cd\x85e\u2028f"


def test_quotes_as_spreadsheets_read_them() -> None:
    lines = ['1,12" screen,', '2,"12" screen,', '3,"12"" screen",', '4,"a\n""b""\nc",', '5,"x" ,']
    _, rows = good(HEAD + "".join(f"{line}{A}\n" for line in lines))
    assert [row.product for row in rows] == ['12" screen', "12 screen", '12" screen', 'a\n"b"\nc', "x"]
    assert [row.raw for row in rows] == [f"{line}{A}" for line in lines]


def test_a_row_is_light() -> None:
    assert Row(2, "x", "\n", ["x"], "", "", [], []) == Row(
        2, "x", "\n", ["x"], "", "", [], [], is_blank=False, spilled=0
    )
