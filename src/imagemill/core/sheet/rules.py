"""What a sheet must and may be: a plain value that somebody above makes from the settings."""

from __future__ import annotations

from typing import Final

import msgspec

_MIN_RECORD_CHARS: Final = 1 << 20
_CELLS_PER_RECORD: Final = 8


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """Roles are `serial`, `product` and `input`.

    With `has_lists` false each input cell is one address, whatever stands in it.
    `input_column` is the input column where somebody chose it: its name, or `#3` for the third; else it is recognised.
    A column in `required` must exist, and its cells must not be empty; the input column's may, unless it stands in
    `require_values` as well. `unique` is checked by the caller, who has an index (`duplicate_serial_fault`).
    """

    required: tuple[str, ...] = ("input",)
    require_values: tuple[str, ...] = ()
    unique: tuple[str, ...] = ("serial",)
    has_lists: bool = True
    input_column: str | None = None
    max_rows: int = 2_000_000
    max_urls_per_cell: int = 200
    max_cell_chars: int = 131_072
    serial_aliases: tuple[str, ...] = ()
    product_aliases: tuple[str, ...] = ()
    input_aliases: tuple[str, ...] = ()

    @property
    def max_record_chars(self) -> int:
        """How much text is kept in search of the end of one row; what a quote left open may swallow."""
        return max(_MIN_RECORD_CHARS, _CELLS_PER_RECORD * self.max_cell_chars)
