"""The sheet as a verb reads it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from imagemill.cli import stopping

_READ_BYTES: Final = 1 << 18


def read(sheet: str, stop: stopping.Stop) -> Iterator[bytes]:
    """Read a sheet by pieces; a signal ends it, also while nothing comes through a pipe."""
    with click.open_file(sheet, "rb") as stream:
        while True:
            with stop.breaking():
                data = stream.read(_READ_BYTES)
            if not data:
                return
            yield data
