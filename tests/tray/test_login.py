"""Starting at login: the files of Linux and macOS. The Windows key is written nowhere but there."""

from __future__ import annotations

import plistlib
import subprocess
from pathlib import Path

import pytest

from imagemill.tray.login import DesktopEntry, LaunchAgent, Login, RunKey, exec_line, login_of

COMMAND = ["/opt/image mill/imagemill", "--at-login"]


def test_a_desktop_entry_comes_and_goes(tmp_path: Path) -> None:
    entry = DesktopEntry(tmp_path, COMMAND)
    place = tmp_path / "autostart" / "imagemill.desktop"
    assert not is_on(entry)
    entry.turn(on=True)
    assert is_on(entry)
    lines = place.read_text().splitlines()
    assert lines[0] == "[Desktop Entry]"
    assert 'Exec="/opt/image mill/imagemill" --at-login' in lines
    entry.turn(on=False)
    entry.turn(on=False)
    assert not is_on(entry)
    assert not place.exists()


@pytest.mark.parametrize("line", ["Hidden=true", "X-GNOME-Autostart-enabled=false"])
def test_what_the_desktop_has_switched_off_is_off(line: str, tmp_path: Path) -> None:
    entry = DesktopEntry(tmp_path, COMMAND)
    entry.turn(on=True)
    place = tmp_path / "autostart" / "imagemill.desktop"
    place.write_text(place.read_text().replace("X-GNOME-Autostart-enabled=true", line))
    assert not entry.is_on


@pytest.mark.parametrize(
    ("word", "written"),
    [
        ("/usr/bin/imagemill", "/usr/bin/imagemill"),
        ("a b", '"a b"'),
        ("100%", '"100%%"'),
        ('a"b', r'"a\\"b"'),
        ("a$b`c", r'"a\\$b\\`c"'),
        ("a\\b", r'"a\\\\b"'),
    ],
)
def test_a_command_is_quoted_as_desktops_read_it(word: str, written: str) -> None:
    assert exec_line([word]) == written
    unescaped = written.replace("\\\\", "\\").replace("%%", "%")
    shell = subprocess.run(["/bin/sh", "-c", f"printf %s {unescaped}"], capture_output=True, text=True, check=True)
    assert shell.stdout == word, "the string's escapes first, then the command's, which are a shell's"


def test_a_launch_agent_comes_and_goes(tmp_path: Path) -> None:
    agent = LaunchAgent(tmp_path, COMMAND)
    agent.turn(on=True)
    (place,) = (tmp_path / "Library" / "LaunchAgents").iterdir()
    told = plistlib.loads(place.read_bytes())
    assert told == {"Label": place.stem, "ProgramArguments": COMMAND, "RunAtLoad": True}
    assert is_on(agent)
    agent.turn(on=False)
    assert not is_on(agent)


def test_elsewhere_the_key_of_windows_is_not_touched() -> None:
    key = RunKey(COMMAND)
    key.turn(on=True)
    assert not key.is_on


def test_the_entry_is_where_the_desktop_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    login_of(["imagemill"]).turn(on=True)
    assert "Exec=imagemill --at-login" in (tmp_path / "autostart" / "imagemill.desktop").read_text()


def is_on(login: Login) -> bool:
    return login.is_on
