"""What a system wants to have written to start `imagemill serve` by itself: texts and commands, nothing is done here.

systemd's unit has one source, `systemd/imagemill.service`, which the Debian package installs as it is: here only its
program is another, and for a service of one user what only root may ask for is left out.
"""

from __future__ import annotations

import importlib.resources
import os
import plistlib
import re
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

NAME: Final = "imagemill"
LABEL: Final = "io.imagemill.service"
UNIT: Final = f"{NAME}.service"
CONFIG: Final = "etc/imagemill/imagemill.toml"

_PROGRAM: Final = "ExecStart=/usr/bin/imagemill serve"
_PACKAGED: Final = ("usr/lib/systemd/system", "lib/systemd/system")
_OF_A_USER: Final = frozenset(
    (
        *("Description", "Documentation", "Type", "NotifyAccess", "TimeoutStartSec", "TimeoutStopSec", "WatchdogSec"),
        *("KillMode", "Restart", "RestartSec", "RestartPreventExitStatus", "OOMPolicy", "LimitCORE", "UMask"),
        *("NoNewPrivileges", "RestrictSUIDSGID", "RestrictAddressFamilies", "RestrictNamespaces", "RestrictRealtime"),
        *("MemoryDenyWriteExecute", "LockPersonality", "SystemCallArchitectures", "SystemCallFilter"),
        "SystemCallErrorNumber",
    )
)
_HEAD: Final = "# Written by `imagemill service install`; `systemctl edit imagemill` changes a line for good.\n"
_USER_HEAD: Final = "# Written by `imagemill service install --user`.\n"

Command = Sequence[str]


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A file, and the commands around it: `begin` after it was written, `end` before and `after` it is removed.

    `enabled` and `active` succeed where it will be started, and where it runs; without commands the file says it.
    """

    place: Path
    content: bytes
    begin: tuple[Command, ...] = ()
    end: tuple[Command, ...] = ()
    after: tuple[Command, ...] = ()
    enabled: Command = ()
    active: Command = ()
    hint: str = ""


def packaged(root: Path) -> Path | None:
    """Return the unit that a package has installed."""
    return next((root / folder / UNIT for folder in _PACKAGED if (root / folder / UNIT).is_file()), None)


def system_entry(root: Path, command: Command, flags: Command) -> Entry:
    """Return a service of the system: of a user of its own, with what it may do shut in."""
    text = _unit()
    text = text[text.index("[Unit]") :].replace(_PROGRAM, f"ExecStart={_words(command)} serve", 1)
    if flags:
        text = text.replace(" serve --config /etc/imagemill/%N.toml", f" serve {_words(flags)}", 1)
    return Entry(
        place=root / "etc/systemd/system" / UNIT,
        content=(_HEAD + text).encode(),
        hint=f"Its settings: /{CONFIG}; its log: journalctl -u {NAME}",
        **_systemctl("systemctl"),
    )


def user_entry(config_home: Path, command: Command, flags: Command) -> Entry:
    """Return a service of one user, with his rights, which runs while he is logged in."""
    lines = _of_a_user(_unit().splitlines(), f"ExecStart={_words([*command, 'serve', *flags])}")
    return Entry(
        place=config_home / "systemd/user" / UNIT,
        content=(_USER_HEAD + "\n".join(lines) + "\n").encode(),
        hint=f"To have it run on when you log out: loginctl enable-linger. Its log: journalctl --user -u {NAME}",
        **_systemctl("systemctl", "--user"),
    )


def launch_agent(home: Path, command: Command, flags: Command) -> Entry:
    """Return a property list for launchd (launchd.plist(5)): started at login, and again when it fails."""
    place = home / "Library/LaunchAgents" / f"{LABEL}.plist"
    content = {
        "Label": LABEL,
        "ProgramArguments": [*command, "serve", *flags],
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ThrottleInterval": 10,
        "ExitTimeOut": 20,
        "ProcessType": "Background",
        "StandardErrorPath": str(home / "Library/Logs/imagemill.log"),
    }
    domain = f"gui/{os.getuid() if hasattr(os, 'getuid') else 0}"
    return Entry(
        place=place,
        content=plistlib.dumps(content),
        begin=(("launchctl", "bootstrap", domain, str(place)),),
        end=(("launchctl", "bootout", f"{domain}/{LABEL}"),),
        active=("launchctl", "print", f"{domain}/{LABEL}"),
        hint="It is started at login.",
    )


def startup_script(app_data: Path, command: Command, flags: Command) -> Entry:
    """Return a file for Windows' start-up folder, which opens a small window when its user logs in."""
    place = app_data / "Microsoft/Windows/Start Menu/Programs/Startup" / "imagemill-serve.cmd"
    called = subprocess.list2cmdline([*command, "serve", *flags]).replace("%", "%%")
    content = f'@echo off\r\nchcp 65001 >nul\r\nstart "imagemill" /min {called}\r\n'
    return Entry(place=place, content=content.encode(), hint="It is started when you log in the next time.")


def _systemctl(*systemctl: str) -> dict[str, Any]:
    reload = (*systemctl, "daemon-reload")
    return {
        "begin": (reload, (*systemctl, "enable", "--now", UNIT)),
        "end": ((*systemctl, "disable", "--now", UNIT),),
        "after": (reload,),
        "enabled": (*systemctl, "is-enabled", "--quiet", UNIT),
        "active": (*systemctl, "is-active", "--quiet", UNIT),
    }


def _unit() -> str:
    return (importlib.resources.files(NAME) / "systemd" / UNIT).read_text(encoding="utf-8")


def _of_a_user(lines: Iterable[str], start: str) -> list[str]:
    """Keep what a user may ask for, each with the comment before it."""
    kept: list[str] = []
    comment: list[str] = []
    for line in lines:
        name = line.partition("=")[0]
        if line.startswith("#"):
            comment.append(line)
            continue
        if line == "[Install]":
            kept += ["", line, "WantedBy=default.target"]
        elif line.startswith("["):
            kept += ["", line]
        elif name == "ExecStart":
            kept.append(start)
        elif name in _OF_A_USER:
            kept += [*comment, line.replace("%N", NAME)]
        # A comment is for all the lines that follow it.
        comment = comment if name in _OF_A_USER and not line else []
    return kept[1:]


def _words(words: Iterable[str]) -> str:
    """Return words as ExecStart has them (systemd.service(5), "Command lines")."""
    return " ".join(_quoted(word) for word in words)


def _quoted(word: str) -> str:
    plain = word.replace("%", "%%").replace("$", "$$")
    if re.fullmatch(r"[A-Za-z0-9_./:=+,@%-]+", plain):
        return plain
    escaped = plain.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
