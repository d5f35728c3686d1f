"""Notifications over D-Bus: https://specifications.freedesktop.org/notification-spec/latest/."""

from __future__ import annotations

import html
import logging
from collections.abc import Callable
from typing import Any, Final

from imagemill.tray.bus import Body, Bus, BusError, Whom
from imagemill.tray.endings import Notice
from imagemill.tray.icon import drawn
from imagemill.tray.view import Mood

log = logging.getLogger(__name__)

NAME: Final = "org.freedesktop.Notifications"
_DAEMON: Final = Whom("/org/freedesktop/Notifications", NAME, NAME)
_SIDE: Final = 64
_AS_THE_DAEMON_LIKES: Final = -1


class Notices:
    """Tells notices; `opened` is called with the path of one that was clicked, by the bus's thread."""

    def __init__(self, bus: Bus, opened: Callable[[str], None]) -> None:
        self._bus = bus
        self._opened = opened
        self._paths: dict[int, str] = {}
        bus.hear(NAME, "ActionInvoked", self._invoked)
        bus.hear(NAME, "NotificationClosed", self._closed)

    def tell(self, notice: Notice) -> bool:
        """Show one; where nobody shows any, that is no reason to fail. Not from the bus's own thread."""
        try:
            self._tell(notice)
        except BusError as error:
            log.info("a notification was not shown: %s", error.cause or error.detail)
            return False
        return True

    def _tell(self, notice: Notice) -> None:
        (able,) = self._bus.call(_DAEMON, "GetCapabilities")
        body = html.escape(notice.body, quote=False) if "body-markup" in able else notice.body
        actions = ["default", "Open"] if "actions" in able else []
        hints = {"image-data": ("(iiibiiay)", _picture()), "desktop-entry": ("s", "imagemill")}
        given: tuple[Any, ...] = ("imagemill", 0, "", notice.title, body, actions, hints, _AS_THE_DAEMON_LIKES)
        (number,) = self._bus.call(_DAEMON, "Notify", "susssasa{sv}i", *given)
        self._paths[number] = notice.path

    def _invoked(self, body: Body) -> None:
        path = self._paths.get(body[0])
        if path is not None:
            self._opened(path)

    def _closed(self, body: Body) -> None:
        self._paths.pop(body[0], None)


def _picture() -> tuple[Any, ...]:
    """Return the icon as the hint image-data wants it: sides, bytes in a row, alpha, bits, channels, RGBA."""
    icon = drawn(Mood.IDLE, None, _SIDE)
    return (_SIDE, _SIDE, 4 * _SIDE, True, 8, 4, icon.tobytes())
