"""The guard: a host is resolved once, every answer is checked, and only a checked one is connected to (SECURITY.md)."""

from __future__ import annotations

import math
import socket
import threading
import time
from collections.abc import Callable
from ipaddress import ip_address
from typing import Final

from imagemill.core.addresses import Policy, blocked
from imagemill.core.errors import ImageCode, ImageError

Resolve = Callable[[str, int], list[str]]

_FAILURE_TTL_S: Final = 5.0
_LONGEST_LOOKUP_S: Final = 60.0
_HOSTS: Final = 4096


def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a host in the system's order of preference; OSError when there are none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError(str(error)) from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class _Lookup:
    """One question to DNS: who asks it first answers for all who ask meanwhile, and for some time after."""

    def __init__(self, host: str) -> None:
        self.verdict: list[str] | ImageError = ImageError(
            ImageCode.DNS_FAILED, f"DNS does not answer for {host}: try again later"
        )
        self.ends_at = math.inf
        self.is_answered = threading.Event()


class Guard:
    """Says which addresses of a host may be connected to, and remembers it for `ttl_s` seconds.

    Safe to use from many threads at a time: each host is resolved once, however many ask.
    """

    def __init__(self, policy: Policy, resolve: Resolve = resolve, ttl_s: float = 30.0) -> None:
        self._policy = policy
        self._resolve = resolve
        self._ttl_s = ttl_s
        self._known: dict[str, _Lookup] = {}
        self._lock = threading.Lock()

    def addresses(self, host: str, port: int) -> list[str]:
        """Return checked addresses; ImageError `dns_failed`, or `blocked_address` when even one is forbidden."""
        lookup, is_ours = self._lookup(host)
        if is_ours:
            try:
                lookup.verdict = self._judge(host, port)
            finally:
                lookup.ends_at = time.monotonic() + self._kept_s(lookup.verdict)
                lookup.is_answered.set()
        else:
            lookup.is_answered.wait(_LONGEST_LOOKUP_S)
        verdict = lookup.verdict
        if isinstance(verdict, ImageError):
            # A new one each time: a raised error carries its traceback, and this one is shared by threads.
            raise ImageError(verdict.image_code, verdict.detail, cause=verdict.cause)
        return verdict

    def forget(self, host: str) -> None:
        """Ask DNS again next time: what it said last does not answer."""
        with self._lock:
            self._known.pop(host, None)

    def _lookup(self, host: str) -> tuple[_Lookup, bool]:
        """Return the question about a host, and whether it is the caller's to answer."""
        with self._lock:
            known = self._known.get(host)
            if known is not None and time.monotonic() <= known.ends_at:
                return known, False
            if len(self._known) >= _HOSTS:
                self._known.clear()
            lookup = self._known[host] = _Lookup(host)
            return lookup, True

    def _kept_s(self, verdict: list[str] | ImageError) -> float:
        has_failed = isinstance(verdict, ImageError) and verdict.image_code is ImageCode.DNS_FAILED
        return min(_FAILURE_TTL_S, self._ttl_s) if has_failed else self._ttl_s

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
