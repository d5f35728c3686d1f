"""What the pipeline is made of: given by `appliance`, never looked up."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from imagemill.hosts import Hosts
from imagemill.metrics import Meters

if TYPE_CHECKING:
    from collections.abc import Callable

    from imagemill.db import Shelf, Store
    from imagemill.fetch import Fetcher
    from imagemill.pipeline.leases import Leases
    from imagemill.pipeline.outage import Outage
    from imagemill.pipeline.room import Room
    from imagemill.pool import Pool
    from imagemill.settings import Settings
    from imagemill.storage import Folders, Storage
    from imagemill.webhook import Caller


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Everything the story needs.

    `public_url` is where the API is reached from outside, without a final slash; `link` makes the address of a stored
    output from its name; `originals` has the sources that are kept (`core.keys.source_name`). `hosts` is what the
    fetcher keeps to. `sweeps` where the storage is ours alone, so that files nobody speaks of may be removed.
    `meters` counts. `stopping` is set when images in hand are to be given back.
    """

    settings: Settings
    folders: Folders
    store: Store
    storage: Storage
    originals: Storage
    fetcher: Fetcher
    pool: Pool
    caller: Caller
    room: Room
    outage: Outage
    leases: Leases
    public_url: Callable[[], str]
    link: Callable[[str], str]
    clock: Callable[[], float] = time.time
    hosts: Hosts = field(default_factory=Hosts)
    meters: Meters = field(default_factory=Meters)
    stopping: threading.Event = field(default_factory=threading.Event)
    sweeps: bool = False

    def shelf(self, name: Shelf) -> Storage:
        """Return the storage that the database calls by this name."""
        return self.storage if name == "outputs" else self.originals
