"""A network of its own for a machine: a namespace with one line to ours, which can be cut as a real one is.

    network = Network()                                # `no_network()` says why there can be none
    with network:                                      # servers listen on network.address meanwhile
        line = network.line()                          # a machine's, at line.address
        ApplianceProcess(folder, {"host": line.address}, address=line.address, program=line.program(folder, SOURCE))
        line.drop(); line.unplug(); line.mend()

No name outlives us, however we end: a namespace is held by a process that goes when we go, and takes its line along.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final, Self

from tests.appliance_process import until

_TOOLS: Final = ("ip", "tc", "nsenter", "unshare", "setpriv")
_NETS: Final = "198.18"
"""Two bytes of the addresses that are nobody's, for measuring networks (RFC 2544)."""


class Line:
    """A machine's own network, and its line to ours."""

    def __init__(self, name: str, hub: str, addresses: Iterator[str]) -> None:
        self.address = next(addresses)
        self._name, self._hub, self._addresses = name, hub, addresses
        self._holder = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "sleep", "infinity"])
        self._inside = f"--net=/proc/{self._holder.pid}/ns/net"
        until(lambda: _namespace(self._holder.pid) != _namespace(os.getpid()), 10, "the namespace is there")
        _run("ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", str(self._holder.pid))
        self._join()

    def program(self, folder: Path, program: Path) -> Path:
        """Return a program of `folder` that runs `program` in there."""
        found = folder / f"{program.name}-at-{self.address}"
        found.write_text(f'#!/bin/sh\nexec nsenter {self._inside} "{program}" "$@"\n')
        found.chmod(0o755)
        return found

    def drop(self) -> None:
        """Let everything vanish on its way, both ways, and nobody be told."""
        _run("tc", "qdisc", "replace", "dev", self._name, "root", "blackhole")
        self._there("tc", "qdisc", "replace", "dev", "eth0", "root", "blackhole")

    def unplug(self) -> None:
        """Take the network away from the machine, which sees it."""
        self._there("ip", "link", "set", "eth0", "down")

    def mend(self) -> None:
        """Be whole again, after either."""
        self._there("ip", "link", "set", "eth0", "up")
        with contextlib.suppress(subprocess.CalledProcessError):  # nothing was dropped
            _run("tc", "qdisc", "delete", "dev", self._name, "root")
            self._there("tc", "qdisc", "delete", "dev", "eth0", "root")

    def renew(self) -> None:
        """End as the network of a machine that has lost its power, and be a new one's: nobody answers for the old."""
        self.drop()
        _run("ip", "addr", "flush", "dev", self._name)
        self._there("ip", "addr", "flush", "dev", "eth0")
        self.address = next(self._addresses)
        self._join()
        self.mend()

    def close(self) -> None:
        """Take it away; whatever runs in there is cut off for good."""
        _run("ip", "link", "delete", self._name)
        self._holder.kill()
        self._holder.wait(10)

    def _join(self) -> None:
        _run("ip", "addr", "add", self._hub, "peer", self.address, "dev", self._name)
        _run("ip", "link", "set", self._name, "up")
        self._there("ip", "addr", "add", self.address, "peer", self._hub, "dev", "eth0")
        for device in ("lo", "eth0"):
            self._there("ip", "link", "set", device, "up")

    def _there(self, *command: str) -> None:
        _run("nsenter", self._inside, *command)


class Network:
    """Our end of all lines, while entered: servers listen on `address` when the first line is there."""

    def __init__(self) -> None:
        self._lines: list[Line] = []

    def __enter__(self) -> Self:
        """Find addresses that nobody on this machine has."""
        taken = _run("ip", "-o", "-4", "addr")
        nets = [f"{_NETS}.{n}" for n in range(1, 255) if f" {_NETS}.{n}." not in taken]
        net = random.choice(nets)
        self.address = f"{net}.1"
        self._addresses = (f"{net}.{n}" for n in range(2, 255))
        return self

    def __exit__(self, *_: object) -> None:
        """Take all lines away."""
        while self._lines:
            self._lines.pop().close()

    def line(self) -> Line:
        """Lay a line to a machine."""
        line = Line(f"im{os.getpid()}n{len(self._lines)}", self.address, self._addresses)
        self._lines.append(line)
        return line


@cache
def no_network() -> str:
    """Say why there can be none here; empty where there can."""
    if missing := [tool for tool in _TOOLS if shutil.which(tool) is None]:
        return f"needs Linux's {', '.join(missing)}"
    if os.geteuid() != 0:
        return "needs root, for namespaces"
    try:
        with Network() as network:
            line = network.line()
            line.drop()
            line.mend()
    except (OSError, subprocess.CalledProcessError) as error:
        return f"needs namespaces, veth and tc: {getattr(error, 'stderr', None) or error}"
    return ""


def _namespace(pid: int) -> str:
    return str(Path(f"/proc/{pid}/ns/net").readlink())


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
