"""The real shop's sheet, plain and as the shop's own export."""

from __future__ import annotations

import subprocess
import sys

import pytest

from imagemill.core.sheet import Rules
from tests.core.sheet.tables import output_of, read, table, write
from tests.places import SHARED, needs_shared

BASE = "https://origin.example"


@needs_shared
@pytest.mark.parametrize(("flags", "columns"), [([], 3), (["--export"], 53)])
def test_shop(flags: list[str], columns: int) -> None:
    script = SHARED / "corpus" / "shop.py"
    sheet = subprocess.run([sys.executable, script, BASE, *flags], capture_output=True, check=True).stdout
    reader, rows = read(sheet, size=10_000)
    urls = [url for row in rows for url in row.urls]
    assert reader.faults.listed == []
    assert (len(urls), len(set(urls)), reader.urls) == (3408, 714, 3408)
    assert reader.header is not None
    assert (len(reader.header.names), reader.rows) == (columns, 2038)

    before, after = table(sheet), table(write(sheet))
    assert [line[:columns] for line in after] == before
    assert {len(line) for line in after} == {columns + 1}
    assert [url for line in after[1:] for url in line[-1].split(",") if url] == list(map(output_of, urls))
    assert reader.header.names[reader.header.input] == ("Images" if flags else "Input Image Urls")
    assert read(sheet, Rules(), size=1 << 20)[1] == rows
