"""Where the desk is not at home: no panel, an old one, an appliance of somebody else's, a port that is taken."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from imagemill.storage import Folders, read_running
from tests.appliance_process import FROZEN, SOURCE, kill_session, needs_proc, session_pids, until
from tests.tray.conftest import WAIT_S, Mill
from tests.tray.desktop import OLD_PANEL, Desktop, needs_desktop, shows

pytestmark = [needs_desktop, needs_proc, pytest.mark.slow]

needs_frozen = pytest.mark.skipif(not FROZEN.exists(), reason="`make binary` has not been run")
GREEN = "#0f5c5c"


def called(desktop: Desktop, *flags: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Call the program and wait for its end."""
    return subprocess.run(
        [SOURCE, *flags],
        env={**desktop.environ, **variables},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def test_without_a_panel_the_page_serves_instead(bare: Desktop) -> None:
    first = called(bare)
    assert (first.returncode, first.stdout) == (0, "")
    assert "This desktop has no place for icons" in first.stderr
    appliance = read_running(Folders(bare.data_dir))
    assert appliance is not None
    assert session_pids(appliance.pid)
    assert [title for title, _ in bare.notifications()] == ["imagemill has no icon here"]
    again = called(bare)
    assert (again.returncode, len(bare.notifications())) == (0, 1), "it is told once"
    until(lambda: len(bare.browsed()) == 2, WAIT_S, "the page was opened both times")
    assert called(bare, "--quit").returncode == 0
    until(lambda: not session_pids(appliance.pid), WAIT_S, "the appliance has ended")
    nothing = called(bare, "--quit")
    assert (nothing.returncode, "nothing to quit" in nothing.stderr) == (1, True)


def test_why_it_cannot_start_is_said(bare: Desktop, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        failed = called(bare, IMAGEMILL_DATA_DIR=str(tmp_path / "other"), IMAGEMILL_PORT=port)
    assert failed.returncode == 1
    assert f"imagemill: cannot listen on 127.0.0.1:{port}" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_a_start_that_failed_is_seen_and_can_be_tried_again(desktop: Desktop) -> None:
    taken = socket.create_server(("127.0.0.1", desktop.port))
    with Mill(desktop) as mill:
        until(lambda: desktop.items, WAIT_S, "the panel has the item")
        mill.says(f"cannot listen on 127.0.0.1:{desktop.port}")
        line = desktop.line("Open imagemill")
        assert line is not None
        assert not line.is_enabled
        taken.close()
        desktop.choose("Start it again")
        mill.says("nothing to do")
        appliance = mill.appliance
        assert called(desktop, "--quit").returncode == 0
        assert mill.ended() == 0
        until(lambda: not session_pids(appliance.pid), WAIT_S, "both have ended")


def test_without_a_display_there_is_help(bare: Desktop) -> None:
    told = called(bare, DISPLAY="", WAYLAND_DISPLAY="")
    assert told.returncode == 0
    assert "Usage: imagemill" in told.stdout


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Desktop]:
    with Desktop(tmp_path, OLD_PANEL) as desktop:
        yield desktop


@pytest.mark.parametrize("program", [SOURCE, pytest.param(FROZEN, marks=needs_frozen)], ids=["source", "frozen"])
def test_an_old_panel_has_an_icon_that_opens_the_page(old: Desktop, program: Path) -> None:
    with Mill(old, program) as mill:
        mill.opened(1)
        until(lambda: shows(old.picture("old"), (12, 16), GREEN), WAIT_S, "the icon is seen")
        old.click(12, 16, button=1)
        assert "/sign-in?code=" in mill.opened(2)
        appliance = mill.appliance
        assert mill.interrupt() == 0
        assert session_pids(appliance.pid), "the appliance goes on"


def test_what_was_started_elsewhere_is_found_and_left_alone(desktop: Desktop) -> None:
    """Also when it is stopped and started again below the icon, at another address."""
    serve: list[str | Path] = [SOURCE, "serve", "--port", "0"]
    mill = Mill(desktop)
    with ExitStack() as stack:
        first = desktop.start(stack, serve)
        appliance = mill.appliance
        stack.enter_context(mill)
        until(lambda: desktop.items, WAIT_S, "the panel has the item")
        mill.says("nothing to do")
        first.send_signal(signal.SIGTERM)
        assert first.wait(WAIT_S) == 0
        mill.says("does not answer")
        second = desktop.start(stack, serve)
        mill.says("nothing to do")
        assert mill.appliance.address != appliance.address
        desktop.choose("Close this icon")
        assert mill.ended() == 0
        assert second.poll() is None
        kill_session(second.pid)


@needs_frozen
def test_the_frozen_program_does_it_all(desktop: Desktop) -> None:
    with Mill(desktop, FROZEN) as mill:
        until(lambda: desktop.items, WAIT_S, "the panel has the item")
        assert "/sign-in?code=" in mill.opened(1)
        mill.says("nothing to do")
        appliance = mill.appliance
        assert Path(f"/proc/{appliance.pid}/exe").resolve() == FROZEN.resolve()
        line = desktop.line("Quit")
        assert line is not None
        desktop.choose("Quit")
        assert mill.ended() == 0
        until(lambda: not session_pids(appliance.pid), WAIT_S, "the appliance has ended too")
