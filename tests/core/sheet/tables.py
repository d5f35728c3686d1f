"""Short ways to read and write a sheet in a test."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Literal

from imagemill.core.sheet import Row, Rules, SheetReader, SheetWriter

A, B, C = (f"https://a.example/{name}.jpg" for name in "123")
HEAD = "S. No.,Product Name,Input Image Urls\n"


def chunks(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def read(data: bytes | str, rules: Rules | None = None, size: int = 1 << 16) -> tuple[SheetReader, list[Row]]:
    """Read a whole sheet, in chunks of `size` bytes."""
    data = data.encode() if isinstance(data, str) else data
    reader = SheetReader(rules or Rules())
    rows = [row for chunk in chunks(data, size) for row in reader.feed(chunk)]
    return reader, rows + reader.close()


def good(data: bytes | str, rules: Rules | None = None) -> tuple[SheetReader, list[Row]]:
    reader, rows = read(data, rules)
    assert reader.faults.listed == []
    return reader, rows


def urls(data: bytes | str, rules: Rules | None = None) -> list[list[str]]:
    """The addresses of each row that is not blank."""
    return [row.urls for row in good(data, rules)[1] if not row.is_blank]


def faults(data: bytes | str, rules: Rules | None = None) -> list[tuple[int, int, str]]:
    reader, _ = read(data, rules)
    assert reader.faults.total == len(reader.faults.listed) == len(reader.faults)
    return [(fault.row, fault.column, fault.code) for fault in reader.faults]


def output_of(url: str) -> str:
    return "https://out.example/" + url.rpartition("/")[2]


def write(
    data: bytes | str,
    *,
    failed: Iterable[str] = (),
    on_failure: Literal["keep-url", "empty"] = "keep-url",
    errors_column: bool = False,
    rules: Rules | None = None,
) -> bytes:
    """The output sheet, in which each address got its `output_of` but for the `failed` ones."""
    reader, rows = good(data, rules)
    assert reader.header is not None
    writer = SheetWriter(reader.header, reader.dialect, on_failure, errors_column=errors_column)
    lost = set(failed)
    lines = [writer.head()]
    for row in rows:
        outputs = ["" if url in lost else output_of(url) for url in row.urls]
        errors = ["not there" if url in lost else "" for url in row.urls]
        lines.append(writer.row(row, outputs, errors if writer.writes_errors else ()))
    return b"".join(lines)


def table(data: bytes, encoding: str = "utf-8-sig", delimiter: str = ",") -> list[list[str]]:
    """A sheet as Python's own reader sees it."""
    return list(csv.reader(io.StringIO(data.decode(encoding), newline=""), delimiter=delimiter))
