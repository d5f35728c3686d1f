"""A desktop of one's own: an X server without a screen, a session bus, a panel or none, and a daemon for notifications.

Its menu is read and chosen from over D-Bus as a panel does it, or with the mouse in the panel itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import msgspec
import pytest
from jeepney import DBusAddress, DBusErrorResponse, MessageType, new_method_call
from jeepney.io.blocking import open_dbus_connection
from PIL import Image
from Xlib import display

from tests.appliance_process import environment, until
from tests.ports import free_port

SCREEN = ["Xvfb", "-screen", "0", "640x480x24", "-nolisten", "tcp"]
PANEL = ["xfce4-panel", "--disable-wm-check"]
OLD_PANEL = ["trayer", "--edge", "top", "--align", "left", "--expand", "false", "--height", "32"]
NEEDED = ("Xvfb", "dbus-daemon", "xfce4-panel", "trayer", "dunst", "dunstctl", "xdotool", "import")
KEPT = os.environ.get("SCREENSHOTS")
"""A folder for pictures to be shown to others."""
SETTINGS = {"workers": 1, "fetch_retries": 0, "fetch_read_timeout_s": 600, "fetch_total_timeout_s": 600}
WATCHER = "org.kde.StatusNotifierWatcher"
ITEM = "org.kde.StatusNotifierItem"

missing = [program for program in NEEDED if shutil.which(program) is None]
needs_desktop = pytest.mark.skipif(bool(missing), reason=f"needs {', '.join(missing)}: make setup-tests")

PANEL_XML = """<?xml version="1.0" encoding="UTF-8"?>
<channel name="xfce4-panel" version="1.0">
  <property name="configver" type="int" value="2"/>
  <property name="panels" type="array">
    <value type="int" value="1"/>
    <property name="panel-1" type="empty">
      <property name="position" type="string" value="p=6;x=0;y=0"/>
      <property name="length" type="uint" value="100"/>
      <property name="size" type="uint" value="36"/>
      <property name="plugin-ids" type="array"><value type="int" value="1"/></property>
    </property>
  </property>
  <property name="plugins" type="empty"><property name="plugin-1" type="string" value="systray"/></property>
