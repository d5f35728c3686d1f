"""Who may call: tokens, stored as hashes."""

from __future__ import annotations

import hashlib

import msgspec

from imagemill.db.database import Queries


class Caller(msgspec.Struct, frozen=True):
    """The bearer of a token: whose jobs it sees, and what it may do (`admin`, `submit`, `read`)."""

    name: str
    owner: str
    scopes: frozenset[str]

    @property
    def sees_only(self) -> str | None:
        """The owner whose jobs are visible; None when all are."""
        return None if "admin" in self.scopes else self.owner


class Tokens(Queries):
    """Tokens have 256 random bits: one round of SHA-256 is enough, and a look-up by hash tells nothing by its time."""

    def add_token(self, name: str, token: str, *, scopes: frozenset[str], owner: str) -> None:
        """Remember a token under a name, replacing one of that name."""
        self._touched(
            "INSERT INTO token (name, hash, scopes, owner, created_at) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (name) DO UPDATE SET hash = excluded.hash, scopes = excluded.scopes, owner = excluded.owner,"
            " created_at = excluded.created_at",
            (name, _hash(token), " ".join(sorted(scopes)), owner, self._clock()),
        )

    def caller(self, token: str) -> Caller | None:
        """Return who bears this token; None when nobody does."""
        row = self._row("SELECT name, owner, scopes FROM token WHERE hash = ?", (_hash(token),))
        return Caller(name=row[0], owner=row[1], scopes=frozenset(row[2].split())) if row else None


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
