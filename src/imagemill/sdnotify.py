"""Telling systemd how we are: its notify protocol (sd_notify(3)), by hand, because it is one datagram.

Where nobody listens ($NOTIFY_SOCKET is not set) nothing is sent, and nothing fails.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final

_SEND_S: Final = 1.0
_MICROSECONDS: Final = 1_000_000
_PARTS: Final = 4
"""A ping is due so many times in the time that systemd waits for one; a look may take as long as the wait between."""


class Notifier:
    """The socket to systemd. `watchdog_s` is how long systemd waits for a ping; None where it waits for none."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "").replace("@", "\0", 1)
        waits = environ.get("WATCHDOG_USEC", "")
        is_ours = environ.get("WATCHDOG_PID", "") in {"", str(os.getpid())}
        self.watchdog_s = int(waits) / _MICROSECONDS if self._address and is_ours and waits.isdecimal() else None

    def tell(self, status: str, *assignments: str) -> None:
        """Send a line for `systemctl status`, and assignments like READY=1 with it."""
        if not self._address:
            return
        message = "\n".join((*assignments, f"STATUS={' '.join(status.split())}"))
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as outlet:
            outlet.settimeout(_SEND_S)
            outlet.sendto(message.encode(), self._address)


class Watchdog:
    """Pings while `look` returns in time, whatever it says: a trouble that can be told is not cured by a restart."""

    def __init__(self, notifier: Notifier, look: Callable[[], str], every_s: float) -> None:
        self._notifier, self._look, self._every_s = notifier, look, every_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begin to look, in a thread of its own: what hangs there must not keep the main thread from a signal."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more; a look that hangs is not waited for."""
        self._ended.set()
        self._thread.join(_SEND_S)

    def _watch(self) -> None:
        while not self._ended.wait(self._every_s):
            began_s = time.monotonic()
            status = self._look()
            if time.monotonic() - began_s <= self._every_s:
                self._notifier.tell(status, "WATCHDOG=1")


@contextlib.contextmanager
def supervised(look: Callable[[], str], environ: Mapping[str, str]) -> Iterator[None]:
    """Tell systemd that we are ready, and at the end of the block that we stop; ping it in between if it asks to."""
    notifier = Notifier(environ)
    notifier.tell(look(), "READY=1")
    watchdog = Watchdog(notifier, look, notifier.watchdog_s / _PARTS) if notifier.watchdog_s else None
    if watchdog is not None:
        watchdog.start()
    try:
        yield
    finally:
        notifier.tell("stopping: what is in hand is finished or given back", "STOPPING=1")
        if watchdog is not None:
            watchdog.stop()
