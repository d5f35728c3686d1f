"""Starting with the session: only where the user has asked for it, in the one place his system has for it."""

from __future__ import annotations

import os
import plistlib
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

if sys.platform == "win32":
    import subprocess
    import winreg

AT_LOGIN: Final = "--at-login"
"""How the program knows that it was not called by a click: it opens no page then."""

_NAME: Final = "imagemill"
_LABEL: Final = "io.imagemill.desk"
_RUN_KEY: Final = r"Software\Microsoft\Windows\CurrentVersion\Run"
_PLAIN: Final = re.compile(r"[A-Za-z0-9_./:=-]+")


class Login(Protocol):
    """One entry among what a system starts at login."""

    @property
    def is_on(self) -> bool:
        """Whether we are started."""
        ...

    def turn(self, *, on: bool) -> None:
        """Have us started, or no more."""
        ...


class DesktopEntry:
    """A file in the folder `autostart` of the user's configuration (freedesktop's Autostart Specification)."""

    def __init__(self, folder: Path, command: Sequence[str]) -> None:
        self._place = folder / "autostart" / f"{_NAME}.desktop"
        self._command = command

    @property
    def is_on(self) -> bool:
        """Whether the file is there, and not switched off in the desktop's own settings."""
        try:
            text = self._place.read_text(encoding="utf-8")
        except OSError:
            return False
        return not re.search(r"^(Hidden=true|X-GNOME-Autostart-enabled=false)\s*$", text, re.MULTILINE)

    def turn(self, *, on: bool) -> None:
        """Write the file, or remove it."""
        if not on:
            self._place.unlink(missing_ok=True)
            return
        self._place.parent.mkdir(parents=True, exist_ok=True)
        lines = (
            "[Desktop Entry]",
            "Type=Application",
            "Name=imagemill",
            "Comment=Compresses the pictures of a product sheet",
            f"Exec={exec_line(self._command)}",
            "Icon=imagemill",
            "Terminal=false",
            "X-GNOME-Autostart-enabled=true",
        )
        self._place.write_text("\n".join((*lines, "")), encoding="utf-8")


class LaunchAgent:
    """A property list in ~/Library/LaunchAgents (launchd.plist(5)): macOS."""

    def __init__(self, home: Path, command: Sequence[str]) -> None:
        self._place = home / "Library" / "LaunchAgents" / f"{_LABEL}.plist"
        self._command = command

    @property
    def is_on(self) -> bool:
        """Whether the file is there."""
        return self._place.exists()

    def turn(self, *, on: bool) -> None:
        """Write the file, or remove it; launchd reads it at the next login."""
        if not on:
            self._place.unlink(missing_ok=True)
            return
        self._place.parent.mkdir(parents=True, exist_ok=True)
        entry = {"Label": _LABEL, "ProgramArguments": list(self._command), "RunAtLoad": True}
        self._place.write_bytes(plistlib.dumps(entry))


class RunKey:
    """A value of the user's Run key: Windows."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command

    @property
    def is_on(self) -> bool:
        """Whether the value is there."""
        if sys.platform == "win32":
            with suppress(OSError), winreg.OpenKey(winreg.HKEY_CURRENT_USER, _RUN_KEY) as key:
                winreg.QueryValueEx(key, _NAME)
                return True
        return False

    def turn(self, *, on: bool) -> None:
        """Write the value, or remove it."""
        if sys.platform == "win32":
            with winreg.OpenKey(winreg.HKEY_CURRENT_USER, _RUN_KEY, 0, winreg.KEY_SET_VALUE) as key:
                if on:
                    winreg.SetValueEx(key, _NAME, 0, winreg.REG_SZ, subprocess.list2cmdline(self._command))
                else:
                    winreg.DeleteValue(key, _NAME)


def login_of(command: Sequence[str]) -> Login:
    """Return this system's entry, which would start `command`."""
    called = [*command, AT_LOGIN]
    if sys.platform == "win32":
        return RunKey(called)
    if sys.platform == "darwin":
        return LaunchAgent(Path.home(), called)
    return DesktopEntry(Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"), called)


def exec_line(command: Sequence[str]) -> str:
    """Return a command as the key Exec of a desktop entry wants it, which quotes twice and knows percent signs."""
    return " ".join(_quoted(word) for word in command)


def _quoted(word: str) -> str:
    if _PLAIN.fullmatch(word):
        return word
    escaped = re.sub(r'(["`$\\])', r"\\\1", word).replace("\\", "\\\\").replace("%", "%%")
    return f'"{escaped}"'
