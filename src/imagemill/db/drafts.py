"""Drafts: what is known of sheets that were checked and are no jobs yet, so that each of several servers knows it."""

from __future__ import annotations

from imagemill.db.database import Queries


class Drafts(Queries):
    """Queries about them, by their ids. What is known of one is a text of the pipeline's; its sheet lies elsewhere."""

    def add_draft(self, uid: str, owner: str, about: str) -> None:
        """Begin a draft."""
        sql = "INSERT INTO draft (uid, owner, about, used_at) VALUES (?, ?, ?, ?)"
        self._touched(sql, (uid, owner, about, self._clock()))

    def describe_draft(self, uid: str, about: str) -> None:
        """Note what is known of a draft now, unless somebody has forgotten it meanwhile."""
        self._touched("UPDATE draft SET about = ? WHERE uid = ?", (about, uid))

    def use_draft(self, uid: str, owner: str | None = None) -> str | None:
        """Return what is known of a draft, which is used now; None where there is none, or it is another owner's."""
        with self._transaction():
            sql = "UPDATE draft SET used_at = ? WHERE uid = ? AND owner = coalesce(?, owner) RETURNING about"
            row = self._row(sql, (self._clock(), uid, owner))
        return row[0] if row else None

    def forget_draft(self, uid: str) -> None:
        """Forget one."""
        self._touched("DELETE FROM draft WHERE uid = ?", (uid,))

    def surplus_drafts(self, owner: str, most: int) -> list[str]:
        """Return an owner's drafts but the `most` that were used last."""
        rows = self._rows("SELECT uid FROM draft WHERE owner = ? ORDER BY used_at DESC, uid", (owner,))
        return [uid for (uid,) in rows[most:]]

    def ended_drafts(self, used_before: float) -> list[str]:
        """Return those that nobody has used since a time."""
        return [uid for (uid,) in self._rows("SELECT uid FROM draft WHERE used_at < ?", (used_before,))]

    def known_drafts(self) -> set[str]:
        """Return all of them."""
        return {uid for (uid,) in self._rows("SELECT uid FROM draft")}
