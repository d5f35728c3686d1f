"""Breaks off a request that another thread waits for, because nobody wants its answer any more."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from imagemill.core.errors import ImageCode, ImageError

if TYPE_CHECKING:
    from collections.abc import Iterator


class Breaker:
    """For the requests of one thread, one after another. Once broken off, none begins any more."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sock: socket.socket | None = None
        self._began_s = 0.0
        self.is_broken = False

    def break_off(self) -> None:
        """End what is under way: whoever reads finds the connection closed."""
        with self._lock:
            self.is_broken = True
            if self._sock is not None:
                with suppress(OSError):
                    # Not TLS's own: that would say goodbye first, in the midst of the other thread's reading.
                    socket.socket.shutdown(self._sock, socket.SHUT_RDWR)

    @property
    def busy_s(self) -> float:
        """How long the present request has been under way; 0 where there is none."""
        return time.monotonic() - self._began_s if self._sock else 0.0

    def attach(self, sock: socket.socket) -> None:
        """Begin a request over a connection; ConnectionAbortedError when that is not wanted any more."""
        with self._lock:
            self.check()
            self._sock, self._began_s = sock, time.monotonic()

    def detach(self) -> None:
        """The connection is somebody else's from now on."""
        with self._lock:
            self._sock = None

    def check(self) -> None:
        """Go no further when broken off (ConnectionAbortedError)."""
        if self.is_broken:
            raise ConnectionAbortedError

    @contextmanager
    def told(self) -> Iterator[None]:
        """Say of what fails because it was broken off that it was; that is nobody's fault and no attempt."""
        try:
            yield
        except ImageError as error:
            if not self.is_broken:
                raise
            detail = "its job was cancelled while it was downloaded"
            raise ImageError(ImageCode.CANCELLED, detail, transient=True, is_attempt=False) from error
        finally:
            self.detach()
