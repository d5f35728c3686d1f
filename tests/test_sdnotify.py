"""systemd's end of the notify socket, played by a real one: what it is told, and when it is told no more."""

from __future__ import annotations

import os
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Self

import pytest

from imagemill.pool import Pool
from imagemill.sdnotify import Notifier, supervised
from imagemill.settings import ImageSettings
from tests.appliance_process import ApplianceProcess, needs_proc, until

WATCHDOG_S = 2.0
DEADLINE_S = 60.0


class Systemd:
    """Listens as systemd does, on a socket with or without a name in the file system."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address.replace("@", "\0", 1))
        self.socket.settimeout(DEADLINE_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def told(self) -> dict[str, str]:
        """Return the next message."""
        return dict(line.split("=", 1) for line in self.socket.recv(4096).decode().split("\n"))

    def is_silent_for(self, seconds: float) -> bool:
        """Say whether nothing was said for so long; one message is taken, where there is one."""
        self.socket.settimeout(seconds)
        try:
            self.socket.recv(4096)
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(DEADLINE_S)
        return False


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    with Systemd(str(tmp_path / "notify")) as listener:
        yield listener


def test_start_pings_and_end_are_told(tmp_path: Path, systemd: Systemd) -> None:
    environ = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "40000", "WATCHDOG_PID": str(os.getpid())}
    with supervised(lambda: "all is\nwell=1", environ):
        assert systemd.told() == {"READY": "1", "STATUS": "all is well=1"}
        assert systemd.told() == {"WATCHDOG": "1", "STATUS": "all is well=1"}
    while (last := systemd.told()).get("WATCHDOG"):
        pass
    assert last["STOPPING"] == "1"
    assert systemd.is_silent_for(0.1)


def test_a_socket_without_a_file_is_reached_too() -> None:
    name = f"@imagemill-test-{os.getpid()}"
    with Systemd(name) as listener, supervised(lambda: "well", {"NOTIFY_SOCKET": name}):
        assert listener.told()["READY"] == "1"


def test_without_systemd_nothing_happens(tmp_path: Path) -> None:
    for environ in ({}, {"NOTIFY_SOCKET": str(tmp_path / "nobody")}):
        with supervised(lambda: "well", environ):
            pass


@pytest.mark.parametrize(
    ("environ", "waits_s"),
    [
        ({"WATCHDOG_USEC": "60000000"}, None),
        ({"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "60000000"}, 60.0),
        ({"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, None),
        ({"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_it_pings_only_whom_it_is_asked_to(environ: dict[str, str], waits_s: float | None) -> None:
    assert Notifier(environ).watchdog_s == waits_s


def test_a_look_that_takes_too_long_is_no_ping(tmp_path: Path, systemd: Systemd) -> None:
    goes_on = threading.Event()
    goes_on.set()

    def look() -> str:
        goes_on.wait(DEADLINE_S)
        return "well"

    with supervised(look, {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "400000"}):
        assert systemd.told()["READY"] == "1"
        goes_on.clear()
        until(lambda: systemd.is_silent_for(1.0), DEADLINE_S, "what earlier looks have said is all")
        goes_on.set()
        assert systemd.told()["WATCHDOG"] == "1"


def test_a_pool_whose_keeper_or_lock_hangs_is_not_reached(tmp_path: Path) -> None:
    with Pool(ImageSettings(), 1, tmp_path) as pool:
        pool.reach()
        reaching = threading.Thread(target=pool.reach)
        with pool._changed:
            reaching.start()
            reaching.join(0.3)
            assert reaching.is_alive()
        reaching.join(DEADLINE_S)
        assert not reaching.is_alive()
    pool.reach()


@needs_proc
def test_the_appliance_tells_systemd_and_falls_silent_when_its_database_hangs(
    tmp_path: Path, systemd: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", str(int(WATCHDOG_S * 1_000_000)))
    with ApplianceProcess(tmp_path / "data") as appliance:
        ready = systemd.told()
        assert ready == {"READY": "1", "STATUS": f"ready at {appliance.url}"}
        assert systemd.told() == {"WATCHDOG": "1", "STATUS": f"ready at {appliance.url}"}
        with closing(sqlite3.connect(tmp_path / "data" / "imagemill.db", 60, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            until(lambda: systemd.is_silent_for(WATCHDOG_S), DEADLINE_S, "what earlier looks have said is all")
            other.execute("ROLLBACK")
        assert systemd.told()["WATCHDOG"] == "1"
        appliance.terminate()
        while "STOPPING" not in systemd.told():
            pass
        assert appliance.process.wait(DEADLINE_S) == 0
