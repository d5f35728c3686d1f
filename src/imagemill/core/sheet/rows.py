"""Records to rows: what a row says under its header, and whether it may say so."""

from __future__ import annotations

from itertools import chain

import msgspec

from imagemill.core.addresses import web_url
from imagemill.core.sheet import urls
from imagemill.core.sheet.faults import Faults, shown
from imagemill.core.sheet.header import TITLES, Header
from imagemill.core.sheet.rules import Rules


class Row(msgspec.Struct, gc=False):
    """One line of a sheet. `raw` is its text without `end`, `number` counts as a spreadsheet does.

    `urls` are canonical, `urls_raw` the same ones as written; `spilled` is how many cells right of the input column
    belong to its list, which was not quoted. `serial` is the row's number where the sheet has no such column.
    """

    number: int
    raw: str
    end: str
    fields: list[str]
    serial: str
    product: str
    urls: list[str]
    urls_raw: list[str]
    is_blank: bool = False
    spilled: int = 0


class RowParser:
    """Makes rows of records, adds faults and warnings, counts the rows that are not blank and their addresses."""

    def __init__(self, header: Header, rules: Rules, faults: Faults, warnings: Faults) -> None:
        self.row_count = 0
        self.url_count = 0
        self.header = header
        self._rules = rules
        self._split = urls.split if rules.has_lists else _alone
        self._faults = faults
        self._warnings = warnings
        self._width = len(header.names)
        roles = dict.fromkeys((*(role for role in rules.required if role != "input"), *rules.require_values))
        self._required = [(role, index) for role in roles if (index := header.index(role)) is not None]

    def parse(self, number: int, raw: str, end: str, fields: list[str]) -> Row:
        header, count = self.header, len(fields)
        spilled = self._spilled(number, fields) if count > self._width else 0
        written = self._split(fields[header.input]) if header.input < count else []
        if spilled:
            written += chain.from_iterable(map(self._split, fields[header.input + 1 :][:spilled]))
        if not written and not any(map(str.strip, fields)):
            return Row(number, raw, end, fields, "", "", [], [], is_blank=True)
        self.row_count += 1
        self.url_count += len(written)
        serial = str(number) if header.serial is None else _text(fields, header.serial)
        product = "" if header.product is None else _text(fields, header.product)
        self._check(number, raw, fields, written)
        try:
            found = list(map(web_url, written))
        except ValueError:
            found, written = self._good(number, written)
        return Row(number, raw, end, fields, serial, product, found, written, spilled=spilled)

    def _spilled(self, number: int, fields: list[str]) -> int:
        header = self.header
        surplus = fields[header.input + 1 :][: len(fields) - self._width]
        # A sheet that we wrote has its lists quoted; there an address right of the input column is an output.
        spilled = urls.spilled(surplus) if header.output is None else 0
        if any(map(str.strip, fields[self._width + spilled :])):
            message = "the row has more cells than the header: those are kept, behind the output"
            self._warnings.add(header.fault(number, self._width, "surplus_cells", message))
        return spilled

    def _check(self, number: int, raw: str, fields: list[str], written: list[str]) -> None:
        """Add what is wrong with the row beside its addresses; empties `written` where those need no look any more."""
        rules, header = self._rules, self.header
        if self._required:
            self._require(number, fields, written)
        if not written and "input" not in rules.require_values:
            message = "the row names no image: its output stays empty"
            self._warnings.add(header.fault(number, header.input, "no_images_in_row", message))
        if len(written) > rules.max_urls_per_cell:
            message = f"the cell has {len(written)} addresses, {rules.max_urls_per_cell} are allowed: use several rows"
            self._faults.add(header.fault(number, header.input, "too_many_urls_in_cell", message))
            written.clear()
        if len(raw) > rules.max_cell_chars:
            self._check_lengths(number, fields, written)

    def _require(self, number: int, fields: list[str], written: list[str]) -> None:
        for role, index in self._required:
            if not (written if role == "input" else _text(fields, index)):
                message = f"the cell is empty: fill in the column “{TITLES[role]}”"
                self._faults.add(self.header.fault(number, index, "missing_value", message))

    def _check_lengths(self, number: int, fields: list[str], written: list[str]) -> None:
        limit = self._rules.max_cell_chars
        for index, field in enumerate(fields):
            if len(field) > limit:
                message = f"the cell has {len(field)} characters, {limit} are allowed: shorten it"
                self._faults.add(self.header.fault(number, index, "cell_too_long", message))
                written.clear()

    def _good(self, number: int, written: list[str]) -> tuple[list[str], list[str]]:
        """Return the acceptable addresses, canonical and as written; each other one is a fault."""
        found, kept = [], []
        for url in written:
            try:
                found.append(web_url(url))
            except ValueError as reason:
                message = f"“{shown(url)}” cannot be fetched: {reason}"
                self._faults.add(self.header.fault(number, self.header.input, "bad_url", message))
            else:
                kept.append(url)
        return found, kept


def _alone(cell: str) -> list[str]:
    text = cell.strip()
    return [text] if text else []


def _text(fields: list[str], index: int) -> str:
    return fields[index].strip() if index < len(fields) else ""
