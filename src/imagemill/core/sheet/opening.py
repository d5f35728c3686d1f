"""The beginning of a sheet: blank lines, Excel's `sep=` line, the header; and from the header the delimiter."""

from __future__ import annotations

import re
from typing import Final

from imagemill.core.sheet.dialect import DELIMITERS, Grammar
from imagemill.core.sheet.header import has_input_column
from imagemill.core.sheet.rules import Rules

_SEP_LINE: Final = re.compile(r'"?sep=([^\w"\r\n])"?[\r\n]*', re.IGNORECASE)
_BLANKS: Final = ' \t\r\n\xa0"' + "".join(DELIMITERS)


class Opening:
    """Takes lines until the header record is complete; then `grammar`, `raw`, `end` and `fields` tell of it.

    Where a quote stands decides where the header ends, and that depends on the delimiter: so each delimiter reads its
    own header, once, and the first that finds an input column there wins; of several the one with most cells.
    """

    def __init__(self, rules: Rules) -> None:
        self.grammar = Grammar(DELIMITERS[0])
        self.fields: list[str] = []
        self.raw = ""
        self.end = ""
        self.is_found = False
        self._rules = rules
        self._preamble: list[str] = []
        self._lines: list[str] = []
        self._chars = 0
        self._open = dict.fromkeys(map(Grammar, DELIMITERS), False)

    @property
    def preamble(self) -> str:
        """What stands before the header."""
        return "".join(self._preamble)

    @property
    def open_column(self) -> int:
        """The number of the column in which an open quote waits to be closed, 0 if none does."""
        waiting = (grammar for grammar, is_open in self._open.items() if is_open)
        return max((len(grammar.cells(self._lines[0])) for grammar in waiting), default=0)

    def take(self, line: str) -> bool:
        """Say whether the header ends with this line, or will never end."""
        self._chars += len(line)
        is_enough = self._chars > self._rules.max_record_chars
        if not self._lines and self._is_before_the_header(line):
            self._preamble.append(line)
            return is_enough
        self._lines.append(line)
        for grammar, was_open in self._open.items():
            self._open[grammar] = grammar.is_open(line, was_open=was_open)
        closed = [grammar for grammar, is_open in self._open.items() if not is_open]
        self._read_as(closed)
        return self.is_found or not self._open or is_enough

    def _is_before_the_header(self, line: str) -> bool:
        sep = _SEP_LINE.fullmatch(line)
        if sep:
            self._open = {Grammar(sep[1]): False}
        return sep is not None or not line.strip(_BLANKS)

    def _read_as(self, closed: list[Grammar]) -> None:
        """Read the header as each of `closed` does; what finds no input column in it is out."""
        text = "".join(self._lines) if closed else ""
        raw = text.rstrip("\r\n")
        for grammar in closed:
            del self._open[grammar]
            fields = grammar.fields(raw) or []
            is_known = has_input_column(fields, self._rules)
            if (is_known, len(fields)) > (self.is_found, len(self.fields)):
                self.is_found = is_known
                self.grammar, self.fields, self.raw, self.end = grammar, fields, raw, text[len(raw) :]
