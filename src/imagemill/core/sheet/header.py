"""The header line: which column plays which part, and under which delimiter it makes sense at all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from imagemill.core.sheet.encoding import DAMAGE
from imagemill.core.sheet.faults import Fault, shown
from imagemill.core.sheet.rules import Rules
from imagemill.core.sheet.urls import begins_like_an_address

HEADER_ROW: Final = 1
MAX_COLUMNS: Final = 16_384
"""Excel's own limit. Short rows are filled up to the header's width, so that width needs a bound."""

# Normalised spellings, the preferred ones first (SHEETS.md).
_SERIAL: Final = ("sno", "serialnumber", "serialno", "srno", "slno", "id")
_PRODUCT: Final = ("productname", "product", "name", "title", "sku")
_INPUT: Final = (
    "inputimageurls",
    "inputimageurl",
    "inputurls",
    "inputurl",
    "inputimages",
    "imageurls",
    "imageurl",
    "images",
    "urls",
    "url",
)
_OUTPUT: Final = ("outputimageurls", "outputimageurl")
_ERRORS: Final = ("imageerrors",)

TITLES: Final = {
    "serial": "S. No.",
    "product": "Product Name",
    "input": "Input Image Urls",
    "output": "Output Image Urls",
    "errors": "Image Errors",
}
"""The canonical name of each role's column."""

_NUMBER: Final = re.compile(r"#([1-9][0-9]{0,4})", re.ASCII)
_MOST_NAMED: Final = 20


class Header(msgspec.Struct, frozen=True):
    """The names as written, trimmed, and the index of each role's column (None: there is none)."""

    raw: str
    end: str
    names: tuple[str, ...]
    input: int
    serial: int | None = None
    product: int | None = None
    output: int | None = None
    errors: int | None = None

    def index(self, role: str) -> int | None:
        return {"serial": self.serial, "product": self.product, "input": self.input}[role]

    def fault(self, row: int, index: int, code: str, message: str) -> Fault:
        """Return a fault in the cell of column `index` (from 0)."""
        name = self.names[index] if index < len(self.names) else ""
        return Fault(row, index + 1, shown(name), code, message)


def normalised(name: str) -> str:
    """Return the letters and digits of a column's name, in lower case."""
    return "".join(char for char in name.lower() if char.isalnum())


def aliases(rules: Rules) -> dict[str, tuple[str, ...]]:
    """Return the spellings of each role. What the settings add is preferred: somebody meant it."""
    return {
        "input": (*map(normalised, rules.input_aliases), *_INPUT),
        "serial": (*map(normalised, rules.serial_aliases), *_SERIAL),
        "product": (*map(normalised, rules.product_aliases), *_PRODUCT),
        "output": _OUTPUT,
        "errors": _ERRORS,
    }


def header_of(raw: str, end: str, fields: list[str], rules: Rules) -> tuple[Header | None, list[Fault]]:
    """Return the header, None where there is no column to read addresses from, and what is wrong with it."""
    names = names_of(fields)
    if len(names) > MAX_COLUMNS:
        message = f"the sheet has {len(names)} columns, {MAX_COLUMNS} are allowed: remove some"
        return None, [Fault(HEADER_ROW, MAX_COLUMNS + 1, shown(names[MAX_COLUMNS]), "too_many_columns", message)]
    columns = _columns(names, rules)
    faults = [
        *_damaged(names),
        *_missing(names, columns, rules),
        *_duplicated(names, columns, rules),
        *_unnamed(names, columns["input"], rules),
    ]
    index = columns["input"]
    if index is None:
        return None, faults
    places = (columns[role] for role in ("serial", "product", "output", "errors"))
    return Header(raw, end, names, index, *places), faults


def names_of(fields: list[str]) -> tuple[str, ...]:
    """Return the names of columns as people read them."""
    return tuple(field.strip().strip('"\ufeff').strip() for field in fields)


