"""The output is the same sheet with one column more."""

from __future__ import annotations

import codecs
from typing import Literal

import pytest

from imagemill.core.sheet import Rules, SheetWriter
from tests.core.sheet.tables import HEAD, A, B, C, good, output_of, table, write

X, Y, Z = map(output_of, (A, B, C))
OUT = "Output Image Urls"


@pytest.mark.parametrize(
    ("sheet", "expected"),
    [
        # Plain, without a last line end.
        (f"{HEAD}1,x,{A}\n2,y,{B}", f"{HEAD[:-1]},{OUT}\n1,x,{A},{X}\n2,y,{B},{Y}"),
        # Quoting, spaces and line ends of each row stay.
        (
            f'{HEAD}1,"x",{A}\r\n"2",y,"{B}"\r 3 , "z" ,"{A}, {B}"\n',
            f'{HEAD[:-1]},{OUT}\n1,"x",{A},{X}\r\n"2",y,"{B}","{Y}"\r 3 , "z" ,"{A}, {B}","{X}, {Y}"\n',
        ),
        # The header's cell is quoted as the input column's.
        (f'"Images",x\r\n"{A}",1\r\n', f'"Images",x,"{OUT}"\r\n"{A}",1,"{X}"\r\n'),
        # The separator is the input's first; where it is the delimiter the cell is quoted.
        (
            f'Images;x\n{A}| {B}|{C};1\n{A},{B};2\n"{A};{B}";3\n',
            f'Images;x;{OUT}\n{A}| {B}|{C};1;{X}| {Y}| {Z}\n{A},{B};2;{X},{Y}\n"{A};{B}";3;"{X};{Y}"\n',
        ),
        (f'Images\n"{A}\r\n{B},"\n', f'Images,{OUT}\n"{A}\r\n{B},","{X}\r\n{Y}"\n'),
        (f'Images\n" ,""{A}"" ; {B}"\n', f'Images,{OUT}\n" ,""{A}"" ; {B}","{X}; {Y}"\n'),
        # A list that had spilled is quoted, so that what follows stands under its header.
        (f"Images,x\n{A},{B},1\n", f'Images,x,{OUT}\n"{A},{B}",1,"{X},{Y}"\n'),
        (f"x;Images\n1;{A}; {B};\n", f'x;Images;{OUT}\n1;"{A}; {B}";"{X}; {Y}"\n'),
        (f"x\tImages\n1\t{A}\t{B}\n", f'x\tImages\t{OUT}\n1\t"{A},{B}"\t{X},{Y}\n'),
        (f'{HEAD}"1","x", "{A}, {B}"\n', f'{HEAD[:-1]},{OUT}\n"1","x","{A}, {B}","{X}, {Y}"\n'),
        # Short rows are filled up, surplus cells stay behind the output.
        (f"Images,x,y\n{A}\n{B},1\n,\n", f"Images,x,y,{OUT}\n{A},,,{X}\n{B},1,,{Y}\n,,,\n"),
        (f"Images,x\n{A},1,,more\n", f"Images,x,{OUT}\n{A},1,{X},,more\n"),
        # Blank lines, `sep=` and rows without images.
        (
            f"sep=,\n\n{HEAD}\n1,x,\n   \n,,\n2,y,{B}\n\n",
            f"sep=,\n\n{HEAD[:-1]},{OUT}\n\n1,x,,\n   \n,,,\n2,y,{B},{Y}\n\n",
        ),
        # An output of an earlier time is replaced where it stands.
        (
            f'output_image_url,Images,x\nold,{A},1\n"o,l,d","{A},{B}",2\n,{C}\n\n',
            f'output_image_url,Images,x\n{X},{A},1\n"{X},{Y}","{A},{B}",2\n{Z},{C},\n\n',
        ),
        (f"Images,{OUT},x\n{A},{B},1,2\n", f"Images,{OUT},x\n{A},{X},1,2\n"),
        # Cells over several lines.
        (f'{HEAD}1,"x\n""y""\r\n",{A}\r\n', f'{HEAD[:-1]},{OUT}\n1,"x\n""y""\r\n",{A},{X}\r\n'),
    ],
)
def test_output(sheet: str, expected: str) -> None:
    assert write(sheet).decode() == expected


