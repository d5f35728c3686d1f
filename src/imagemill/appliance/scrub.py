"""What is taken out of a text before a customer forwards it: secrets, tokens, all of an address but its host, names.

Our own lines have none of these (see logs, settings); this is for what they quote, and for mistakes of ours.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Final

MASK: Final = "***"

_LEAST_CHARS: Final = 3
"""A shorter secret or name would take half of every text out."""

_KINDS: Final = (
    "jpe?g|jpe|jfif|png|apng|webp|gif|bmp|tiff?|avif|heic|svg|ico|pdf|csv|tsv|txt|xlsx?|ods|zip|gz|pem|key|crt|p12"
)
_ADDRESS: Final = (
    r"\b([a-z][a-z0-9+.-]{0,20}://)(?:[^\s/\"'<>@]*@)?"
    r"([a-z0-9.\-_]*(?::\d+)?|\[[0-9a-f:.]*\](?::\d+)?)[^\s\"'<>]*"
)
_NAMED: Final = (
    r"((?:password|passwd|pwd|secret|token|signature|sig|authorization|cookie|session|credential"
    r"|(?:api|access|secret|private)[_-]?key|x-amz-[a-z-]+)[\"']?\s*[=:]\s*[\"']?)[^\s\"'<>,;]+"
)
_RULES: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), put)
    for pattern, put in (
        # An address: its scheme and host stay, which say who did not answer.
        (_ADDRESS, r"\1\2/…"),
        (r"\bfile:/[^\s\"'<>]*", "file:…"),
        (r"\bdata:[a-z]+/[^\s\"'<>]*", "data:" + MASK),
        # What a query looks like without its address.
        (r"\?[^\s\"'<>=?]{1,200}=[^\s\"'<>]*", "?" + MASK),
        (r"\b(bearer|basic)\s+[a-z0-9._~+/=-]+", r"\1 " + MASK),
        (
            _NAMED,
            r"\1" + MASK,
        ),
        (r"\b(?:im|whsec|sk|pk|ghp|xox[a-z])_?[_-][a-z0-9+/=_-]{8,}", MASK),
        (r"\beyJ[a-z0-9_-]+\.[a-z0-9_-]+\.[a-z0-9_-]*", MASK),
        (r"\b(?:AKIA|ASIA)[0-9A-Z]{12,}", MASK),
        # Names of files, where they end as pictures, sheets and keys do: in quotes they may have spaces.
        (rf"([\"'])[^\"'\n]*\.({_KINDS})\1", rf"\1{MASK}.\2\1"),
    )
)  # fmt: skip


# Each in one walk, however long a word is: what is scrubbed was written by strangers.
_WORD: Final = re.compile(r"[^\s\"'<>/\\=:(]+")
_ENDING: Final = re.compile(rf"\.(?:{_KINDS})\b", re.IGNORECASE)


class Scrub:
    """Knows what must not be in a text: the secrets and names that were found, and what such things look like."""

    def __init__(self, known: Iterable[str], home: Path | None = None) -> None:
        self._known = {each for each in known if len(each) >= _LEAST_CHARS}
        # There may be ten thousand names, and many begin alike: by their beginnings, the lengths to try, longest first.
        lengths: defaultdict[str, set[int]] = defaultdict(set)
        for each in self._known:
            lengths[each[:_LEAST_CHARS]].add(len(each))
        self._lengths = {start: sorted(found, reverse=True) for start, found in lengths.items()}
        self._home = str(home) if home and len(home.parts) > 1 else None

    def text(self, text: str) -> str:
        """Return the text without them."""
        text = self._without_known(text)
        if self._home:
            text = text.replace(self._home, "~")
        for pattern, put in _RULES:
            text = pattern.sub(put, text)
        return _WORD.sub(_nameless, text)

    def _without_known(self, text: str) -> str:
        parts, at, kept = [], 0, 0
        while at < len(text):
            lengths = self._lengths.get(text[at : at + _LEAST_CHARS], ())
            length = next((length for length in lengths if text[at : at + length] in self._known), 0)
            if length:
                parts += [text[kept:at], MASK]
                kept = at + length
            at += length or 1
        return "".join([*parts, text[kept:]])

    def data(self, data: object) -> object:
        """Return JSON's kind of data without them, in values and in names."""
        if isinstance(data, str):
            return self.text(data)
        if isinstance(data, list | tuple):
            return [self.data(each) for each in data]
        if isinstance(data, dict):
            return {self.text(str(name)): self.data(each) for name, each in data.items()}
        return data


def _nameless(word: re.Match[str]) -> str:
    """Return a word without the name of a file; from its last ending on it stays."""
    endings = list(_ENDING.finditer(word[0]))
    return MASK + word[0][endings[-1].start() :] if endings else word[0]
