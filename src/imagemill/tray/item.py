"""A StatusNotifierItem: the icon of KDE, Xfce, LXQt, MATE, Cinnamon, sway's bars, and GNOME with its extension.

https://www.freedesktop.org/wiki/Specifications/StatusNotifierItem/ — the panel draws, we describe. The item outlives
the panel: whenever a watcher appears, it is registered with it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from imagemill.tray import menu_tree
from imagemill.tray.bus import Body, Bus, BusError, Interface, Method, Variant, Whom
from imagemill.tray.endings import Notice
from imagemill.tray.icon import argb, drawn_of
from imagemill.tray.menu import STARTING, Act, Face
from imagemill.tray.notices import Notices

INTERFACE: Final = "org.kde.StatusNotifierItem"
PATH: Final = "/StatusNotifierItem"
WATCHER: Final = "org.kde.StatusNotifierWatcher"
SIDES: Final = (22, 32, 48)
"""Panels are 16 to 48 pixels high, and choose the size that is nearest."""

_WATCHER: Final = Whom("/StatusNotifierWatcher", WATCHER, WATCHER)


def is_shown(bus: Bus) -> bool:
    """Say whether there is a panel that shows such items: a watcher alone only keeps a list of them."""
    try:
        return bus.has_owner(WATCHER) and bool(bus.value(_WATCHER, "IsStatusNotifierHostRegistered"))
    except BusError:
        return False


class StatusNotifierItem:
    """A surface on the session's bus. `ask` is called by the bus's thread."""

    def __init__(self, bus: Bus, ask: Callable[[Act, str], None]) -> None:
        self._bus = bus
        self._ask = ask
        self._face = STARTING
        self._notices = Notices(bus, lambda path: ask(Act.OPEN, path))
        self._menu = menu_tree.MenuTree(bus, lambda item: ask(item.act, item.argument) if item.act else None)
        self.name = f"{INTERFACE}-{os.getpid()}-1"

    def run(self) -> None:
        """Show the item until `leave`, or until the session ends."""
        methods = {
            "Activate": Method(("i", "i"), (), self._open),
            "SecondaryActivate": Method(("i", "i"), (), self._open),
            "ContextMenu": Method(("i", "i"), (), lambda *_: ()),  # panels draw it themselves, from the menu's tree
            "Scroll": Method(("i", "s"), (), lambda *_: ()),
        }
        self._bus.serve(PATH, Interface(INTERFACE, methods, self._properties))
        self._bus.hear("org.freedesktop.DBus", "NameOwnerChanged", self._owner_changed)
        self._bus.take_name(self.name)
        self._register()
        self._bus.wait()

    def show(self, face: Face) -> None:
        """Show another face."""
        before, self._face = self._face, face
        self._menu.show(face.menu)
        if before.title != face.title:
            for signal in ("NewTitle", "NewToolTip"):
                self._bus.emit(PATH, INTERFACE, signal)
        if drawn_of(before) != drawn_of(face):
            self._bus.emit(PATH, INTERFACE, "NewIcon")

    def tell(self, notice: Notice) -> None:
        """Show a notification."""
        self._notices.tell(notice)

    def leave(self) -> None:
        """Let `run` return."""
        self._bus.close()

    def _register(self) -> None:
        """Tell the watcher; where there is none now, it is told when it appears."""
        self._bus.send(_WATCHER, "RegisterStatusNotifierItem", "s", self.name)

    def _owner_changed(self, body: Body) -> None:
        name, _, owner = body
        if name == WATCHER and owner:
            self._register()

    def _open(self, *_: int) -> Body:
        self._ask(Act.OPEN, "")
        return ()

    def _properties(self) -> dict[str, Variant]:
        face = self._face
        pictures = [(side, side, argb(*drawn_of(face), side)) for side in SIDES]
        return {
            "Category": ("s", "ApplicationStatus"),
            "Id": ("s", "imagemill"),
            "Title": ("s", face.title),
            "Status": ("s", "Active"),
            "WindowId": ("i", 0),
            "IconName": ("s", ""),
            "IconPixmap": ("a(iiay)", pictures),
            "OverlayIconName": ("s", ""),
            "AttentionIconName": ("s", ""),
            "ToolTip": ("(sa(iiay)ss)", ("", [], face.title, "")),
            "ItemIsMenu": ("b", False),
            "Menu": ("o", menu_tree.PATH),
        }
