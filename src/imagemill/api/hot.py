"""Small published images that were asked for just now, in memory and ready to be sent: nothing is opened or read again.

They are bounded in bytes; who was not asked for longest goes first. Each time the file is looked at, which costs 2 µs:
what somebody has deleted, in this process or in another, is gone at once, without anybody telling us.
"""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from litestar.types import HTTPResponseBodyEvent, HTTPResponseStartEvent, HTTPScope, Send

MOST_BYTES: Final = 256 * 1024
"""Larger images are not kept: the server sends them from their file."""

_OTHER_BYTES: Final = 2048
"""About what an image takes beside its bytes."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A whole answer: two messages of ASGI that are sent as they are, and what the file was when it was read."""

    head: HTTPResponseStartEvent
    body: HTTPResponseBodyEvent
    path: str
    stamp: tuple[int, int, int]

    async def sent(self, send: Send) -> None:
        """Send it."""
        await send(self.head)
        await send(self.body)

    def is_true(self) -> bool:
        """Say whether the file is still what was read."""
        try:
            found = os.stat(self.path)  # noqa: PTH116 - a Path costs as much again
        except OSError:
            return False
        return (found.st_ino, found.st_size, found.st_mtime_ns) == self.stamp

    @property
    def taken_bytes(self) -> int:
        """What it takes in memory."""
        return len(self.body["body"]) + _OTHER_BYTES


Answers = Callable[[HTTPScope], Ready | None]
"""Knows whether the answer to a request lies in memory."""


class Hot:
    """The images, by the path of their address. Safe to use from many threads."""

    def __init__(self, most_bytes: int) -> None:
        self._left = most_bytes
        self._lock = threading.Lock()
        self._images: OrderedDict[str, Ready] = OrderedDict()

    def find(self, path: str) -> Ready | None:
        """Return the answer, if it is here and still true."""
        ready = self._images.get(path)
        if ready is None:
            return None
        if not ready.is_true():
            with self._lock:
                self._forget(path)
            return None
        with self._lock:
            if path in self._images:
                self._images.move_to_end(path)
        return ready

    def keep(self, path: str, ready: Ready) -> None:
        """Keep an answer, and let others go for it."""
        with self._lock:
            self._forget(path)
            self._images[path] = ready
            self._left -= ready.taken_bytes
            while self._left < 0:
                self._left += self._images.popitem(last=False)[1].taken_bytes

    def _forget(self, path: str) -> None:
        gone = self._images.pop(path, None)
        self._left += gone.taken_bytes if gone else 0


def read(path: Path, most_bytes: int) -> tuple[bytes, tuple[int, int, int]] | None:
    """Return what is in a file, and its stamp; None where it is larger, or cannot be read."""
    try:
        with path.open("rb", buffering=0) as file:
            found = os.fstat(file.fileno())
            if found.st_size > most_bytes:
                return None
            return file.read(), (found.st_ino, found.st_size, found.st_mtime_ns)
    except OSError:
        return None
