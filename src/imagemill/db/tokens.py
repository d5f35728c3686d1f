"""Who may call: tokens, stored as hashes."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime
from typing import Annotated

import msgspec

from imagemill.core.errors import NameTakenError, NotFoundError, RequestError
from imagemill.db.database import Queries
from imagemill.db.jobs import moment

FIRST = "first"
"""The appliance's own token, made again at each start: it cannot be revoked."""

Name = Annotated[
    str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="Letters, digits, `.`, `_` and `-`.")
]
"""What a token or an owner may be called."""

_PREFIX = "im_"
_SECRET_BYTES = 32


class Caller(msgspec.Struct, frozen=True):
    """The bearer of a token: whose jobs it sees, and what it may do (`admin`, `submit`, `read`)."""

    name: str
    owner: str
    scopes: frozenset[str]

    @property
    def sees_only(self) -> str | None:
        """The owner whose jobs are visible; None when all are."""
        return None if "admin" in self.scopes else self.owner


class TokenInfo(msgspec.Struct, frozen=True):
    """What is known of a token; the token itself is known to its bearer only."""

    name: str
    scopes: list[str]
    owner: str
    created_at: datetime


class Tokens(Queries):
    """Tokens have 256 random bits: one round of SHA-256 is enough, and a look-up by hash tells nothing by its time."""

    def add_token(self, name: str, token: str, *, scopes: frozenset[str], owner: str) -> None:
        """Remember a token under a name, replacing another of that name."""
        self._touched(
            "INSERT INTO token (name, hash, scopes, owner, created_at) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (name) DO UPDATE SET hash = excluded.hash, scopes = excluded.scopes, owner = excluded.owner,"
            " created_at = CASE token.hash WHEN excluded.hash THEN token.created_at ELSE excluded.created_at END",
            (name, hashed(token), " ".join(sorted(scopes)), owner, self._clock()),
        )

    def create_token(self, name: str, token: str, *, scopes: frozenset[str], owner: str) -> TokenInfo:
        """Remember a new token; NameTakenError where its name is in use."""
        now, words = self._clock(), " ".join(sorted(scopes))
        sql = "INSERT INTO token (name, hash, scopes, owner, created_at) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
        if not self._touched(sql, (name, hashed(token), words, owner, now)):
            message = f"there is a token named {name}: choose another name, or revoke that one first"
            raise NameTakenError(message)
        return TokenInfo(name, words.split(), owner, moment(now))

    def tokens(self) -> list[TokenInfo]:
        """Return all tokens by name."""
        rows = self._rows("SELECT name, scopes, owner, created_at FROM token ORDER BY name")
        return [TokenInfo(row[0], row[1].split(), row[2], moment(row[3])) for row in rows]

    def revoke_token(self, name: str) -> None:
        """Forget a token, at once; NotFoundError where there is none of that name, or it is the appliance's own."""
        if not self._touched("DELETE FROM token WHERE name = ? AND name <> ?", (name, FIRST)):
            message = (
                f"there is no token named {name} that can be revoked:"
                " list them with `imagemill token list`, or GET /api/v1/tokens"
            )
            raise NotFoundError(message)

    def caller(self, token: str) -> Caller | None:
        """Return who bears this token; None when nobody does."""
        row = self._row("SELECT name, owner, scopes FROM token WHERE hash = ?", (hashed(token),))
        return Caller(name=row[0], owner=row[1], scopes=frozenset(row[2].split())) if row else None


def new_token() -> str:
    """Return a token that nobody has: 256 random bits."""
    return _PREFIX + secrets.token_urlsafe(_SECRET_BYTES)


def checked_name(text: str) -> str:
    """Return a name that a token or an owner may bear; RequestError for any other."""
    try:
        return msgspec.convert(text, Name)
    except msgspec.ValidationError as error:
        message = "must be a letter or digit, then at most 63 letters, digits, `.`, `_` and `-`"
        raise RequestError("This cannot be a name.", [("name", message)]) from error


def hashed(token: str) -> str:
    """Return what is kept of a secret that has 256 random bits."""
    return hashlib.sha256(token.encode()).hexdigest()
