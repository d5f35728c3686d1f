"""Where the appliance of a data folder answers, for the tools of this machine: settings alone cannot tell."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from imagemill.storage.folders import Folders
from imagemill.storage.lock import is_held


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


def read_running(folders: Folders) -> Running | None:
    """Return what is announced by the process that holds the folder's lock; None where there is none.

    After a kill the file stays. Whoever has that process's number next must not be signalled in its place, and whoever
    listens at that address must not be shown our token.
    """
    if is_held(folders.lock):
        with suppress(OSError, msgspec.MsgspecError):
            return msgspec.json.decode(folders.running.read_bytes(), type=Running)
    return None
