"""Rows to bytes: the sheet as it was, with one column more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from imagemill.core.sheet import urls
from imagemill.core.sheet.dialect import Dialect, Grammar
from imagemill.core.sheet.header import TITLES, Header
from imagemill.core.sheet.rows import Row


class SheetWriter:
    """`head`, then each row of the sheet in turn. A row's own text is copied; only what must change is rewritten.

    Outputs stand under `Output Image Urls`, errors under `Image Errors`: in the columns of these names if the sheet
    has them, else behind the last one. `writes_errors` says whether errors are asked for: an old column of errors is
    never left standing beside new outputs.
    """

    def __init__(
        self, header: Header, dialect: Dialect, on_failure: Literal["keep-url", "empty"], *, errors_column: bool
    ) -> None:
        self.writes_errors = errors_column or header.errors is not None
        self._header = header
        self._dialect = dialect
        self._keeps_url = on_failure == "keep-url"
        self._grammar = Grammar(dialect.delimiter)
        self._width = len(header.names)
        self._quotes_input = self._grammar.quotes_cell(header.input)
        self._places = [header.output, header.errors] if self.writes_errors else [header.output]
        self._only_appends = not any(place is not None for place in self._places)

    def head(self) -> bytes:
        """Return everything up to the first row."""
        header, grammar = self._header, self._grammar
        cells = grammar.cells(header.raw)
        always = self._quotes_input(header.raw) is not None
        titles = [TITLES["output"], TITLES["errors"]][: len(self._places)]
        kept = zip(titles, self._places, strict=True)
        new = [grammar.quoted(title, always=always) if place is None else cells[place] for title, place in kept]
        text = self._dialect.preamble + self._aligned(cells, new) + header.end
        return self._dialect.bom + text.encode(self._dialect.encoding)

    def row(self, row: Row, outputs: Sequence[str], errors: Sequence[str] = ()) -> bytes:
        """Return the row with its outputs, one for each of its `urls` ("" for a failed one), and their errors."""
        if row.is_blank and len(row.fields) == 1:
            return (row.raw + row.end).encode(self._dialect.encoding)
        cells = [self._outputs(row, outputs)]
        if self.writes_errors:
            cells.append(self._errors(errors))
        grammar = self._grammar
        always = '"' in row.raw and self._quotes_input(row.raw) is not None
        new = [grammar.quoted(cell, always=always) for cell in cells]
        if self._only_appends and not row.spilled and len(row.fields) == self._width:
            text = grammar.delimiter.join((row.raw, *new))
        else:
            text = self._aligned(self._cells(row), new)
        return (text + row.end).encode(self._dialect.encoding)

    def _outputs(self, row: Row, outputs: Sequence[str]) -> str:
        written = row.urls_raw if self._keeps_url else [""] * len(row.urls_raw)
        places = [output or url for output, url in zip(outputs, written, strict=True)]
        return self._separator(row).join(places) if len(places) > 1 else "".join(places)

    def _separator(self, row: Row) -> str:
        """Return what joins the row's addresses: what the row itself uses first."""
        first, *others = row.fields[self._header.input : self._header.input + 1 + row.spilled]
        if not others:
            return urls.separator(first, row.urls_raw[0])
        delimiter = self._grammar.delimiter
        return (delimiter if delimiter in ",;|" else ",") + " " * others[0].startswith(" ")

    def _errors(self, errors: Sequence[str]) -> str:
        """Number the errors by the place of their address, in what the sheet's encoding can write."""
        text = "; ".join(f"{place}: {error}" for place, error in enumerate(errors, start=1) if error)
        return text.encode(self._dialect.encoding, "replace").decode(self._dialect.encoding)

    def _cells(self, row: Row) -> list[str]:
        """Return the row's cells as written, but a list that was not quoted as one quoted cell."""
        cells = self._grammar.cells(row.raw)
        if row.spilled:
            start = self._header.input
            joined = self._separator(row).join(row.urls_raw)
            cells[start : start + 1 + row.spilled] = [self._grammar.quoted(joined, always=True)]
        return cells

    def _aligned(self, cells: list[str], new: list[str]) -> str:
        """Return a row of `cells` with the `new` ones in their places, under the header."""
        cells += [""] * (self._width - len(cells))
        end = self._width
        for place, cell in zip(self._places, new, strict=True):
            if place is None:
                cells.insert(end, cell)
                end += 1
            else:
                cells[place] = cell
        return self._grammar.delimiter.join(cells)
