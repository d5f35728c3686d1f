"""What can show the desk here: one small interface, and the choice between those who have it."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

from imagemill.tray.menu import Act, Face

if TYPE_CHECKING:
    from imagemill.tray.bus import Bus
    from imagemill.tray.endings import Notice

log = logging.getLogger(__name__)

Ask = Callable[[Act, str], None]

LOOK_EVERY_S: Final = 0.25


class Surface(Protocol):
    """Where a face is shown. `run` has the main thread until `leave`; the others are called from another one."""

    def run(self) -> None:
        """Show it until `leave` is called, or until the session ends."""
        ...

    def show(self, face: Face) -> None:
        """Show another face."""
        ...

    def tell(self, notice: Notice) -> None:
        """Show a notification; where there are none, nothing happens."""
        ...

    def leave(self) -> None:
        """Let `run` return."""
        ...


def find_surface(ask: Ask, bus: Bus | None, wait_s: float) -> Surface | None:
    """Return what can show the desk; None where nothing can. A panel may need `wait_s` seconds after the login."""
    from imagemill.tray.plain import PlainIcon  # noqa: PLC0415  Pillow is not needed where there is no tray

    if sys.platform in {"win32", "darwin"}:
        return PlainIcon(ask)
    ends_at = time.monotonic() + wait_s
    while (found := _on_linux(ask, bus)) is None and time.monotonic() < ends_at:
        time.sleep(LOOK_EVERY_S)
    return found


def _on_linux(ask: Ask, bus: Bus | None) -> Surface | None:
    from imagemill.tray import item, notices, plain  # noqa: PLC0415  as above

    if bus is not None and item.is_shown(bus):
        return item.StatusNotifierItem(bus, ask)
    if plain.has_tray():
        return plain.PlainIcon(ask, notices.Notices(bus, lambda path: ask(Act.OPEN, path)) if bus else None)
    return None
