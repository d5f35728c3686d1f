"""Text to physical lines that keep their ends: LF, CRLF or CR, and nothing else ends a line."""

from __future__ import annotations

from io import StringIO
from itertools import takewhile


class Lines:
    """Incremental. After a NUL (`is_binary`) or a line above `max_chars` (`is_overlong`) nothing more comes."""

    def __init__(self, max_chars: int) -> None:
        self.is_binary = False
        self.is_overlong = False
        self._max_chars = max_chars
        self._held: list[str] = []
        self._held_chars = 0
        self._may_be_crlf = False

    def feed(self, text: str) -> list[str]:
        """Return the lines that `text` completes."""
        if self.is_binary or self.is_overlong or not text:
            return []
        if "\0" in text:
            self.is_binary = True
            text = text[: text.index("\0")]
        elif not self._may_be_crlf and "\n" not in text and "\r" not in text:
            self._hold(text)
            return []
        return self._within_limit(self._completed("".join(self._held) + text))

    def close(self) -> list[str]:
        """Return the last line, where it has no end."""
        return ["".join(self._held)] if self._held and not (self.is_binary or self.is_overlong) else []

    def _hold(self, text: str) -> None:
        self._held.append(text)
        self._held_chars += len(text)
        self._may_be_crlf = text.endswith("\r")
        self.is_overlong = self._held_chars > self._max_chars
        # An overlong line is known to be refused: none of it is needed.
        if self.is_overlong:
            self._held = []

    def _completed(self, text: str) -> list[str]:
        self._held, self._held_chars, self._may_be_crlf = [], 0, False
        lines = list(StringIO(text, newline=""))
        # Before a NUL there is no second half of a CRLF to wait for.
        if lines and not lines[-1].endswith(("\n", "\r") if self.is_binary else "\n"):
            self._hold(lines.pop())
        return lines

    def _within_limit(self, lines: list[str]) -> list[str]:
        if max(map(len, lines), default=0) <= self._max_chars:
            return lines
        self.is_overlong = True
        return list(takewhile(lambda line: len(line) <= self._max_chars, lines))
