"""Where the appliance of a data folder answers, for the tools of this machine: settings alone cannot tell."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec


class Running(msgspec.Struct, frozen=True):
    """The address of page and API, and the process that answers there."""

    address: str
    pid: int


@contextmanager
def announced(place: Path, running: Running) -> Iterator[None]:
    """Have it in the data folder for this block. After a kill it stays there: only who answers is running."""
    part = place.with_name(f"{place.name}.part")
    part.write_bytes(msgspec.json.encode(running))
    part.replace(place)
    try:
        yield
    finally:
        place.unlink(missing_ok=True)


def read_running(place: Path) -> Running | None:
    """Return what was announced last; None where nothing is."""
    with suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode(place.read_bytes(), type=Running)
    return None
