"""The icon by pystray: Windows, macOS, and X11 where a panel has only the old system tray.

On X11 pystray shows an icon without a menu, and a click opens the page: that has everything the menu has. Not imported
before it is wanted: importing pystray opens the display.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import Any, Final

from imagemill.tray.endings import Notice
from imagemill.tray.icon import drawn, drawn_of
from imagemill.tray.menu import STARTING, Act, Face, Item
from imagemill.tray.notices import Notices

SIDE: Final = 64
_TITLE_CHARS: Final = 127
_BODY_CHARS: Final = 255
"""What Windows has room for in a tooltip and in a notification."""

IS_X11: Final = sys.platform not in {"win32", "darwin"}


def has_tray() -> bool:
    """Say whether the display has a system tray of the old kind (freedesktop's System Tray Protocol)."""
    from Xlib import X, display, error  # noqa: PLC0415  a part of pystray; only where there is X11

    try:
        screen = display.Display()
    except (error.DisplayError, OSError):
        return False
    try:
        selection = screen.intern_atom(f"_NET_SYSTEM_TRAY_S{screen.get_default_screen()}")
        return bool(screen.get_selection_owner(selection) != X.NONE)
    finally:
        screen.close()


class PlainIcon:
    """A surface by pystray. `notices` are the session's, where pystray itself shows none."""

    def __init__(self, ask: Callable[[Act, str], None], notices: Notices | None = None) -> None:
        if IS_X11:
            os.environ.setdefault("PYSTRAY_BACKEND", "xorg")  # its others need GTK, which is not in a frozen program
        import pystray  # noqa: PLC0415  it opens the display

        self._pystray = pystray
        self._ask = ask
        self._notices = notices
        self._face = STARTING
        self._left = threading.Event()
        self._icon = pystray.Icon("imagemill", _picture(STARTING), "imagemill", pystray.Menu(self._lines))

    def run(self) -> None:
        """Show the icon until `leave`. In the main thread: macOS wants that."""
        if not IS_X11:
            self._icon.run(setup=self._appear)
            return
        _hear_clicks(self._icon)
        # Its X11 part does not hear that its window is gone, and would wait for ever.
        threading.Thread(target=self._icon.run, args=[self._appear], name="icon", daemon=True).start()
        self._left.wait()

    def show(self, face: Face) -> None:
        """Show another face."""
        before, self._face = self._face, face
        if not self._icon.visible:
            return
        if drawn_of(before) != drawn_of(face):
            self._icon.icon = _picture(face)
        self._icon.title = face.title[:_TITLE_CHARS]
        if before.menu != face.menu:
            self._icon.update_menu()

    def tell(self, notice: Notice) -> None:
        """Show a notification."""
        if self._notices is not None:
            self._notices.tell(notice)
        elif self._icon.HAS_NOTIFICATION:
            self._icon.notify(notice.body[:_BODY_CHARS], notice.title[: _TITLE_CHARS // 2])

    def leave(self) -> None:
        """Let `run` return."""
        self._icon.stop()
        self._left.set()

    def _appear(self, icon: Any) -> None:  # noqa: ANN401  pystray has no types
        icon.icon = _picture(self._face)
        icon.title = self._face.title[:_TITLE_CHARS]
        icon.visible = True

    def _lines(self) -> list[Any]:
        return [self._line(item) for item in self._face.menu]

    def _line(self, item: Item) -> Any:  # noqa: ANN401
        if item.is_separator:
            return self._pystray.Menu.SEPARATOR
        return self._pystray.MenuItem(
            item.label.replace("&", "&&") if sys.platform == "win32" else item.label,
            self._pystray.Menu(*map(self._line, item.items)) if item.items else lambda *_: self._clicked(item),
            checked=None if item.is_checked is None else lambda _: bool(item.is_checked),
            default=item.is_default,
            enabled=item.is_enabled,
        )

    def _clicked(self, item: Item) -> None:
        if item.act is not None:
            self._ask(item.act, item.argument)


def _hear_clicks(icon: Any) -> None:  # noqa: ANN401
    """Ask the display for clicks on the icon: pystray has a function for them, and forgets to ask."""
    from Xlib import X  # noqa: PLC0415  as above

    window = getattr(icon, "_window", None)
    if window is not None:
        window.change_attributes(event_mask=X.ExposureMask | X.StructureNotifyMask | X.ButtonPressMask)


def _picture(face: Face) -> Any:  # noqa: ANN401  PIL's, which is the icon's business
    return drawn(*drawn_of(face), SIDE)
