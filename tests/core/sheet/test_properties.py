"""What holds for every sheet: chunks do not matter, the output is the sheet and one column, bytes end in faults."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st

from imagemill.core.sheet import Fault, Row, Rules
from tests.core.sheet.tables import HEAD, A, B, C, read, table, write

SMALL = Rules(max_rows=6, max_urls_per_cell=2, max_cell_chars=60, required=("input", "serial"))

encodings = st.sampled_from(
    [("utf-8", b""), ("utf-8-sig", b""), ("utf-16-le", b"\xff\xfe"), ("utf-16-be", b"\xfe\xff")]
)
# Without CR: Python's writer does not quote it.
words = st.text(st.sampled_from("ab,;|\t\"'\n =é€😀"), max_size=6)
lists = st.builds(
    lambda urls, between: between.join(urls),
    st.lists(st.sampled_from([A, B, C, "https://a.example/w_8,h_8/ä b.png"]), max_size=4),
    st.sampled_from([",", ", ", ";", "|", "\n", " ;\n"]),
)
pieces = st.sampled_from(
    ['"', ",", ";", "\n", "\r", "\r\n", "\0", "a", " ", A, "ftp://x", "\xe9", "€", "ID", "Images\n", HEAD]
)
soup = st.lists(pieces, max_size=30).map("".join)


@st.composite
def sheets(draw: st.DrawFn) -> tuple[bytes, str, str, list[list[str]]]:
    """A valid sheet of a random dialect: its bytes, encoding, delimiter, and its cells."""
    encoding, bom = draw(encodings)
    delimiter = draw(st.sampled_from([",", ";", "\t", "|"]))
    names = draw(st.permutations(["S. No.", "Product Name", "Input Image Urls", "Colour, or ; none"]))
    place = names.index("Input Image Urls")
    rows = draw(st.lists(st.tuples(words, words, words, lists), max_size=6))
    cells = [[*row[:place], row[3], *row[place:3]] for row in [*rows, ("1", "x", "é", A)]]
    text = io.StringIO(newline="")
    end = draw(st.sampled_from(["\n", "\r\n"]))
    dialect = draw(st.sampled_from(["excel", "unix"]))  # unix quotes every cell
    csv.writer(text, dialect, delimiter=delimiter, lineterminator=end).writerows([names, *cells])
    written = text.getvalue()
    data = bom + (written[: -len(end)] if draw(st.booleans()) else written).encode(encoding)
    return data, "utf-16" if "16" in encoding else "utf-8-sig", delimiter, [list(names), *cells]


def everything(
    data: bytes, sizes: Iterable[int], rules: Rules
) -> list[tuple[list[Row], list[Fault], list[Fault], int]]:
    read_in = (read(data, rules, size) for size in sizes)
    return [(rows, reader.faults.listed, reader.warnings.listed, reader.rows) for reader, rows in read_in]


@given(soup, encodings, st.binary(max_size=4), st.integers(1, 40))
def test_chunks_do_not_matter(text: str, encoding: tuple[str, bytes], tail: bytes, size: int) -> None:
    data = encoding[1] + text.encode(encoding[0]) + tail
    first, *others = everything(data, (1 << 16, 1, size), SMALL)
    assert others == [first, first]


@given(st.binary(max_size=60), st.booleans())
def test_any_bytes_end_in_rows_or_faults(data: bytes, after_a_header: bool) -> None:
    reader, rows = read(HEAD.encode() * after_a_header + data)
    assert reader.faults or rows
    if not reader.faults:
        write(HEAD.encode() * after_a_header + data)


@given(soup)
def test_any_text_that_is_read_is_written(text: str) -> None:
    data = f"{HEAD}1,x,{A}\n{text}".encode()
    reader, rows = read(data)
    if not reader.faults:
        cells = list(csv.reader(io.StringIO(data.decode(), newline="")))[1:]
        assert [[] if row.raw == "" else row.fields for row in rows] == cells
        output = write(data).decode()
        assert "".join(row.raw + row.end for row in rows) == data.decode()[len(HEAD) :]
        assert read(output)[0].faults.listed == []
        assert [row.number for row in read(output)[1]] == [row.number for row in rows]


@settings(max_examples=200)
@given(sheets())
def test_the_output_is_the_sheet_and_one_column(sheet: tuple[bytes, str, str, list[list[str]]]) -> None:
    data, encoding, delimiter, cells = sheet
    reader, rows = read(data)
    assert reader.faults.listed == []
    assert [row.fields for row in rows] == cells[1:]
    output = write(data)
    lines = table(output, encoding, delimiter)
    assert [line[:-1] for line in lines] == cells
    assert {len(line) for line in lines} == {5}
    written = output.removeprefix(reader.dialect.bom).decode(reader.dialect.encoding)
    for row in rows:
        _, found, written = written.partition(row.raw + delimiter)
        assert found
    for row, line in zip(rows, lines[1:], strict=True):
        assert line[-1].count("out.example") == len(row.urls)

    again = write(output)
    assert table(again, encoding, delimiter) == lines
    assert write(again) == again
