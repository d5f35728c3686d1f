"""Where the appliance of a data folder answers, for the tools of this machine: settings alone cannot tell."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta


class Running(msgspec.Struct, frozen=True):
    """The address of page and API, and the process that answers there."""

    address: str
    pid: Annotated[int, Meta(ge=1)]


@contextmanager
def announced(place: Path, running: Running) -> Iterator[None]:
    """Have it in the data folder for this block."""
    part = place.with_name(f"{place.name}.part")
    part.write_bytes(msgspec.json.encode(running))
    part.replace(place)
    try:
        yield
    finally:
        place.unlink(missing_ok=True)


def read_running(place: Path) -> Running | None:
    """Return what is announced by a process of ours that lives; None where there is none.

    After a kill the file stays, and whoever listens at that address next must not be shown our token.
    """
    with suppress(OSError, msgspec.MsgspecError):
        running = msgspec.json.decode(place.read_bytes(), type=Running)
        if os.name != "nt":  # there, to ask would be to end it
            os.kill(running.pid, 0)
        return running
    return None
