"""A real PostgreSQL server for tests: Debian's programs, a folder and a user of its own, nothing ever flushed.

    @needs_postgres                                        # skips, with a reason, where it is not installed
    def test_…(postgres: PostgresServer) -> None:          # the session's one server, from tests/conftest.py
        open_database(postgres.make_database())            # an empty database of one's own
        with postgres.outage(): …                          # is not there, as a server that was stopped hard

The store of most tests is `postgres.cleared()`: one database that is emptied for each, which takes 10 ms and not 100.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Self

import pytest

from imagemill.db import open_database
from tests.appliance_process import until
from tests.ports import free_port

_USER: Final = "postgres"
_SETTINGS: Final = (
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "shared_buffers=32MB",
    "max_connections=200",
    "autovacuum=off",
)


def _program(name: str) -> str | None:
    """Return where a program of PostgreSQL's is: Debian keeps them apart by version."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    return str(found[-1]) if found else shutil.which(name)


needs_postgres = pytest.mark.skipif(
    _program("initdb") is None or _program("postgres") is None,
    reason="needs PostgreSQL's server (Debian package postgresql)",
)

on_sqlite: Final = pytest.mark.parametrize("on", ["sqlite"])
"""A test that asks SQLite in its own words."""


class PostgresServer:
    """The server, while entered."""

    def __init__(self, *, address: str = "127.0.0.1", **settings: str) -> None:
        """Take a free port of an address of ours, whose neighbours may come in; nothing runs yet."""
        self.address, self.port = address, free_port(address)
        self._more = tuple(f"{name}={value}" for name, value in settings.items())
        self._server: subprocess.Popen[bytes] | None = None
        self._database: Any = None

    def __enter__(self) -> Self:
        """Make a cluster and start it."""
        with contextlib.ExitStack() as stack:
            self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="imagemill-postgres-")))
            if os.geteuid() == 0:  # whom it refuses to run as
                shutil.chown(self._folder, _USER)
            self._run("initdb", "-D", f"{self._folder}/data", "-U", _USER, "-A", "trust", "-E", "UTF8", "--no-sync")
            with (self._folder / "data" / "pg_hba.conf").open("a") as rules:
                rules.write(f"host all all {self.address}/24 trust\n")
            stack.callback(self.stop)
            self.start()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave nothing."""
        if self._database is not None:
            self._database.close()
        self._stack.close()

    def start(self) -> None:
        """Run, on the same port as before."""
        told = [word for line in (*_SETTINGS, f"listen_addresses={self.address}", *self._more) for word in ("-c", line)]
        where = ["-D", f"{self._folder}/data", "-k", str(self._folder), "-p", str(self.port)]
        with (self._folder / "log").open("ab") as log:
            self._server = subprocess.Popen(self._as_user("postgres", *where, *told), stdout=log, stderr=log)
        until(self._answers, 30, "PostgreSQL answers")

    def stop(self) -> None:
        """Be gone at once: connections break. What was committed stays."""
        if self._server is not None:
            self._server.send_signal(3)  # SIGQUIT: immediate shutdown
            self._server.wait(60)
            self._server = None

    @contextlib.contextmanager
    def outage(self) -> Iterator[None]:
        """Be gone for a block."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def url(self, database: str) -> str:
        """Return the address of a database."""
        return f"postgresql://{_USER}@{self.address}:{self.port}/{database}"

    def make_database(self) -> str:
        """Make an empty database, and return its address."""
        name = f"test_{uuid.uuid4().hex}"
        self._run("psql", "-qc", f"CREATE DATABASE {name}", self.url("postgres"))
        return self.url(name)

    def drop_database(self, url: str) -> None:
        """Remove a database: after a crash the server flushes every file of every one before it answers."""
        self._run("psql", "-qc", f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)", self.url("postgres"))

    def query(self, url: str, sql: str) -> str:
        """Return what psql says, past all code of ours."""
        return self._run("psql", "-qAtc", sql, url)

    @contextlib.contextmanager
    def locked(self, url: str, table: str) -> Iterator[None]:
        """Keep everybody from a table for a block."""
        with subprocess.Popen(
            self._as_user("psql", "-qAt", url), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as client:
            assert client.stdin is not None
            assert client.stdout is not None
            client.stdin.write(f"BEGIN; LOCK TABLE {table}; SELECT 'held';\n")
            client.stdin.flush()
            assert client.stdout.readline() == "held\n"
            yield
            client.communicate("ROLLBACK;\n", timeout=180)

    def dump(self, url: str) -> Path:
        """Return a file with all of a database, as pg_dump makes it while others write."""
        file = self._folder / f"{uuid.uuid4().hex}.dump"
        self._run("pg_dump", "-Fc", "-f", str(file), url)
        return file

    def restore(self, file: Path) -> str:
        """Put a dump into a database of its own, and return its address."""
        url = self.make_database()
        self._run("pg_restore", "--no-owner", "--exit-on-error", "-d", url, str(file))
        return url

    def cleared(self) -> Any:  # noqa: ANN401  the dialect is not ours to name here
        """Return the one database of our schema whose tables are empty, and count from 1."""
        if self._database is None:
            self._database = open_database(self.make_database())
            listed = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'migration'"
            self._tables = ", ".join(name for (name,) in self._database.rows(listed))
        self._database.touched(f"TRUNCATE {self._tables} RESTART IDENTITY")
        return self._database

    def _answers(self) -> bool:
        assert self._server is not None
        assert self._server.poll() is None, (self._folder / "log").read_text()
        asked = [_program("pg_isready") or "pg_isready", "-q", "-h", self.address, "-p", str(self.port)]
        return subprocess.run(asked, check=False).returncode == 0

    def _run(self, name: str, *words: str) -> str:
        done = subprocess.run(self._as_user(name, *words), capture_output=True, text=True, timeout=180, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _as_user(self, name: str, *words: str) -> list[str]:
        """Return a command that goes when we go, run by a user who may."""
        program = _program(name)
        assert program is not None
        user = ["--reuid", _USER, "--regid", _USER, "--clear-groups"] if os.geteuid() == 0 else []
        return ["setpriv", *user, "--pdeathsig", "KILL", program, *words]
