"""A fast origin on loopback: nginx serving one folder, whose access log counts the fetches."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections import Counter
from pathlib import Path
from typing import Final, Self

import httpx
import pytest

from tests.appliance_process import until
from tests.ports import free_port

_NGINX: Final = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")

needs_nginx = pytest.mark.skipif(_NGINX is None, reason="needs nginx (Debian package nginx-light) as the origin")

# `user root` lets root's nginx read folders that only root may enter; anybody else's nginx ignores it.
_CONF: Final = """
user root;
daemon off;
worker_processes 1;
pid {run}/pid;
error_log {run}/error.log crit;
events {{ worker_connections 1024; }}
http {{
    log_format uri '$request_uri $status $body_bytes_sent';
    access_log {log};
    sendfile on;
    keepalive_requests 1000000;
    client_body_temp_path {run}/body; proxy_temp_path {run}/proxy; fastcgi_temp_path {run}/fastcgi;
    uwsgi_temp_path {run}/uwsgi; scgi_temp_path {run}/scgi;
    types {{ image/jpeg jpg jpeg; image/png png; image/webp webp; image/gif gif; }}
    server {{
        listen {address}:{port};
        location / {{ root "{folder}"; {tail} }}
        location = /tail {{ return 200 "$request_uri"; }}
        location = /so-far {{ access_log off; return 204; }}
    }}
}}
"""


class Nginx:
    """Serves `folder` while entered; `logs=False` for benchmarks.

    With `distinct` every address has bytes of its own: itself, behind the picture's end, where no decoder looks.
    """

    def __init__(self, folder: Path, *, logs: bool = True, distinct: bool = False, address: str = "127.0.0.1") -> None:
        """Take a free port of an address of ours; nothing runs yet."""
        self._address, self.port = address, free_port(address)
        self.url = f"http://{address}:{self.port}"
        self._run = Path(tempfile.mkdtemp(prefix="imagemill-origin-"))
        self._log = self._run / "access.log"
        log = f"{self._log} uri" if logs else "off"
        tail = "add_after_body /tail; addition_types *;" if distinct else ""
        conf = _CONF.format(run=self._run, log=log, address=address, port=self.port, folder=folder, tail=tail)
        (self._run / "nginx.conf").write_text(conf)

    def __enter__(self) -> Self:
        """Start and wait until it accepts connections."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it and remove its folder."""
        self.stop()
        shutil.rmtree(self._run)

    def start(self) -> None:
        """Start, on the same port as before, and wait until it accepts connections."""
        command = [
            str(_NGINX),
            "-p",
            str(self._run),
            "-c",
            str(self._run / "nginx.conf"),
            "-e",
            str(self._run / "error.log"),
        ]
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        until(self._accepts, 10, "nginx accepts connections")

    def stop(self) -> None:
        """Stop: connections are refused from now on."""
        self._process.terminate()
        self._process.wait(60)

    def hang(self, *, on: bool = True) -> None:
        """Take connections and answer none of them, or (`on` false) go on."""
        for each in self.pids():
            os.kill(each, signal.SIGSTOP if on else signal.SIGCONT)

    def pids(self) -> list[int]:
        """Return its processes, the master first."""
        pid = self._process.pid
        workers = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *map(int, workers)]

    def _accepts(self) -> bool:
        try:
            socket.create_connection((self._address, self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def take_fetches(self) -> Counter[str]:
        """Return how often each path was asked for since the last call."""
        return Counter(path for path, _, _ in self._take())

    def take_answers(self) -> tuple[Counter[int], int]:
        """Return how often each status was answered since the last call, and how many bytes were sent."""
        answers = self._take()
        return Counter(int(status) for _, status, _ in answers), sum(int(sent) for _, _, sent in answers)

    def _take(self) -> list[list[str]]:
        # An answer's line is written after its last byte: the one worker does this first, and then answers us.
        httpx.get(f"{self.url}/so-far", trust_env=False).raise_for_status()
        lines = self._log.read_text().splitlines()
        self._log.write_text("")
        return [line.rsplit(" ", 2) for line in lines]
