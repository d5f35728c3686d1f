"""Conditional and range requests, decided from header values alone (RFC 9110, sections 13 and 14)."""

import re
from typing import Final

_BYTES: Final = re.compile(r"bytes\s*=\s*(.*)", re.ASCII | re.IGNORECASE)
_SPEC: Final = re.compile(r"(\d{0,18})-(\d{0,18})", re.ASCII)


class UnsatisfiableRangeError(ValueError):
    """No byte of what was asked for exists: 416."""


def is_unchanged(if_none_match: str, etag: str) -> bool:
    """Say whether the client has it already; weak and strong tags compare alike here (RFC 9110, 13.1.2)."""
    tags = (tag.strip().removeprefix("W/") for tag in if_none_match.split(","))
    return any(tag in {"*", etag} for tag in tags)


def byte_range(header: str, size: int) -> range | None:
    """Return the first satisfiable range of a Range header; None where the header is to be ignored.

    A server may send fewer ranges than it was asked for (RFC 9110, 15.3.7), so several never become a multipart answer.
    """
    match = _BYTES.fullmatch(header.strip())
    if match is None:
        return None
    specs = [_SPEC.fullmatch(spec.strip()) for spec in match[1].split(",")]
    found = [_one(spec[1], spec[2], size) for spec in specs if spec and spec[0] != "-"]
    if len(found) != len(specs) or None in found:
        return None
    satisfiable = next((span for span in found if span), None)
    if satisfiable is None:
        raise UnsatisfiableRangeError(header)
    return satisfiable


def _one(first: str, last: str, size: int) -> range | None:
    """Return one range, empty where it lies outside; None where it is nonsense (last before first)."""
    if not first:
        return range(max(0, size - int(last)), size)
    if last and int(last) < int(first):
        return None
    return range(int(first), min(size, int(last) + 1) if last else size)
