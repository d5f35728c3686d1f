"""A spawn target that enters the sandbox as a pool child does, and then tries to get out of it by every way we know."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import platform
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from imagemill.imaging import confine, engine, sandbox

Way = Callable[[], object]


def _io_uring() -> int:
    return _called(ctypes.CDLL(None, use_errno=True).syscall(425, 1, ctypes.create_string_buffer(120)))


def _called(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return result


def ways(secret: str, parent: int) -> dict[str, Way]:
    """Everything that must fail; `secret` is a file of the data folder."""
    libc = ctypes.CDLL(None, use_errno=True)
    tgkill = confine._TGKILL[confine._MACHINES.get(platform.machine(), (0, 0))[1]]
    return {
        "open a TCP socket": lambda: socket.socket().close(),
        "open a UDP socket": lambda: socket.socket(type=socket.SOCK_DGRAM).close(),
        "open a Unix socket": lambda: socket.socket(socket.AF_UNIX).close(),
        "make a pair of sockets": socket.socketpair,
        "connect": lambda: socket.create_connection(("127.0.0.1", 1), 1),
        "resolve a name": lambda: socket.getaddrinfo("example.com", 80),
        "set up io_uring": _io_uring,
        "fork": lambda: os.fork() or os._exit(0),
        "start a program": lambda: subprocess.run([sys.executable, "-V"], check=True),
        "become a program": lambda: os.execv("/bin/true", ["true"]),
        "kill the parent": lambda: os.kill(parent, 0),
        "signal a thread of the parent": lambda: _called(libc.syscall(tgkill, parent, parent, 0)),
        "trace the parent": lambda: _called(libc.ptrace(16, parent, 0, 0)),
        "leave its namespaces": lambda: _called(libc.unshare(0x20000)),
        "read the passwords' file": lambda: Path("/etc/passwd").read_bytes(),
        "read a secret": lambda: Path(secret).read_bytes(),
        "list the data folder": lambda: list(Path(secret).parent.iterdir()),
        "change a secret": lambda: Path(secret).write_text("ours"),
        "remove a secret": lambda: Path(secret).unlink(),
        "write beside the spool": lambda: Path(secret).with_name("new").write_bytes(b"x"),
        "climb out of the spool": lambda: Path(secret).parent.joinpath("spool", "..", "new").write_bytes(b"x"),
        "link a secret into the spool": lambda: os.link(secret, Path(secret).parent / "spool" / "stolen"),
        "write into /tmp": lambda: Path("/tmp/imagemill-escaped").write_bytes(b"x"),
        "look at another process": lambda: Path(f"/proc/{parent}/environ").read_bytes(),
    }


def chores(spool: str) -> dict[str, Way]:
    """What a child needs, and must still be able to do."""
    place = Path(spool) / "made-1"

    def thread() -> None:
        found: list[int] = []
        worker = threading.Thread(target=found.append, args=(1,))
        worker.start()
        worker.join(60)
        assert found == [1]

    return {
        "write into the spool": lambda: place.write_bytes(b"x"),
        "read from the spool": place.read_bytes,
        "remove from the spool": place.unlink,
        "start a thread": thread,
        "import": lambda: __import__("colorsys"),
    }


def main(pipe: Connection, secret: str, parent: int) -> None:
    """Send what each way came to: the name of its errno, or `done`; then the descriptors that are open."""
    engine.describe()
    spool = str(Path(secret).parent / "spool")
    sandbox.enter(512, parent, spool)
    told = {name: _outcome(way) for name, way in (ways(secret, parent) | chores(spool)).items()}
    pipe.send((told, [_target(number) for number in range(64)], pipe.fileno()))
    with contextlib.suppress(EOFError):
        pipe.recv()
    signal.raise_signal(signal.SIGABRT)


def _outcome(way: Way) -> str:
    try:
        way()
    except socket.gaierror:
        return "no address"
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, "OSError")
    return "done"


def _target(number: int) -> str:
    """Say what a descriptor is: /proc is closed, so by its kind."""
    try:
        mode = os.fstat(number).st_mode
    except OSError:
        return ""
    return {0o020000: "device", 0o100000: "file", 0o010000: "pipe", 0o140000: "socket"}.get(mode & 0o170000, "other")
