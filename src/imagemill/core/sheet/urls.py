"""Lists of addresses in a cell: where they are split, and what joins them again."""

from __future__ import annotations

import re
from typing import Final

EDGES: Final = ' \t\r\n\xa0"'
"""What is stripped from a cell and from each address: blanks and literal quotes (`\"\"\"u1, u2\"\"\"` in the sheet)."""

# `,` and `;` are allowed inside an address (RFC 3986), and picture services do write `w_80,h_80` there, or
# `width=80,fit=cover`, and shops `?a=1&amp;b=2`: what goes on like that is no next address.
_NEXT: Final = r"(?!(?:[a-z]{1,3}_|[\w-]+=)[^\s,;])"
_COMMA: Final = re.compile(f",{_NEXT}")
_SEPARATOR: Final = re.compile(rf"[|\r\n]|[,;]{_NEXT}")
_FIRST_SEPARATOR: Final = re.compile(r"[^,;|\r\n]*((?:\r\n|[,;|\r\n])[ \t]*)")
_BEGINS_LIKE_A_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[/\\]{2}")


def split(cell: str) -> list[str]:
    """Return the addresses in a cell as written, trimmed, without the empty ones."""
    if ";" in cell or "|" in cell or "\n" in cell or "\r" in cell:
        pieces = _SEPARATOR.split(cell)
    elif "," in cell:
        pieces = _COMMA.split(cell)  # alone it is found three times as fast
    else:
        piece = cell.strip(EDGES)
        return [piece] if piece else []
    return [text for piece in pieces if (text := piece.strip(EDGES))]


def separator(cell: str, first: str) -> str:
    """Return what stands behind the `first` address of a cell."""
    match = _FIRST_SEPARATOR.match(cell, cell.index(first) + len(first))
    return match[1] if match else ","


def begins_like_an_address(text: str) -> bool:
    """Say whether a cell's text goes on from a scheme."""
    return _BEGINS_LIKE_A_URL.match(text) is not None


def spilled(surplus: list[str]) -> int:
    """Return how many surplus cells, from the first, continue an unquoted list: addresses and empty ones."""
    count = 0
    has_url = False
    for cell in surplus:
        text = cell.strip(EDGES)
        is_url = begins_like_an_address(text)
        if text and not is_url:
            break
        has_url = has_url or is_url
        count += 1
    return count if has_url else 0
