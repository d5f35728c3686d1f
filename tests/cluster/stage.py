"""The machines of a cluster, as processes with data folders and lines of their own, and what they share."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self

from tests.appliance_process import SOURCE, ApplianceProcess, WorkerProcess
from tests.network import Line, Network
from tests.postgres_server import PostgresServer
from tests.redis_server import RedisServer
from tests.s3_server import S3Server
from tests.tcp_proxy import TcpProxy

BESIDE: Final = "127.0.0.1"
"""Where everything is that has no network of its own."""

_LINES: Final = ("PostgreSQL", "Redis", "S3")


class Shared:
    """PostgreSQL, which flushes as one should, Redis and S3, while entered."""

    def __init__(self, folder: Path, address: str = BESIDE) -> None:
        self.postgres = PostgresServer(address=address, fsync="on", shared_preload_libraries="pg_stat_statements")
        self.redis, self.s3 = RedisServer(address), S3Server(folder, address)
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

    def now(self) -> float:
        """Return the time that leases are measured by."""
        return float(self.postgres.query(self.database, "SELECT extract(epoch FROM clock_timestamp())"))

    def living(self, since: float) -> set[str]:
        """Return the names of the machines that have said since then that they live."""
        seen = self.postgres.query(self.database, f"SELECT name FROM machine WHERE seen_at > {since}")
        return {name.rstrip("-") for name in seen.split()}

    def holders(self) -> set[str]:
        """Return the names of the machines that have images in hand."""
        held = "SELECT DISTINCT split_part(lease, '-', 1) FROM image WHERE state = 'running'"
        return set(self.postgres.query(self.database, held).split())


class Proxies:
    """A machine's own lines to all that it shares, where it has no network of its own: they can be cut."""

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
        return {name: line.trips for name, line in zip(_LINES, self._lines, strict=True)}

    def passed_bytes(self) -> dict[str, int]:
        """Return how many bytes went over each, both ways."""
        return {name: line.passed_bytes for name, line in zip(_LINES, self._lines, strict=True)}

    def drop(self) -> None:
        """Let everything vanish on its way; nobody is told."""
        for line in self._lines:
            line.hang()

    def unplug(self) -> None:
        """Break what is open, and let nothing through."""
        for line in self._lines:
            line.refuse()

    def mend(self) -> None:
        """Be whole again."""
        for line in self._lines:
            line.mend()

    renew = mend


class Worker(WorkerProcess):
    """A worker of one child, at the end of a line."""

    def __init__(self, folder: Path, settings: Mapping[str, object], line: Line | Proxies, program: Path) -> None:
        super().__init__(folder, {**settings, "workers": 1}, program=program)
        self.line = line

    @property
    def name(self) -> str:
        """What it is called among the machines."""
        return (self.data_dir / "node").read_text().strip()

    def lose_power(self) -> None:
        """Be gone without a word to anybody, and come back."""
        self.line.drop()
        self.kill()
        self.line.renew()
        self.launch()


class Site:
    """Where machines stand: each in a network of its own, or, where `reason` says why not, all beside us."""

    def __init__(self, stack: contextlib.ExitStack, folder: Path, machines: int, reason: str) -> None:
        self._stack, self._folder = stack, folder
        self._network = None if reason else stack.enter_context(Network())
        self._lines = [self._network.line() for _ in range(machines)] if self._network else []
        self.address = self._network.address if self._network else BESIDE

    def server(self, name: str, settings: Mapping[str, object]) -> ApplianceProcess:
        """Return a server, not started."""
        if not self._lines:
            return ApplianceProcess(self._folder / name, settings)
        line = self._lines.pop()
        program, address = line.program(self._folder, SOURCE), line.address
        own = {**settings, **self._allowed(), "host": address}
        return ApplianceProcess(self._folder / name, own, program=program, address=address)

    def worker(self, name: str, settings: Mapping[str, object], shared: Shared) -> Worker:
        """Return a worker, not started."""
        if not self._lines:
            proxies = self._stack.enter_context(Proxies(shared))
            return Worker(self._folder / name, {**settings, **proxies.settings()}, proxies, SOURCE)
        line = self._lines.pop()
        program = line.program(self._folder, SOURCE)
        return Worker(self._folder / name, {**settings, **self._allowed()}, line, program)

    def _allowed(self) -> dict[str, str]:
        """Return settings that let machines fetch from us, and call us back."""
        return dict.fromkeys(("fetch_allow", "callback_allow"), f"{self.address}/32")
