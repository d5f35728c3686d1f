"""Ports of this machine that nobody listens on. What is free now may be taken in a moment: a hint, no promise."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Final

_TRIED: Final = 10


def bound(host: str, port: int) -> socket.socket:
    """Return a socket that has the port, as a server would take it; OSError where it is taken."""
    probe = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
    except OSError:
        probe.close()
        raise
    return probe


def free_port(host: str) -> int:
    """Return a port that is free now, for `port = 0`."""
    with bound(host, 0) as probe:
        return int(probe.getsockname()[1])


def port_near(host: str, port: int) -> int:
    """Return the port, or the next one that is free where it is taken: by a service, or by another user's desk."""
    for candidate in range(port, port + _TRIED):
        with suppress(OSError), bound(host, candidate):
            return candidate
    return port
