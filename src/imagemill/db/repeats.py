"""Idempotency keys: a request that is sent again is answered again, and not obeyed again."""

from __future__ import annotations

import msgspec

from imagemill.core.errors import KeyReusedError
from imagemill.db.database import Queries


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """What a client calls one request, and the SHA-256 of what it asked for by that name. Owners share no names."""

    owner: str
    name: str
    content: str
    expires_at: float


class KeyTaken(Exception):
    """Another request has used the key since it was looked for."""


class Repeats(Queries):
    """Queries about idempotency keys."""

    def job_of_key(self, key: Key) -> str | None:
        """Return the job that the key's first request became; None when there was none, or it is forgotten or deleted.

        KeyReusedError where that request asked for something else.
        """
        row = self._row(
            "SELECT content, job_uid FROM request_key WHERE owner = ? AND name = ? AND expires_at > ?"
            " AND EXISTS (SELECT 1 FROM job WHERE uid = job_uid AND deleted_at IS NULL)",
            (key.owner, key.name, self._clock()),
        )
        if row is not None and row[0] != key.content:
            message = (
                "this Idempotency-Key came with another sheet or other fields before: give a new request a new key"
            )
            raise KeyReusedError(message)
        return row[1] if row else None

    def forget_keys(self) -> int:
        """Remove the keys that are no longer honoured; return how many those were."""
        return self._touched("DELETE FROM request_key WHERE expires_at <= ?", (self._clock(),))

    def _keep_key(self, key: Key, job_uid: str) -> None:
        """Keep a key with its job, inside the job's transaction; KeyTaken ends that when a twin was faster."""
        self._dialect.alone_with(f"key {key.owner} {key.name}")
        if self.job_of_key(key) is not None:
            raise KeyTaken
        self._touched(
            "INSERT INTO request_key (owner, name, content, job_uid, expires_at) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (owner, name) DO UPDATE SET content = excluded.content, job_uid = excluded.job_uid,"
            " expires_at = excluded.expires_at",
            (key.owner, key.name, key.content, job_uid, key.expires_at),
        )
