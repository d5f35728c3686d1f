"""`imagemill` without a verb, as a double click calls it: the appliance, its icon, its page."""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

import click

from imagemill.cli import console
from imagemill.core.errors import StartError

if TYPE_CHECKING:
    from imagemill.tray.bus import Bus
    from imagemill.tray.desk import Desk
    from imagemill.tray.neighbour import Neighbour
    from imagemill.tray.surfaces import Surface

PANEL_S: Final = 1.0
PANEL_AT_LOGIN_S: Final = 30.0
"""A panel that shows icons is there, or starts with the session: so long it is waited for."""

_OTHER_S: Final = 15.0
"""A tray that is there already may be starting its appliance just now."""

_END_S: Final = 15.0
_NO_TRAY: Final = (
    "This desktop has no place for icons of programs (GNOME has one with its extension AppIndicator). "
    "imagemill runs all the same: `imagemill` opens its page, and `imagemill --quit` ends it."
)


def has_display() -> bool:
    """Say whether there is a desktop that could show something."""
    if sys.platform == "darwin":
        return "SSH_CONNECTION" not in os.environ
    return sys.platform == "win32" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def show_desk(*, is_at_login: bool) -> int:
    """Start the appliance if none runs, show the icon until it is quit, and open the page unless this is a login."""
    from imagemill.program import own_command
    from imagemill.tray.desk import Desk
    from imagemill.tray.login import login_of
    from imagemill.tray.menu import Act
    from imagemill.tray.opening import restore_environment

    neighbour = _neighbour()
    restore_environment(os.environ)
    desk = Desk(neighbour, login_of(own_command()))
    if not is_at_login:
        desk.ask(Act.OPEN)
    with ExitStack() as stack:
        if not _is_first(stack, neighbour):
            return _told(desk, _OTHER_S)
        neighbour.tray_pid = os.getpid()
        desk.begin()
        return _with_icon(desk, neighbour, PANEL_AT_LOGIN_S if is_at_login else PANEL_S)


def quit_desk() -> int:
    """End the appliance that a tray has started, and the tray."""
    neighbour = _neighbour()
    tray = None if _is_free(neighbour) else neighbour.tray_pid
    if not neighbour.is_ours and tray is None:
        click.echo("There is nothing to quit: no imagemill of the desk is running.", err=True)
        return console.ExitCode.FAILED
    neighbour.stop()
    if tray is not None:
        os.kill(tray, signal.SIGTERM)
    return console.ExitCode.DONE


def _neighbour() -> Neighbour:
    from imagemill.tray.neighbour import Neighbour

    loaded = console.load_settings(None)
    console.start_logging("warning", loaded.settings)
    return Neighbour(loaded.settings, keeps_port=loaded.origins["port"] != "default")


def _is_free(neighbour: Neighbour) -> bool:
    """Say whether there is no tray."""
    with ExitStack() as stack:
        return _is_first(stack, neighbour)


def _is_first(stack: ExitStack, neighbour: Neighbour) -> bool:
    """Say whether there is no other tray, and hold its place."""
    from imagemill.storage import locked

    neighbour.folders.make()
    try:
        stack.enter_context(locked(neighbour.folders.tray_lock))
    except StartError:
        return False
    return True


def _with_icon(desk: Desk, neighbour: Neighbour, wait_s: float) -> int:
    from imagemill.tray.surfaces import find_surface

    bus = _session_bus()
    surface = find_surface(desk.ask, bus, wait_s)
    if surface is None:
        _say_once(neighbour, bus)
        return _told(desk, None)
    _show(desk, surface)
    return console.ExitCode.DONE


def _session_bus() -> Bus | None:
    """Return the session's D-Bus, where there is one."""
    from imagemill.tray.bus import Bus, BusError

    try:
        return Bus()
    except BusError:
        return None


def _show(desk: Desk, surface: Surface) -> None:
    """Give the surface the main thread and the desk another, until one of them ends."""
    from imagemill.tray.menu import Act

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: desk.ask(Act.CLOSE))
    thread = threading.Thread(target=desk.run, args=[surface], name="desk")
    thread.start()
    surface.run()
    desk.ask(Act.CLOSE)
    thread.join(_END_S)


def _told(desk: Desk, patience_s: float | None) -> int:
    """Wait for the appliance, open what was asked for, and say it where that fails."""
    view = desk.settle() if patience_s is None else desk.settle(patience_s)
    if view.trouble:
        console.complain(view.headline)
        return console.ExitCode.FAILED
    return console.ExitCode.DONE


def _say_once(neighbour: Neighbour, bus: Bus | None) -> None:
    """Say that there is no icon, the first time only."""
    from imagemill.tray.endings import Notice
    from imagemill.tray.notices import Notices

    click.echo(_NO_TRAY, err=True)
    said = neighbour.folders.root / "no-tray-was-told"
    if bus is not None and not said.exists():
        said.touch()
        Notices(bus, lambda _: None).tell(Notice("imagemill has no icon here", _NO_TRAY))
