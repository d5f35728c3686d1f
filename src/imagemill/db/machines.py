"""The machines that work on one database: each says now and then that it lives."""

from __future__ import annotations

from imagemill.db.database import Queries

LIVES_S = 60.0
"""A machine that has said nothing for so long, as long as a lease lasts, is gone."""


class Machines(Queries):
    """Queries about them, by their names."""

    def note_machine(self, name: str) -> None:
        """Note that a machine lives."""
        self._touched(
            "INSERT INTO machine (name, seen_at) VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET seen_at = excluded.seen_at",
            (name, self._clock()),
        )

    def forget_machine(self, name: str) -> None:
        """Note that a machine stops, and forget those that are gone for long."""
        self._touched("DELETE FROM machine WHERE name = ? OR seen_at < ?", (name, self._clock() - 60 * LIVES_S))

    def machines(self) -> list[str]:
        """Return the names of those that live."""
        rows = self._rows("SELECT name FROM machine WHERE seen_at > ? ORDER BY name", (self._clock() - LIVES_S,))
        return [name for (name,) in rows]

    def take_turn(self, name: str, machine: str, lasts_s: float) -> bool:
        """Let a machine be the only one that does something, until so long after it last asked; False for others."""
        now = self._clock()
        return bool(
            self._touched(
                "INSERT INTO turn (name, machine, ends_at) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE"
                " SET machine = excluded.machine, ends_at = excluded.ends_at"
                " WHERE turn.machine = excluded.machine OR turn.ends_at < ?",
                (name, machine, now + lasts_s, now),
            )
        )
