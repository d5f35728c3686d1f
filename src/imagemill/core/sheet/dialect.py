"""How a sheet is written down, and the grammar of its records (RFC 4180, read as leniently as spreadsheets do)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import msgspec

DELIMITERS: Final = (",", ";", "\t", "|")

_QUOTED: Final = re.compile(r'"([^"]*+(?:""[^"]*+)*+)"(.*)', re.DOTALL)
_LEFT_OPEN: Final = re.compile(r'"[^"]*+(?:""[^"]*+)*+\Z')
_TO_THE_CLOSING_QUOTE: Final = re.compile(r'[^"]*+(?:""[^"]*+)*+"')


class Dialect(msgspec.Struct, frozen=True):
    """What the output shares with its sheet. `preamble` is what stands before the header: blank lines and `sep=`."""

    encoding: str
    bom: bytes
    delimiter: str
    preamble: str = ""


class Grammar:
    """Records under one delimiter. A quote opens a cell only at its beginning; text after the closing one is kept.

    All patterns are possessive: no input makes them take more than linear time.
    """

    def __init__(self, delimiter: str) -> None:
        self.delimiter = delimiter
        self._mark = mark = re.escape(delimiter)
        self._cell = cell = rf'(?:"[^"]*+(?:""[^"]*+)*+"[^{mark}]*+|[^"{mark}][^{mark}]*+|)'
        self._record = re.compile(f"{cell}(?:{mark}{cell})*+")
        self._record_rest = re.compile(f"[^{mark}]*+(?:{mark}{cell})*+")
        # Here a quote that stays open takes the rest: it is always in the last cell.
        self._cells = re.compile(f"{mark}({_LEFT_OPEN.pattern}|{cell})").findall

    def is_open(self, line: str, *, was_open: bool) -> bool:
        """Say whether a quoted cell goes on after `line`; `was_open`: one went on into it."""
        pattern, start = self._record, 0
        if was_open:
            closing = _TO_THE_CLOSING_QUOTE.match(line)
            if closing is None:
                return True
            pattern, start = self._record_rest, closing.end()
        match = pattern.match(line, start)
        return match is None or match.end() < len(line)

    def cells(self, raw: str) -> list[str]:
        """Return the cells of a record as they are written, quotes included."""
        if '"' not in raw:
            return raw.split(self.delimiter)
        cells: list[str] = self._cells(self.delimiter + raw)
        return cells

    def fields(self, raw: str) -> list[str] | None:
        """Return the cells of a record as they are meant; None where the last one goes on after it."""
        cells = self.cells(raw)
        if _LEFT_OPEN.match(cells[-1]):
            return None
        return [_unquoted(cell) if cell[:1] == '"' else cell for cell in cells]

    def has_stray_text(self, raw: str) -> bool:
        """Say whether something follows a closing quote: then that was rather an opening one."""
        matches = (_QUOTED.fullmatch(cell) for cell in self.cells(raw))
        return any(match and match[2].strip() for match in matches)

    def quotes_cell(self, index: int) -> Callable[[str], object]:
        """Return what tells of a record's text whether it quotes the cell at `index` (from 0)."""
        return re.compile(rf'(?:{self._cell}{self._mark}){{{index}}}"').match

    def quoted(self, text: str, *, always: bool) -> str:
        """Return `text` as a cell, quoted where it must be, or `always`."""
        if always or self.delimiter in text or '"' in text or "\n" in text or "\r" in text:
            return '"' + text.replace('"', '""') + '"'
        return text


def _unquoted(cell: str) -> str:
    inner = cell[1:-1]
    if cell[-1] == '"' and '"' not in inner:
        return inner
    match = _QUOTED.fullmatch(cell)
    return match[1].replace('""', '"') + match[2] if match else cell