</channel>
"""
_NEAR, _SOME, _HARDLY = 18, 3, 16
DUNST_CONF = """[global]
origin = top-right
offset = 12x48
width = 340
max_icon_size = 48
show_indicators = no
font = Sans 10
frame_color = "#888888"
[urgency_normal]
timeout = 0
background = "#ffffff"
foreground = "#222222"
"""


class Line(msgspec.Struct, frozen=True):
    """One line of a menu as a panel sees it."""

    number: int
    label: str
    is_enabled: bool
    is_checked: bool | None
    lines: list[Line]


class Desktop:
    """Start it, start programs in it, look at it; everything of it ends with the block."""

    def __init__(self, folder: Path, panel: Sequence[str] = ()) -> None:
        self.folder = folder
        self.data_dir = folder / "mill"
        self.port = free_port()
        self._panel = list(panel)
        self._stack = ExitStack()
        self._browsed = folder / "browsed"

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._start(stack)
            self._stack = stack.pop_all()
        if self._panel:
            self.show_panel()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self, stack: ExitStack) -> None:
        self._furnish()
        own = environment(self.data_dir, {"port": self.port, **SETTINGS})
        homes = {name: str(self.folder) for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR")}
        quiet = {"NO_AT_BRIDGE": "1", "BROWSER": str(self.folder / "browser")}
        self.environ = {**own, **homes, **quiet}
        self.environ["DISPLAY"] = ":" + self._told(stack, lambda fd: [*SCREEN, "-displayfd", str(fd)])
        bus = self._told(stack, lambda fd: ["dbus-daemon", "--session", "--nofork", f"--print-address={fd}"])
        self.environ["DBUS_SESSION_BUS_ADDRESS"] = bus
        self._bus = stack.enter_context(open_dbus_connection(bus))
        self.start(stack, ["dunst", "-conf", str(self.folder / "dunstrc")])
        until(lambda: self.is_owned("org.freedesktop.Notifications"), 15, "the daemon for notifications is there")
        _paint(self.environ["DISPLAY"])  # not before: without a client, the screen begins anew

    def show_panel(self) -> None:
        """Start the panel."""
        self._shown = self.start(self._stack, self._panel)
        if self._panel == PANEL:
            until(self.has_host, 15, "the panel shows items")

    def end_panel(self) -> None:
        """End the panel, as a crash does."""
        self._shown.kill()
        self._shown.wait(60)
        until(lambda: not self.is_owned(WATCHER), 10, "the panel's names are free")

    def _furnish(self) -> None:
        channel = self.folder / "xfce4" / "xfconf" / "xfce-perchannel-xml" / "xfce4-panel.xml"
        channel.parent.mkdir(parents=True)
        channel.write_text(PANEL_XML)
        (self.folder / "dunstrc").write_text(DUNST_CONF)
        browser = self.folder / "browser"
        browser.write_text(f'#!/bin/sh\necho "$1" >>{self._browsed}\n')
        browser.chmod(0o755)

    def start(
        self, stack: ExitStack, command: Sequence[str | Path], pass_fds: Collection[int] = ()
    ) -> subprocess.Popen[bytes]:
        """Start a program here; it is killed when `stack` closes."""
        with (self.folder / f"{Path(command[0]).name}.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=pass_fds,
                start_new_session=True,
            )
        stack.callback(process.wait, 60)
        stack.callback(process.kill)
        return process

    def _told(self, stack: ExitStack, command: Callable[[int], list[str]]) -> str:
        """Start a program that writes to a descriptor where it is found; return that."""
        read_end, write_end = os.pipe()
        with os.fdopen(read_end) as told, ExitStack() as passed:
            passed.callback(os.close, write_end)
            self.start(stack, command(write_end), pass_fds=[write_end])
            passed.close()
            return told.readline().strip()

    # What is asked over D-Bus.

    def call(self, name: str, path: str, interface: str, member: str, signature: str = "", *body: object) -> Any:  # noqa: ANN401
        message = new_method_call(DBusAddress(path, name, interface), member, signature or None, body)
        reply = self._bus.send_and_get_reply(message, timeout=60)
        if reply.header.message_type is MessageType.error:
            raise DBusErrorResponse(reply)
        return reply.body

    def is_owned(self, name: str) -> bool:
        """Say whether somebody on the bus has this name."""
        bus = "org.freedesktop.DBus"
        return bool(self.call(bus, "/org/freedesktop/DBus", bus, "NameHasOwner", "s", name)[0])

    def has_host(self) -> bool:
        """Say whether a panel shows items."""
        with contextlib.suppress(DBusErrorResponse):  # who has the name already, but nothing behind it yet
            return self.is_owned(WATCHER) and bool(self.watcher("IsStatusNotifierHostRegistered"))
        return False

    def watcher(self, name: str) -> Any:  # noqa: ANN401
        return self.value(WATCHER, "/StatusNotifierWatcher", WATCHER, name)

    def value(self, owner: str, path: str, interface: str, name: str) -> Any:  # noqa: ANN401
        properties = "org.freedesktop.DBus.Properties"
        return self.call(owner, path, properties, "Get", "ss", interface, name)[0][1]

    @property
    def items(self) -> list[str]:
        """The names of the items that the panel shows."""
        return [place.partition("/")[0] for place in self.watcher("RegisteredStatusNotifierItems")]

    @property
    def title(self) -> str:
        """What our item says when the mouse is over it; nothing while there is none, or it is going."""
        with contextlib.suppress(IndexError, DBusErrorResponse):
            return str(self.value(self.items[0], f"/{ITEM.rpartition('.')[2]}", ITEM, "Title"))
        return ""

    def menu(self, item: str = "") -> list[Line]:
        """Return our item's menu, by default of the one that the panel shows."""
        _, root = self.menu_call(item, "GetLayout", "iias", 0, -1, [])
        return [_line(node) for _, node in root[2]]

    def line(self, label: str, item: str = "") -> Line | None:
        """Return the first line whose label begins so, wherever it is."""
        return _found(self.menu(item), label)

    def choose(self, label: str, item: str = "") -> None:
        """Choose the line whose label begins so."""
        until(lambda: self.line(label, item), 10, f"there is a line {label}")
        line = self.line(label, item)
        assert line is not None
        self.menu_call(item, "Event", "isvu", line.number, "clicked", ("s", ""), 0)

    def menu_call(self, item: str, member: str, signature: str, *body: object) -> Any:  # noqa: ANN401
        """Ask an item's menu something."""
        return self.call(item or self.items[0], "/MenuBar", "com.canonical.dbusmenu", member, signature, *body)

    # What is seen, and done with the mouse.

    def notifications(self) -> list[tuple[str, str]]:
        """Return title and text of those that were shown, the newest first; they are shown no more."""
        self.run("dunstctl", "close-all")
        told = json.loads(self.run("dunstctl", "history"))["data"][0]
        return [(each["summary"]["data"], each["body"]["data"]) for each in told]

    def run(self, *command: str | Path) -> str:
        """Run a program to its end; return what it printed."""
        done = subprocess.run(command, env=self.environ, capture_output=True, text=True, timeout=180, check=True)
        return done.stdout

    def browsed(self) -> list[str]:
        """Return the addresses that the browser was given."""
        return self._browsed.read_text().split() if self._browsed.exists() else []

    def picture(self, name: str) -> Image.Image:
        """Return what is on the screen; it is kept for whoever wants to look."""
        place = Path(KEPT or self.folder) / f"{name}.png"
        self.run("import", "-window", "root", place)
        with Image.open(place) as picture:
            return picture.convert("RGB")

    def windows(self) -> list[str]:
        """Return the windows that are shown."""
        return self.run("xdotool", "search", "--onlyvisible", "--name", "").split()

    def click(self, x: int, y: int, button: int) -> None:
        """Click there."""
        self.run("xdotool", "mousemove", str(x), str(y), "click", str(button))


