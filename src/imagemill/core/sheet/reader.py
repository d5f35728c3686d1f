"""The push parser: bytes in, rows out, every fault listed. It reads no file and waits for nobody (sans-IO)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from imagemill.core.sheet.dialect import Dialect
from imagemill.core.sheet.encoding import BINARY_REFUSED, DAMAGE, Decoder
from imagemill.core.sheet.faults import Fault, Faults, shown
from imagemill.core.sheet.header import HEADER_ROW, Header, bad_encoding, header_of, names_of
from imagemill.core.sheet.lines import Lines
from imagemill.core.sheet.opening import Opening
from imagemill.core.sheet.records import Record, Records
from imagemill.core.sheet.rows import Row, RowParser
from imagemill.core.sheet.rules import Rules


class SheetReader:
    """`feed` chunks of any size, then `close`; both return rows. A sheet with `faults` is refused (`SheetError`).

    After a fault it reads on to find the others: rows of a refused sheet are returned without their bad addresses, and
    not at all where they cannot be read. Kept in memory: one chunk, one record, 1,000 faults and 1,000 warnings.
    """

    def __init__(self, rules: Rules) -> None:
        self.header: Header | None = None
        self.faults = Faults()
        self.warnings = Faults()
        self._rules = rules
        self._decoder = Decoder()
        self._lines = Lines(rules.max_record_chars)
        self._opening = Opening(rules)
        self._records = Records(self._opening.grammar, rules.max_record_chars)
        self._parser: RowParser | None = None
        self._number = HEADER_ROW
        self._has_unread_rows = False
        self._is_over = False

    @property
    def dialect(self) -> Dialect:
        """The dialect as far as it is known; for good after `close`."""
        opening = self._opening
        return Dialect(self._decoder.encoding, self._decoder.bom, opening.grammar.delimiter, opening.preamble)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the first row, also where they are refused."""
        return names_of(self._opening.fields)

    @property
    def rows(self) -> int:
        """How many rows were read, without the header and blank ones."""
        return self._parser.row_count if self._parser else 0

    @property
    def urls(self) -> int:
        """How many addresses were read, each place counted."""
        return self._parser.url_count if self._parser else 0

    def feed(self, data: bytes) -> list[Row]:
        if self._is_over:
            return []
        rows = self._read(self._lines.feed(self._decoder.feed(data)))
        self._refuse_what_is_no_text()
        return rows

    def close(self) -> list[Row]:
        rows = self._read(self._lines.feed(self._decoder.close()))
        self._refuse_what_is_no_text()
        rows += self._read(self._lines.close())
        if self._parser and not self._is_over:
            rows += self._parsed(self._records.close(), self._parser)
        self._judge_the_whole()
        self._is_over = True
        return rows

    def _read(self, lines: list[str]) -> list[Row]:
        remaining = iter(lines)
        if self._parser is None and not self._is_over:
            self._open_with(remaining)
        if self._parser is None or self._is_over:
            return []
        return self._parsed(self._records.feed(remaining), self._parser)

    def _open_with(self, lines: Iterator[str]) -> None:
        for line in lines:
            if self._opening.take(line):
                self._begin()
                return

    def _begin(self) -> None:
        opening = self._opening
        if not opening.is_found and opening.open_column:
            self._stop(self._unterminated(HEADER_ROW, opening.open_column))
        elif not opening.fields:
            self._stop(Fault(HEADER_ROW, 1, "", "empty_sheet", "the sheet is empty: send one with a header and rows"))
        else:
            self.header, faults = header_of(opening.raw, opening.end, opening.fields, self._rules)
            for fault in faults:
                self.faults.add(fault)
            if self.header is None:
                self._is_over = True
                return
            self._records = Records(opening.grammar, self._rules.max_record_chars)
            self._parser = RowParser(self.header, self._rules, self.faults, self.warnings)

    def _parsed(self, records: Iterable[Record], parser: RowParser) -> list[Row]:
        rows: list[Row] = []
        for raw, end, fields in records:
            self._number += 1
            if fields is None or (self._decoder.is_damaged and DAMAGE.search(raw)):
                self._refuse_record(raw, fields)
            else:
                rows.append(parser.parse(self._number, raw, end, fields))
            if parser.row_count > self._rules.max_rows:
                message = f"the sheet has more than {self._rules.max_rows} rows: split it into several"
                self._stop(Fault(self._number, 1, "", "too_many_rows", message))
            if self._is_over:
                break
        return rows

    def _refuse_record(self, raw: str, fields: list[str] | None) -> None:
        """Add the faults of a record that cannot be read: its quote stays open, or it has undecodable bytes."""
        self._has_unread_rows = True
        if fields is None:
            self.faults.add(self._unterminated(self._number, len(self._opening.grammar.cells(raw))))
            self._is_over = self._records.is_lost
            return
        for index, field in enumerate(fields):
            if DAMAGE.search(field):
                name = self._names[index] if index < len(self._names) else ""
                self.faults.add(bad_encoding(self._number, index, name))

    def _unterminated(self, row: int, column: int) -> Fault:
        name = self._names[column - 1] if column <= len(self._names) else ""
        message = "the quote that opens in this cell is never closed: close it, or write a quote in a cell twice"
        return Fault(row, column, shown(name), "unterminated_quote", message)

    @property
    def _names(self) -> tuple[str, ...]:
        return self.header.names if self.header else ()

    def _refuse_what_is_no_text(self) -> None:
        row = self._number + 1 if self._parser else HEADER_ROW
        if self._decoder.refusal:
            self._stop(Fault(HEADER_ROW, 1, "", "not_a_table", self._decoder.refusal))
        elif self._lines.is_overlong and (column := self._records.open_column or self._opening.open_column):
            self._stop(self._unterminated(row, column))
        elif self._lines.is_overlong:
            message = f"the row has more than {self._rules.max_record_chars} characters: shorten it"
            self._stop(Fault(row, 1, "", "cell_too_long", message))
        elif self._lines.is_binary:
            self._stop(Fault(row, 1, "", "not_a_table", BINARY_REFUSED))

    def _judge_the_whole(self) -> None:
        if self._is_over:
            return
        if self._parser is None:
            self._begin()
        elif not self._has_unread_rows and not self._parser.row_count:
            self._stop(Fault(HEADER_ROW, 1, "", "empty_sheet", "the sheet has a header but no rows: add some"))
        elif not self._has_unread_rows and not self._parser.url_count:
            message = "no row of the sheet names an image: write their addresses into this column"
            self.faults.add(self._parser.header.fault(HEADER_ROW, self._parser.header.input, "no_images", message))

    def _stop(self, fault: Fault) -> None:
        """Add a fault after which nothing can be read."""
        if not self._is_over:
            self.faults.add(fault)
            self._is_over = True
