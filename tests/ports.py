"""Free ports for tests that run beside each other, in several processes."""

from __future__ import annotations

import contextlib
import random
import socket
from typing import Final

_BELOW_EPHEMERAL: Final = range(20_000, 32_768)
"""No outgoing connection of another test is given one of these between our look and its use (Linux: 32768 and up)."""


def free_port(address: str = "127.0.0.1") -> int:
    """Return a port of the loopback interface, or another, that nobody listens on."""
    for port in random.sample(_BELOW_EPHEMERAL, 100):
        with contextlib.suppress(OSError), socket.create_server((address, port)):
            return port
    raise RuntimeError(f"none of 100 ports between {_BELOW_EPHEMERAL.start} and {_BELOW_EPHEMERAL.stop} is free")
