"""What is wrong with a sheet: faults with their place, counted in full and listed up to a limit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Final

import msgspec

from imagemill.core.errors import ImagemillError

MAX_LISTED: Final = 1_000
_MAX_SHOWN_CHARS: Final = 80
_USER_INFO: Final = re.compile(r"//[^/\\?#]*@")


FAULT_CODES: Final = (
    "bad_encoding",
    "bad_url",
    "cell_too_long",
    "duplicate_column",
    "duplicate_serial",
    "empty_sheet",
    "missing_column",
    "missing_value",
    "no_images",
    "no_images_in_row",
    "not_a_table",
    "surplus_cells",
    "too_many_columns",
    "too_many_rows",
    "too_many_urls_in_cell",
    "unterminated_quote",
)
FaultWord = Annotated[str, msgspec.Meta(extra_json_schema={"enum": list(FAULT_CODES)})]
"""A fault's code as it is told: one of these. A reader takes any, which may be of a later version."""


class Fault(msgspec.Struct, frozen=True):
    """One thing to correct. `row` 1 is the header line, `column` counts from 1; a missing column would be the next."""

    row: int
    column: int
    column_name: str
    code: FaultWord
    message: str


class Faults:
    """Keeps the first `MAX_LISTED` faults and counts them all."""

    __slots__ = ("listed", "total")

    def __init__(self) -> None:
        self.listed: list[Fault] = []
        self.total = 0

    def add(self, fault: Fault) -> None:
        self.total += 1
        if self.total <= MAX_LISTED:
            self.listed.append(fault)

    def __len__(self) -> int:
        return self.total

    def __iter__(self) -> Iterator[Fault]:
        return iter(self.listed)


class SheetError(ImagemillError):
    """The sheet is refused: `faults` are the first ones, `total` is how many there are; `names` is its header."""

    code = "invalid_sheet"

    def __init__(self, faults: Faults, names: tuple[str, ...] = ()) -> None:
        many = "1 fault: correct it" if faults.total == 1 else f"{faults.total} faults: correct them"
        super().__init__(f"the sheet has {many} and send it again")
        self.faults = faults.listed
        self.total = faults.total
        self.names = names


def shown(text: str) -> str:
    """Return text from a sheet as it may stand in a message: short, printable, without a password."""
    text = _USER_INFO.sub("//…@", text.strip())
    if len(text) > _MAX_SHOWN_CHARS:
        text = text[: _MAX_SHOWN_CHARS - 1] + "…"
    return "".join(char if char.isprintable() else " " for char in text)
