"""Where we listen, and where that is reached: hosts of the settings as addresses, and ports that are free.

What is free now may be taken in a moment: a hint, no promise.
"""

from __future__ import annotations

import ipaddress
import socket
from contextlib import suppress
from typing import Final

_TRIED: Final = 10
_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  a look-up, not a bind


def listened(host: str) -> str:
    """Return the address to listen on: a host's without brackets, or a name's, of IPv4 where it has one (OSError)."""
    bare = host.strip("[]")
    with suppress(ValueError):
        return str(ipaddress.ip_address(bare))
    found = socket.getaddrinfo(bare, None, type=socket.SOCK_STREAM)
    return str(min(found, key=lambda each: each[0] != socket.AF_INET)[4][0])


def reached(host: str) -> str:
    """Return the host at which this machine reaches what listens on `host`."""
    bare = host.strip("[]")
    return _EVERYWHERE.get(bare, bare)


def address_of(scheme: str, host: str, port: int) -> str:
    """Return the address, with a scheme, at which this machine reaches it."""
    name = reached(host)
    return f"{scheme}://[{name}]:{port}" if ":" in name else f"{scheme}://{name}:{port}"


def bound(host: str, port: int) -> socket.socket:
    """Return a socket that has the port, as a server would take it; OSError where it is taken."""
    address = listened(host)
    probe = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((address, port))
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
