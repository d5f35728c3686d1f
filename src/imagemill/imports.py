"""Libraries without what they import only in case.

peewee and Huey load every driver of a server that they find, psycopg by 19 MB and 0.1 s: db/postgres.py and
queue/carriers.py load theirs when a server is asked for. httpx loads its command line, with rich and pygments: 26 of
its 38 ms.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_SERVERS: Final = ("psycopg", "psycopg2", "redis")


@contextmanager
def hidden(names: tuple[str, ...] = _SERVERS) -> Iterator[None]:
    """Let imports of some modules fail in a block, where they are not loaded yet."""
    absent = [name for name in names if name not in sys.modules]
    for name in absent:
        sys.modules[name] = None  # type: ignore[assignment] # how Python is told that there is none
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]
