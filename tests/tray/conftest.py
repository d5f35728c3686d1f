"""Desktops, and the desk in them as a process."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import httpx
import pytest
from PIL import Image

from imagemill.storage import Folders, Running, read_running
from tests.appliance_process import SOURCE, kill_session, session_pids, until
from tests.origin import Origin
from tests.tray.desktop import PANEL, Desktop

WAIT_S = 60.0


class Mill:
    """`imagemill` without a verb, on a desktop; whatever it has started ends with the block."""

    def __init__(self, desktop: Desktop, program: Path = SOURCE) -> None:
        self.desktop = desktop
        self._program = program
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        running = read_running(Folders(self.desktop.data_dir))
        if running is not None and Path(f"/proc/{running.pid}").exists():
            kill_session(running.pid)

    def start(self, *flags: str) -> None:
        """Start it."""
        self.process = self.desktop.start(self._stack, [self._program, *flags])

    @property
    def appliance(self) -> Running:
        """The appliance that runs."""
        until(self._running, WAIT_S, "the appliance is announced, and lives")
        found = self._running()
        assert found is not None
        return found

    def _running(self) -> Running | None:
        found = read_running(Folders(self.desktop.data_dir))
        return found if found is not None and session_pids(found.pid) else None

    def ask(self, method: str, path: str, **how: object) -> httpx.Response:
        """Ask the appliance."""
        token = Folders(self.desktop.data_dir).token.read_text().strip()
        headers = {"Authorization": f"Bearer {token}"}
        url = f"{self.appliance.address}/api/v1{path}"
        answer = httpx.request(method, url, headers=headers, trust_env=False, timeout=60, **how)  # type: ignore[arg-type]
        return answer.raise_for_status()

    def submit(self, name: str, links: list[str]) -> str:
        """Submit a sheet with a row for each link; return the job's id."""
        sheet = "\n".join(["Input Image Urls", *links, ""]).encode()
        files = {"file": (name, sheet, "text/csv")}
        return str(self.ask("POST", "/jobs", files=files, data={"name": name}).json()["id"])

    def says(self, words: str) -> None:
        """Wait until the icon says this."""
        until(lambda: words in self.desktop.title, WAIT_S, f"the icon says {words}", 0.1)

    def opened(self, count: int) -> str:
        """Wait until so many addresses were opened; return the last."""
        until(lambda: len(self.desktop.browsed()) >= count, WAIT_S, f"{count} pages were opened")
        return self.desktop.browsed()[count - 1]

    def ended(self) -> int:
        """Wait for its end."""
        return self.process.wait(WAIT_S)

    def interrupt(self) -> int:
        """Press Ctrl-C, and wait for its end."""
        self.process.send_signal(signal.SIGINT)
        return self.ended()


@pytest.fixture(scope="module")
def desktop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desktop]:
    """A desktop with a panel that shows StatusNotifierItems."""
    with Desktop(tmp_path_factory.mktemp("desktop"), PANEL) as desktop:
        yield desktop


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desktop]:
    """A desktop without a panel, also for what runs in this process."""
    with Desktop(tmp_path_factory.mktemp("bare")) as desktop, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DBUS_SESSION_BUS_ADDRESS", desktop.environ["DBUS_SESSION_BUS_ADDRESS"])
        patch.setenv("DISPLAY", desktop.environ["DISPLAY"])
        yield desktop


@pytest.fixture(scope="module")
def mill(desktop: Desktop) -> Iterator[Mill]:
    """The desk as it is after a double click."""
    with Mill(desktop) as mill:
        until(lambda: desktop.items, WAIT_S, "the panel has the item")
        yield mill


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Origin]:
    """An origin with one picture that can be made smaller, `apple.jpg`."""
    folder = tmp_path_factory.mktemp("origin")
    Image.effect_noise((400, 300), 80).save(folder / "apple.jpg", quality=95)
    with Origin(folder) as origin:
        yield origin