def _columns(names: tuple[str, ...], rules: Rules) -> dict[str, int | None]:
    spellings = [normalised(name) for name in names]
    columns: dict[str, int | None] = {}
    if rules.input_column is not None:
        columns["input"] = chosen(names, rules.input_column)
    for role, known in aliases(rules).items():
        if role in columns:
            continue
        free = (alias for alias in known if alias in spellings and spellings.index(alias) not in columns.values())
        alias = next(free, None)
        columns[role] = None if alias is None else spellings.index(alias)
    return columns


def chosen(names: tuple[str, ...], column: str) -> int | None:
    """Return the index of the column that is meant: called so, or `#3` for the third, or called so but for the rest."""
    if column in names:
        return names.index(column)
    if number := _NUMBER.fullmatch(column):
        index = int(number[1]) - 1
        return index if index < len(names) else None
    spellings = [normalised(name) for name in names]
    return spellings.index(normalised(column)) if normalised(column) and normalised(column) in spellings else None


def _damaged(names: tuple[str, ...]) -> Iterator[Fault]:
    for index, name in enumerate(names):
        if DAMAGE.search(name):
            yield bad_encoding(HEADER_ROW, index, name)


def bad_encoding(row: int, index: int, column_name: str) -> Fault:
    message = "the cell contains bytes that are no text in the sheet's encoding: save the sheet as CSV UTF-8"
    return Fault(row, index + 1, shown(column_name), "bad_encoding", message)


def _missing(names: tuple[str, ...], columns: dict[str, int | None], rules: Rules) -> Iterator[Fault]:
    missing = (role for role in dict.fromkeys((*rules.required, "input")) if columns[role] is None)
    for position, role in enumerate(missing, start=len(names) + 1):
        if role == "input" and rules.input_column is not None:
            message = _not_there(names, rules.input_column)
            yield Fault(HEADER_ROW, position, shown(rules.input_column), "missing_column", message)
            continue
        accepted = ", ".join(dict.fromkeys(aliases(rules)[role]))
        what = "the first row must name the columns, and none is called" if role == "input" else "no column is called"
        message = f"{what} “{TITLES[role]}”: add it, or rename one (letters and digits count: {accepted})"
        yield Fault(HEADER_ROW, position, TITLES[role], "missing_column", message)


def _not_there(names: tuple[str, ...], column: str) -> str:
    there = ", ".join(f"“{shown(name)}”" for name in names[:_MOST_NAMED])
    more = " and others" if len(names) > _MOST_NAMED else ""
    return f"no column is called “{shown(column)}”; there are {there}{more}: choose one, or say its number, like #2"


def _unnamed(names: tuple[str, ...], index: int | None, rules: Rules) -> Iterator[Fault]:
    """Yield the fault of a first row that is no header: its links would be lost without a word."""
    if index is not None and rules.input_column is not None and begins_like_an_address(names[index]):
        message = "this row has an address in it already: write a row above it that names the columns"
        yield Fault(HEADER_ROW, index + 1, shown(names[index]), "missing_column", message)


def _duplicated(names: tuple[str, ...], columns: dict[str, int | None], rules: Rules) -> Iterator[Fault]:
    spellings = [normalised(name) for name in names]
    for role, index in columns.items():
        is_numbered = role == "input" and _NUMBER.fullmatch(rules.input_column or "")
        if index is None or is_numbered:
            continue
        for other in range(index + 1, len(names)):
            if spellings[other] == spellings[index]:
                message = f"column {index + 1} has the same name: remove or rename one of the two"
                yield Fault(HEADER_ROW, other + 1, shown(names[other]), "duplicate_column", message)


def has_input_column(fields: list[str], rules: Rules) -> bool:
    if rules.input_column is not None:
        return chosen(names_of(fields), rules.input_column) is not None
    known = aliases(rules)["input"]
    return any(normalised(field) in known for field in fields)


def duplicate_serial_fault(row: int, first_row: int, header: Header, value: str) -> Fault:
    """Return the fault of a serial that stood in `first_row` already; the reader has no index to find it by."""
    index = 0 if header.serial is None else header.serial
    message = f"“{shown(value)}” stands in row {first_row} already: give each row its own"
    return header.fault(row, index, "duplicate_serial", message)
