"""Every query, by one name."""

from __future__ import annotations

from imagemill.db.causes import Causes
from imagemill.db.deliveries import Deliveries
from imagemill.db.images import Images
from imagemill.db.leftovers import Leftovers
from imagemill.db.losses import Losses
from imagemill.db.orders import Orders
from imagemill.db.pauses import Pauses
from imagemill.db.savings import Savings
from imagemill.db.sessions import Sessions
from imagemill.db.singles import Singles
from imagemill.db.tokens import Tokens
from imagemill.db.verbs import Verbs


class Store(Images, Verbs, Causes, Orders, Singles, Losses, Leftovers, Deliveries, Tokens, Sessions, Savings, Pauses):
    """The database as the rest of the program sees it; safe from many threads, each with a connection of its own."""

    def ping(self) -> None:
        """Fail as the database does, when it cannot be read."""
        self._row("SELECT 1 FROM job LIMIT 1")  # of a table: without one SQLite does not look at its file

    def reach(self) -> None:
        """Wait for the database as those who write do, and change nothing."""
        with self._transaction():
            self.ping()

    def close(self) -> None:
        """Close this thread's connection; the others close with their threads."""
        self._database.close()
