"""A chart of bars as numbers for an SVG: drawn by the template, without a script. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from imagemill.db import Saving

MONTHS: Final = 12
WIDTH: Final = 720
HEIGHT: Final = 120
_STEP: Final = WIDTH / MONTHS
_BAR: Final = 36
_LEAST: Final = 2.0
"""A month in which something was saved has a bar that can be seen."""


@dataclass(frozen=True)
class Bar:
    """One month: `label` is short, `title` whole; `x`, `y`, `height` are of a drawing `WIDTH` by `HEIGHT`."""

    label: str
    title: str
    saving: Saving
    x: float
    y: float
    height: float

    @property
    def middle(self) -> float:
        """Where its label stands."""
        return self.x + _BAR / 2


def month_bounds(now: datetime) -> list[datetime]:
    """Return the beginnings of the last twelve months and of the next one, in UTC."""
    last = now.year * 12 + now.month - 1
    return [datetime(n // 12, n % 12 + 1, 1, tzinfo=UTC) for n in range(last - MONTHS + 1, last + 2)]


def bars(months: Sequence[datetime], savings: Sequence[Saving]) -> list[Bar]:
    """Return a bar for each month, the highest as high as the drawing."""
    most = max((saving.saved_bytes for saving in savings), default=0) or 1
    return [_bar(n, month, saving, most) for n, (month, saving) in enumerate(zip(months, savings, strict=False))]


def _bar(n: int, month: datetime, saving: Saving, most: int) -> Bar:
    height = round(max(HEIGHT * saving.saved_bytes / most, _LEAST if saving.saved_bytes else 0.0), 1)
    x = round(n * _STEP + (_STEP - _BAR) / 2, 1)
    return Bar(f"{month:%b}", f"{month:%B %Y}", saving, x, round(HEIGHT - height, 1), height)
