"""Every query, by one name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagemill.core.errors import StartError
from imagemill.db.causes import Causes
from imagemill.db.database import StoreError, open_database
from imagemill.db.deliveries import Deliveries
from imagemill.db.drafts import Drafts
from imagemill.db.images import Images
from imagemill.db.leftovers import Leftovers
from imagemill.db.losses import Losses
from imagemill.db.machines import Machines
from imagemill.db.orders import Orders
from imagemill.db.pauses import Pauses
from imagemill.db.savings import Savings
from imagemill.db.sent import Sent
from imagemill.db.sessions import Sessions
from imagemill.db.singles import Singles
from imagemill.db.tokens import Tokens
from imagemill.db.verbs import Verbs

if TYPE_CHECKING:
    from pathlib import Path

    from imagemill.settings import DatabaseSettings


class Store(
    Images,
    Verbs,
    Causes,
    Orders,
    Singles,
    Losses,
    Leftovers,
    Deliveries,
    Tokens,
    Sessions,
    Savings,
    Pauses,
    Machines,
    Sent,
    Drafts,
):
    """The database as the rest of the program sees it; safe from many threads, each with a connection of its own."""

    @property
    def is_shared(self) -> bool:
        """Whether other machines work on the same database."""
        return self._dialect.is_shared

    def now(self) -> float:
        """Return the time that leases are measured by, in seconds since 1970."""
        return self._clock()

    def ping(self) -> None:
        """Fail as the database does, when it cannot be read."""
        self._row("SELECT 1 FROM job LIMIT 1")  # of a table: without one SQLite does not look at its file

    def reach(self) -> None:
        """Wait for the database as those who write do, and change nothing."""
        with self._transaction():
            self.ping()

    def close(self) -> None:
        """Close this thread's connection; the others close with their threads."""
        self._dialect.close()


def open_store(section: DatabaseSettings, file: Path) -> Store:
    """Return the store that the settings name, else a file's; StartError where a server cannot be reached."""
    try:
        return Store(open_database(section.url or file, section.connections))
    except StoreError as error:
        if section.url is None:
            raise
        message = (
            f"the database of database.url cannot be reached: see that its server runs and lets us in; {error.cause}"
        )
        raise StartError(message, cause=error.cause) from error
