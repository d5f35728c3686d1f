"""What is shown of a sheet that is checked: its columns and the parts they play, its first rows, some faulty ones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, TypeAlias, get_args

import msgspec

from imagemill.core.sheet.faults import shown
from imagemill.core.sheet.header import Header
from imagemill.core.sheet.reader import SheetReader
from imagemill.core.sheet.rows import Row
from imagemill.core.sheet.rules import Rules
from imagemill.core.sheet.urls import EDGES, begins_like_an_address

FIRST_ROWS: Final = 12
FAULTY_ROWS: Final = 20
MOST_COLUMNS: Final = 128

Role: TypeAlias = Literal["input", "serial", "product", "output", "errors"]


class Column(msgspec.Struct, frozen=True):
    """A column, counted from 1; the part it plays, and in how many of the rows shown an address stands in it."""

    number: int
    name: str
    role: Role | None
    addresses: int


class ShownRow(msgspec.Struct, frozen=True):
    """A row as it is shown: a cell for each column shown, shortened. `row` counts as a spreadsheet does."""

    row: int
    cells: list[str]


class Glance(msgspec.Struct, frozen=True):
    """Columns and rows of a sheet to show, in order; of very wide sheets the first columns, and those that matter."""

    columns: list[Column]
    rows: list[ShownRow]


class Glimpse:
    """Keeps the rows to show while a sheet is read: hand it what the reader returns, then ask for the `glance`."""

    def __init__(self, reader: SheetReader) -> None:
        self._reader = reader
        self._first: list[ShownRow] = []
        self._faulty: list[ShownRow] = []
        self._faults_seen = 0

    def take(self, rows: Iterable[Row]) -> None:
        header, listed = self._reader.header, self._reader.faults.listed
        is_news = len(listed) > self._faults_seen and len(self._faulty) < FAULTY_ROWS
        if header is None or not (is_news or len(self._first) < FIRST_ROWS):
            return
        faulty = {fault.row for fault in listed[self._faults_seen :]}
        self._faults_seen = len(listed)
        for row in rows:
            if len(self._first) < FIRST_ROWS and not row.is_blank:
                self._first.append(_shown(row, header))
            elif row.number in faulty and len(self._faulty) < FAULTY_ROWS:
                self._faulty.append(_shown(row, header))

    def glance(self, *, is_recognised: bool = True) -> Glance:
        """Return what to show; with `is_recognised` false the input column is not known."""
        header = self._reader.header
        if header is None:
            return Glance([], [])
        rows = [*self._first, *self._faulty]
        roles = {index: role for role in get_args(Role) if (index := getattr(header, role)) is not None}
        if not is_recognised:
            del roles[header.input]
        columns = [
            Column(index + 1, shown(header.names[index]), roles.get(index), _addresses(rows, place))
            for place, index in enumerate(_indices(header))
        ]
        return Glance(columns, rows)


def unrecognised(head: bytes, rules: Rules) -> Glance:
    """Return what to show of a sheet that begins so, and in which no column was recognised as the input column."""
    reader = SheetReader(msgspec.structs.replace(rules, required=(), input_column="#1"))
    glimpse = Glimpse(reader)
    glimpse.take([*reader.feed(head), *reader.close()])
    return glimpse.glance(is_recognised=False)


def _indices(header: Header) -> list[int]:
    matter = (header.input, header.serial, header.product, header.output)
    beyond = {index for index in matter if index is not None and index >= MOST_COLUMNS}
    return [*range(min(MOST_COLUMNS, len(header.names))), *sorted(beyond)]


def _shown(row: Row, header: Header) -> ShownRow:
    fields = row.fields
    if row.spilled:
        start = header.input
        fields = [*fields[:start], ", ".join(row.urls_raw), *fields[start + 1 + row.spilled :]]
    cells = [shown(fields[index]) if index < len(fields) else "" for index in _indices(header)]
    return ShownRow(row.number, cells)


def _addresses(rows: list[ShownRow], place: int) -> int:
    return sum(begins_like_an_address(row.cells[place].strip(EDGES)) for row in rows)
