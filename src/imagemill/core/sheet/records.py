"""Lines to records: a quoted cell may hold line ends, and a quote that is never closed must not swallow the sheet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from imagemill.core.sheet.dialect import Grammar

Record = tuple[str, str, list[str] | None]
"""The record's text, its line end, and its cells: None where a quote opened in this line is never closed."""

MAX_BROKEN: Final = 100
"""After so many records with an open quote the rest is not worth reading: each costs a second look at what follows."""


class Records:
    """Incremental. After an unclosed quote it goes on with the next line, so that later faults are found too.

    Who reads must stop once it `is_lost`.
    """

    def __init__(self, grammar: Grammar, max_chars: int) -> None:
        self.is_open = False
        self.is_lost = False
        self._grammar = grammar
        self._max_chars = max_chars
        self._broken_count = 0
        self._open: list[str] = []
        self._open_chars = 0

    @property
    def open_column(self) -> int:
        """The number of the column in which an open quote waits to be closed, 0 if none does."""
        return len(self._grammar.cells(self._open[0])) if self.is_open else 0

    def feed(self, lines: Iterable[str]) -> Iterator[Record]:
        delimiter = self._grammar.delimiter
        for line in lines:
            raw = line.rstrip("\r\n")
            if self.is_open:
                yield from self._continued(line)
            elif '"' not in line:
                yield raw, line[len(raw) :], raw.split(delimiter)
            elif (fields := self._grammar.fields(raw)) is not None:
                yield raw, line[len(raw) :], fields
            else:
                yield from self._kept(line)

    def close(self) -> Iterator[Record]:
        while self.is_open:
            yield from self._broken(self._taken())

    def _kept(self, line: str) -> Iterator[Record]:
        """Keep a line whose last cell goes on, until its end or the limit is found."""
        self.is_open = True
        self._open.append(line)
        self._open_chars += len(line)
        if self._open_chars > self._max_chars:
            yield from self._broken(self._taken())

    def _continued(self, line: str) -> Iterator[Record]:
        if self._grammar.is_open(line, was_open=True):
            yield from self._kept(line)
            return
        lines = [*self._taken(), line]
        text = "".join(lines)
        raw = text.rstrip("\r\n")
        if self._grammar.has_stray_text(raw):
            yield from self._broken(lines)
        else:
            yield raw, text[len(raw) :], self._grammar.fields(raw)

    def _taken(self) -> list[str]:
        lines, self._open, self._open_chars, self.is_open = self._open, [], 0, False
        return lines

    def _broken(self, lines: list[str]) -> Iterator[Record]:
        self._broken_count += 1
        self.is_lost = self._broken_count >= MAX_BROKEN
        raw = lines[0].rstrip("\r\n")
        yield raw, lines[0][len(raw) :], None
        yield from self.feed(lines[1:])
