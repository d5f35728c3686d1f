"""The machines of a cluster, as processes with data folders of their own, each on its own lines to what they share."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from tests.appliance_process import ApplianceProcess, WorkerProcess
from tests.postgres_server import PostgresServer
from tests.redis_server import RedisServer
from tests.s3_server import S3Server
from tests.tcp_proxy import TcpProxy


class Shared:
    """PostgreSQL, which flushes as one should, Redis and S3, while entered."""

    def __init__(self, folder: Path) -> None:
        self.postgres = PostgresServer(fsync="on", shared_preload_libraries="pg_stat_statements")
        self.redis, self.s3 = RedisServer(), S3Server(folder)
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        """Start them, with an empty database and an empty bucket."""
        with contextlib.ExitStack() as stack:
            for server in (self.postgres, self.redis, self.s3):
                stack.enter_context(server)
            self.database = self.postgres.make_database()
            self.postgres.query(self.database, "CREATE EXTENSION pg_stat_statements")
            self.bucket = self.s3.make_bucket()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop them."""
        self._stack.close()

    def settings(self) -> dict[str, Any]:
        """Return what every machine has in its settings."""
        return self.s3.settings(self.bucket) | {"database_url": self.database, "queue_url": self.redis.url}


class Lines:
    """A machine's own lines to all that it shares: they can be cut."""

    def __init__(self, shared: Shared) -> None:
        self._ports = (shared.postgres.port, shared.redis.port, shared.s3.port)
        self._stack = contextlib.ExitStack()
        self._settings = shared.settings()

    def __enter__(self) -> Self:
        """Lay them."""
        self._lines = [self._stack.enter_context(TcpProxy(port)) for port in self._ports]
        return self

    def __exit__(self, *_: object) -> None:
        """Take them away."""
        self._stack.close()

    def settings(self) -> dict[str, Any]:
        """Return the settings that lead over these lines."""
        found = dict(self._settings)
        for port, line in zip(self._ports, self._lines, strict=True):
            for name in ("database_url", "queue_url", "storage_endpoint"):
                found[name] = found[name].replace(f":{port}", f":{line.port}")
        return found

    def trips(self) -> dict[str, int]:
        """Return how often an answer was waited for over each."""
        counts = [line.trips for line in self._lines]
        return dict(zip(("PostgreSQL", "Redis", "S3"), counts, strict=True))

    def cut(self) -> None:
        """Let everything vanish on its way; nobody is told."""
        for line in self._lines:
            line.hang()

    def mend(self) -> None:
        """Be whole again."""
        for line in self._lines:
            line.mend()


def server(folder: Path, settings: Mapping[str, object]) -> ApplianceProcess:
    """Return a server, not started."""
    return ApplianceProcess(folder, settings)


def worker(folder: Path, settings: Mapping[str, object], public_url: str) -> WorkerProcess:
    """Return a worker of one child, not started."""
    return WorkerProcess(folder, {**settings, "public_url": public_url, "workers": 1})