def _paint(name: str) -> None:
    """Give the screen a colour that is none of the icon's."""
    screen = display.Display(name)
    root = screen.screen().root
    root.change_attributes(background_pixel=0xA9BCBC)
    root.clear_area()
    screen.sync()
    screen.close()


def _line(node: Any) -> Line:  # noqa: ANN401
    number, told, children = node
    shown = {name: value for name, (_, value) in told.items()}
    toggle = shown.get("toggle-state")
    return Line(
        number=number,
        label=shown.get("label", ""),
        is_enabled=shown.get("enabled", True),
        is_checked=None if toggle is None else bool(toggle),
        lines=[_line(child) for _, child in children],
    )


def _found(lines: list[Line], label: str) -> Line | None:
    for line in lines:
        found = line if line.label.startswith(label) else _found(line.lines, label)
        if found:
            return found
    return None


def shows(picture: Image.Image, middle: tuple[int, int], *colours: str) -> bool:
    """Say whether each of these colours, or one that is hardly different, is seen near a point."""
    x, y = middle
    part = picture.crop((x - _NEAR, y - _NEAR, x + _NEAR, y + _NEAR))
    pixels = list(zip(*[iter(part.tobytes())] * 3, strict=True))
    return all(sum(_is_like(pixel, bytes.fromhex(colour[1:])) for pixel in pixels) >= _SOME for colour in colours)


def _is_like(pixel: Sequence[int], colour: Sequence[int]) -> bool:
    return all(abs(ours - wanted) <= _HARDLY for ours, wanted in zip(pixel, colour, strict=True))
