"""A real Redis server for tests, on a free port, which forgets all when it goes.

@needs_redis                              # skips, with a reason, where it is not installed
def test_…(redis: RedisServer) -> None:   # the session's one server, from tests/conftest.py
    OnServer(redis.url, "machine")
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from typing import Final, Self

import pytest

from tests.appliance_process import until
from tests.ports import free_port

needs_redis: Final = pytest.mark.skipif(
    shutil.which("redis-server") is None, reason="needs Redis (Debian package redis-server)"
)


class RedisServer:
    """The server, while entered; `url` is its address."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        """Take a free port of an address of ours; nothing runs yet."""
        self.address, self.port = address, free_port(address)
        self.url = f"redis://{address}:{self.port}/0"
        self._server: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start it."""
        self._folder = tempfile.TemporaryDirectory(prefix="imagemill-redis-")
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave nothing."""
        self.stop()
        self._folder.cleanup()

    def start(self) -> None:
        """Run, on the same port as before, with nothing in it."""
        words = ["--port", str(self.port), "--bind", self.address, "--save", "", "--dir", self._folder.name]
        words += ["--protected-mode", "no"]  # it has no password, and machines of a test's network have to come in
        command = ["setpriv", "--pdeathsig", "KILL", "redis-server", *words]
        self._server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(lambda: self.ask("PING") == b"+PONG", 30, "Redis answers")

    def stop(self) -> None:
        """Be gone at once."""
        if self._server is not None:
            self._server.kill()
            self._server.wait(60)
            self._server = None

    @contextlib.contextmanager
    def outage(self) -> Iterator[None]:
        """Be gone for a block, and come back empty."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def ask(self, *words: str) -> bytes:
        """Return the first line of the answer to a command, past every library; empty where there is none."""
        with contextlib.suppress(OSError), socket.create_connection((self.address, self.port), 5) as line:
            line.sendall(f"{' '.join(words)}\r\n".encode())
            return line.makefile("rb").readline().strip()
        return b""