@pytest.mark.parametrize(
    ("on_failure", "expected"),
    [("keep-url", [f"{X},{B},{Z}", B, f"{A}|{B}"]), ("empty", [f"{X},,{Z}", "", "|"])],
)
def test_a_failure_never_shifts_the_others(on_failure: Literal["keep-url", "empty"], expected: list[str]) -> None:
    rows = f'{HEAD}1,x,"{A},{B},{C}"\n2,y,{B}\n3,z,{A}|{B}\n'
    assert [row[3] for row in table(write(rows, failed=[A, B, C][1:2], on_failure=on_failure))[1:3]] == expected[:2]
    assert table(write(rows, failed=[A, B], on_failure=on_failure))[3][3] == expected[2]


def test_a_failed_url_is_kept_as_written() -> None:
    written = "https://a.example/Möbel 1.jpg"
    encoded = "https://a.example/M%C3%B6bel%201.jpg"
    assert table(write(f"Images\n {written} \n", failed=[encoded]))[1] == [f" {written} ", written]


def test_errors_column() -> None:
    sheet = f'Images,x\n"{A},{B},{C}",1\n{A},2\n,3\n\n'
    lines = table(write(sheet, failed=[B, C], errors_column=True))
    assert lines[0] == ["Images", "x", OUT, "Image Errors"]
    assert [line[2:] for line in lines[1:4]] == [[f"{X},{B},{C}", "2: not there; 3: not there"], [X, ""], ["", ""]]
    assert lines[4] == []


def test_old_errors_are_not_left_beside_new_outputs() -> None:
    sheet = f"Image_Errors,Images,x\n1: old,{A},1\n1: old,{B},2\n"
    assert table(write(sheet, failed=[B])) == [
        ["Image_Errors", "Images", "x", OUT],
        ["", A, "1", X],
        ["1: not there", B, "2", B],
    ]


@pytest.mark.parametrize(
    ("encoding", "bom"),
    [
        ("utf-8", b""),
        ("utf-8", codecs.BOM_UTF8),
        ("utf-16-le", codecs.BOM_UTF16_LE),
        ("utf-16-be", codecs.BOM_UTF16_BE),
        ("cp1252", b""),
    ],
)
def test_encoding_is_kept(encoding: str, bom: bytes) -> None:
    sheet = bom + f"\r\nName;Images\r\nMöbel €;{A}\r\n".encode(encoding)
    expected = bom + f"\r\nName;Images;{OUT}\r\nMöbel €;{A};{X}\r\n".encode(encoding)
    assert write(sheet) == expected


def test_errors_are_written_in_what_the_encoding_has() -> None:
    reader, rows = good(f"Name,Images\nMöbel,{A}\n".encode("cp1252"))
    assert reader.header is not None
    writer = SheetWriter(reader.header, reader.dialect, "keep-url", errors_column=True)
    assert writer.row(rows[0], [""], ["“x” → y"]).decode("cp1252") == f"Möbel,{A},{A},1: “x” ? y\n"


def test_outputs_must_be_as_many_as_urls() -> None:
    reader, rows = good(f"Images\n{A}\n")
    assert reader.header is not None
    writer = SheetWriter(reader.header, reader.dialect, "empty", errors_column=False)
    with pytest.raises(ValueError, match="zip"):
        writer.row(rows[0], [])


def test_an_output_with_delimiter_or_quote_is_quoted() -> None:
    reader, rows = good(f"Images,x\n{A},\n", Rules())
    assert reader.header is not None
    writer = SheetWriter(reader.header, reader.dialect, "empty", errors_column=False)
    assert writer.row(rows[0], ['a"b']) == f'{A},,"a""b"\n'.encode()
    assert writer.row(rows[0], ["a,b"]) == f'{A},,"a,b"\n'.encode()
