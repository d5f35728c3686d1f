"""What the web application is given by the composition root; it constructs nothing of this itself."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from imagemill.db import Store
from imagemill.metrics import Meters
from imagemill.pipeline import Pipeline
from imagemill.settings import Settings
from imagemill.storage import Storage


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The parts below, and two numbers that tests make smaller.

    `public_url` is where others reach us, without a final slash; `link` turns a stored output's name into its address.
    `readiness` names each part and says True (or "ok") when it can work, else False or a sentence. An upload is timed
    out when no byte of it came for `body_timeout_s` seconds. Streams without an end of their own end when `closing` is
    set. `meters` are those of the pipeline. The appliance started at `started_at`, seconds since 1970, which was
    `started_s` on the monotonic clock. `origins` says where each setting came from, by its dotted name.
    """

    settings: Settings
    store: Store
    pipeline: Pipeline
    storage: Storage
    readiness: Callable[[], dict[str, str | bool]]
    link: Callable[[str], str] = "/images/{}".format
    public_url: Callable[[], str] = str
    body_timeout_s: float = 30.0
    meters: Meters = field(default_factory=Meters)
    queue_depth: Callable[[], int] = int
    started_at: float = field(default_factory=time.time)
    started_s: float = field(default_factory=time.monotonic)
    origins: Mapping[str, str] = field(default_factory=dict)
    closing: threading.Event = field(default_factory=threading.Event)
