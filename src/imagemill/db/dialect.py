"""The one seam between our queries and what carries them: SQLite in the data folder, or a PostgreSQL server.

Queries stand once, in words that both understand: `?` for a parameter, `ON CONFLICT`, `RETURNING`, `true`. What they
cannot share is here by a name: how a transaction waits for others and for the disk, how a sheet's rows come in, what
time it is. On SQLite every transaction that writes is alone (IMMEDIATE), so there a hold is nothing; on PostgreSQL what
must not happen at the same time takes hold of the job, or keeps everybody out, as its first act. Its order is always
the same, so nobody waits in a circle: the gate, the job, what was made, images, tally.

A server is a round trip away, so a transaction waits only where it looks at an answer (`rows`, `touched`); all else,
and BEGIN, is sent along with that.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path


class Grip(enum.Enum):
    """How a transaction holds a job until it ends: what else may go on with it meanwhile."""

    CLAIM = "KEY SHARE"
    """Others claim and record."""
    RECORD = "NO KEY UPDATE"
    """Others claim: so the images of a job end one transaction after the other, in the order of their revisions."""
    VERB = "UPDATE"
    """Nobody does anything."""


Answer: TypeAlias = Callable[[], "list[tuple[Any, ...]]"]
"""Waits for what a query found, and returns it."""

Bring: TypeAlias = Callable[[int, str], None]
"""Copies a staged sheet into the places and images of a job, by its small id, all in one state."""


class Dialect(Protocol):
    """What carries queries; safe from many threads."""

    @property
    def is_shared(self) -> bool:
        """Whether other machines work on the same database."""

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What it raises when it cannot be read or written now."""

    @property
    def skipping(self) -> str:
        """What makes a query for images to claim pass over those that somebody else is about to write."""

    def rows(self, sql: str, params: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return all that a query finds."""

    def ask(self, sql: str, params: Sequence[object] = ()) -> Answer:
        """Send a query; over a network, what it finds is waited for when it is asked for, or the transaction ends."""

    def touched(self, sql: str, params: Sequence[object] = ()) -> int:
        """Return how many rows a statement wrote."""

    def many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Write a statement once for each of some rows; over a network, nobody waits for it inside a transaction."""

    def define(self, sql: str) -> None:
        """Change the schema: types in SQLite's words."""

    def transaction(self) -> AbstractContextManager[None]:
        """Begin; commit at the end of the block, or roll back what an error left."""

    def durable(self) -> AbstractContextManager[None]:
        """Begin a transaction whose commit is on the disk when the block has ended."""

    def hold(self, job_id: int, grip: Grip) -> None:
        """Wait for a job, and hold it until the transaction ends; nobody is `alone` meanwhile."""

    def alone(self) -> None:
        """Wait until nobody holds a job, and let nobody until the transaction ends."""

    def alone_with(self, name: str) -> None:
        """Wait for whoever said the same name, and keep it until the transaction ends."""

    def reading(self, sheet: Path) -> AbstractContextManager[Bring]:
        """Open a staging file around the transaction that brings it in."""

    def now(self) -> float:
        """Return the time that leases are measured by, in seconds since 1970."""

    def close(self) -> None:
        """Close this thread's connection, and those that no thread has."""
