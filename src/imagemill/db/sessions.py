"""Who is signed in to the page: one-time links and the sessions that come of them, stored as hashes.

Both lead to the token they came from: what that may do is what they may do, and when it is revoked they are nothing.
"""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Final

from imagemill.db.database import Queries
from imagemill.db.jobs import moment
from imagemill.db.tokens import Caller, hashed

_SECRET_BYTES: Final = 32


class Sessions(Queries):
    """Codes and sessions have 256 random bits, as tokens have: see there."""

    def add_code(self, token_name: str, code: str, lasts_s: float) -> datetime:
        """Remember a code that signs in once as the bearer of a token; return when it ends."""
        now = self._clock()
        with self._transaction():
            self._touched("DELETE FROM sign_in WHERE ends_at <= ?", (now,))
            self._touched(
                "INSERT INTO sign_in (hash, token_hash, ends_at) SELECT ?, hash, ? FROM token WHERE name = ?",
                (hashed(code), now + lasts_s, token_name),
            )
        return moment(now + lasts_s)

    def use_code(self, code: str, session: str, lasts_s: float) -> bool:
        """Begin a session by a code, which is used up; False where it is unknown, used, or too old."""
        now = self._clock()
        with self._transaction():
            row = self._row(
                "DELETE FROM sign_in WHERE hash = ? RETURNING token_hash, ends_at",
                (hashed(code),),
            )
            return row is not None and row[1] > now and self._begin(session, row[0], now + lasts_s)

    def begin_session(self, token: str, session: str, lasts_s: float) -> bool:
        """Begin a session of the bearer of a token; False where nobody bears it."""
        with self._transaction():
            return self._begin(session, hashed(token), self._clock() + lasts_s)

    def end_session(self, session: str) -> None:
        """Sign out."""
        self._touched("DELETE FROM session WHERE hash = ?", (hashed(session),))

    def signed_in(self, session: str) -> Caller | None:
        """Return whose session this is; None where it has ended, or its token was revoked."""
        row = self._row(
            "SELECT name, owner, scopes FROM session JOIN token ON token.hash = token_hash"
            " WHERE session.hash = ? AND ends_at > ?",
            (hashed(session), self._clock()),
        )
        return Caller(name=row[0], owner=row[1], scopes=frozenset(row[2].split())) if row else None

    def _begin(self, session: str, token_hash: str, ends_at: float) -> bool:
        self._touched("DELETE FROM session WHERE ends_at <= ?", (self._clock(),))
        sql = "INSERT INTO session (hash, token_hash, ends_at) SELECT ?, hash, ? FROM token WHERE hash = ?"
        return bool(self._touched(sql, (hashed(session), ends_at, token_hash)))


def new_secret() -> str:
    """Return a code, or a session, that nobody has: 256 random bits."""
    return secrets.token_urlsafe(_SECRET_BYTES)
