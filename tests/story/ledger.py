"""What a customer checks by eye, checked to the byte: the output sheet is the input sheet with one column more."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
import urllib.request
from collections.abc import Iterable, Mapping
from multiprocessing.pool import ThreadPool
from pathlib import Path

from PIL import Image

from tests.places import SHARED

SHOP = SHARED / "corpus" / "shop" / "images"
PRODUCTS = SHARED / "corpus" / "products"
HOSTILE = SHARED / "corpus" / "hostile"
CELLS = 3408
DISTINCT = 714


def shop_sheet(base: str, *flags: str) -> bytes:
    """The real shop's catalogue with its URLs under `base`."""
    command = [sys.executable, str(SHARED / "corpus" / "shop.py"), base, *flags]
    return subprocess.run(command, capture_output=True, check=True).stdout


def sheet(urls: Iterable[str], per_row: int = 1) -> bytes:
    """A canonical sheet of these URLs."""
    listed = list(urls)
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(["S. No.", "Product Name", "Input Image Urls"])
    for n, start in enumerate(range(0, len(listed), per_row), 1):
        table.writerow([n, f"Product {n}", ",".join(listed[start : start + per_row])])
    return text.getvalue().encode()


def pairs(given: bytes, returned: bytes, column: str = "Input Image Urls") -> list[tuple[str, str]]:
    """Return (input URL, output) place by place, after asserting that nothing else differs: rows, cells, order.

    Nothing differs when each record, as written, is the given one with one more cell before its line end.
    """
    before, after = _records(given.decode()), _records(returned.decode())
    assert len(before) == len(after)
    inputs = next(csv.reader(before[:1])).index(column)
    found: list[tuple[str, str]] = []
    for old, new in zip(before, after, strict=True):
        bare = old.rstrip("\r\n")
        assert new.startswith(bare + ","), f"{new!r} does not begin with {bare!r}"
        assert new.endswith(old[len(bare) :])
        urls, outputs = _list(old, inputs), _list(new, -1)
        assert len(urls) == len(outputs), f"{new!r} has {len(outputs)} outputs for {len(urls)} inputs"
        found += zip(urls, outputs, strict=True)
    assert found[0] == (column, "Output Image Urls")
    return found[1:]


def _list(record: str, cell: int) -> list[str]:
    text = next(csv.reader(io.StringIO(record, newline="")))[cell]
    return [part.strip() for part in text.split(",")] if text.strip() else []


def _records(text: str) -> list[str]:
    """The records as written, line ends included: a line end inside quotes does not end one."""
    found, open_quote = [""], False
    for line in io.StringIO(text, newline=""):
        found[-1] += line
        open_quote ^= line.count('"') % 2 == 1
        if not open_quote:
            found.append("")
    return found[:-1]


def head(sheet: bytes, rows: int) -> bytes:
    """The sheet's first rows, its header included."""
    return "".join(_records(sheet.decode())[:rows]).encode()


def mapping(placed: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return output by input URL, after asserting that equal inputs have equal outputs."""
    found: dict[str, str] = {}
    for given, output in placed:
        assert found.setdefault(given, output) == output
    return found


def names(outputs: Mapping[str, str]) -> dict[str, str]:
    """The outputs' file names: the same in every appliance, because they are made of content."""
    return {url: output.rpartition("/")[2] for url, output in outputs.items()}


def assert_pictures(outputs: Mapping[str, str], sources: Path) -> None:
    """Every output opens as an image, looks like its source in `sources` (by the URL's last part) and is not larger."""
    with ThreadPool(4) as pool:
        wrong = pool.starmap(_difference, [(url, output, sources) for url, output in outputs.items()])
    assert not any(wrong), [line for line in wrong if line][:5]


def _difference(url: str, output: str, sources: Path) -> str:
    original = sources / url.partition("?")[0].rpartition("/")[2]
    made = _opened(urllib.request.urlopen(output, timeout=60).read())
    given = _opened(original.read_bytes())
    if made[0] != given[0]:
        return f"{output}: {made[0]} of {url}: {given[0]}"
    worst = max(abs(a - b) for a, b in zip(made[1], given[1], strict=True))
    return f"{output} does not look like {url}: {worst}" if worst > 24 else ""


def _opened(data: bytes) -> tuple[tuple[int, int], bytes]:
    """Return the size and a 4 × 4 grey miniature; decoding at an eighth is enough to see that all of it is there."""
    with Image.open(io.BytesIO(data)) as picture:
        size = picture.size
        picture.draft("L", (64, 64))
        return size, picture.convert("L").resize((4, 4), Image.Resampling.BOX).tobytes()
