"""The guard: a host is resolved once, every answer is checked, and only a checked one is connected to (SECURITY.md)."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from ipaddress import ip_address
from typing import Final

from imagemill.core.addresses import Policy, blocked
from imagemill.core.errors import ImageCode, ImageError

Resolve = Callable[[str, int], list[str]]

_TTL_S: Final = 30.0
_FAILURE_TTL_S: Final = 5.0
_HOSTS: Final = 4096


def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a host in the system's order of preference; OSError when there are none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError(str(error)) from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Guard:
    """Says which addresses of a host may be connected to, and remembers it for a short time."""

    def __init__(self, policy: Policy, resolve: Resolve = resolve) -> None:
        self._policy = policy
        self._resolve = resolve
        self._known: dict[tuple[str, int], tuple[float, list[str] | ImageError]] = {}

    def addresses(self, host: str, port: int) -> list[str]:
        """Return checked addresses; ImageError `dns_failed`, or `blocked_address` when even one is forbidden."""
        ends_at, verdict = self._known.get((host, port), (0.0, []))
        if ends_at < time.monotonic():
            verdict = self._judge(host, port)
            self._remember((host, port), verdict)
        if isinstance(verdict, ImageError):
            # A new one each time: a raised error carries its traceback, and this one is shared by threads.
            raise ImageError(verdict.image_code, verdict.detail, cause=verdict.cause)
        return verdict

    def forget(self, host: str, port: int) -> None:
        """Ask DNS again next time: what it said last does not answer."""
        self._known.pop((host, port), None)

    def _remember(self, key: tuple[str, int], verdict: list[str] | ImageError) -> None:
        has_failed = isinstance(verdict, ImageError) and verdict.image_code is ImageCode.DNS_FAILED
        if len(self._known) >= _HOSTS:
            self._known.clear()
        self._known[key] = (time.monotonic() + (_FAILURE_TTL_S if has_failed else _TTL_S), verdict)

    def _judge(self, host: str, port: int) -> list[str] | ImageError:
        try:
            found = [host] if _is_literal(host) else self._resolve(host, port)
        except OSError as error:
            return ImageError(ImageCode.DNS_FAILED, f"{host} is not known in DNS: check its name", cause=str(error))
        if not found:
            return ImageError(ImageCode.DNS_FAILED, f"{host} has no address in DNS: check its name")
        for address in found:
            if reason := blocked(address, self._policy, host):
                detail = (
                    f"{host} leads to a blocked address ({reason}): use a public host, or allow this one by setting"
                )
                return ImageError(ImageCode.BLOCKED_ADDRESS, detail, cause=address)
        return found


def _is_literal(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
