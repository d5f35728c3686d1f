"""`imagemill service`: what is written for each system, in its own tools' eyes, and what is asked of these."""

from __future__ import annotations

import json
import os
import plistlib
import shutil
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from imagemill.cli import entries, main, service
from imagemill.cli.entries import Entry
from imagemill.cli.service import Machine, Ran
from imagemill.core.errors import StartError
from imagemill.program import own_command
from imagemill.settings import load
from tests.places import ROOT

PYTHON = sys.executable
PROGRAM = "/opt/image mill/100%/imagemill"
needs_analyze = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


class System:
    """A machine that does nothing but remember what was asked of it; `codes` are by the first and last word."""

    def __init__(self, root: Path, platform: str = "linux", *, is_root: bool = True, has_systemd: bool = True) -> None:
        self.asked: list[str] = []
        self.codes: dict[str, int] = {}
        if has_systemd:
            (root / "run/systemd/system").mkdir(parents=True)
        self.machine = Machine(platform=platform, root=root, is_root=is_root, run=self.run)

    def run(self, command: Sequence[str]) -> Ran:
        self.asked.append(" ".join(command))
        words = {word for word in command if word in self.codes}
        return Ran(max((self.codes[word] for word in words), default=0), "it said no")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith(("IMAGEMILL_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(sys, "argv", ["imagemill"])
    monkeypatch.setattr(sys, "executable", "/opt/python")
    return tmp_path / "home"


def text_of(entry: Entry) -> str:
    return entry.content.decode()


def test_the_unit_of_the_system_is_the_package_s_with_another_program(tmp_path: Path) -> None:
    written = text_of(entries.system_entry(tmp_path, [PROGRAM], []))
    theirs = (ROOT / "systemd/imagemill.service").read_text()
    ours = theirs[theirs.index("[Unit]") :].replace(
        "/usr/bin/imagemill serve", '"/opt/image mill/100%%/imagemill" serve'
    )
    assert written.partition("\n")[2] == ours
    elsewhere = text_of(entries.system_entry(tmp_path, ["imagemill"], ["--config", "/srv/mill.toml"]))
    assert "ExecStart=imagemill serve --config /srv/mill.toml\n" in elsewhere


@needs_analyze
@pytest.mark.parametrize("is_user", [False, True])
def test_systemd_understands_what_is_written(tmp_path: Path, is_user: bool) -> None:
    command = [PYTHON, "-m", "imagemill"]
    make = entries.user_entry if is_user else entries.system_entry
    entry = make(tmp_path, command, ["--config", "/srv/a b.toml"])
    place = tmp_path / "imagemill.service"
    place.write_bytes(entry.content)
    mode = ["--user"] if is_user else []
    environ = {"LC_ALL": "C.UTF-8", "XDG_RUNTIME_DIR": str(tmp_path)}
    analyze = ["systemd-analyze", "verify", *mode, "--recursive-errors=no", "--man=no", str(place)]
    done = subprocess.run(analyze, capture_output=True, text=True, check=False, timeout=180, env=environ)
    assert "imagemill.service" not in done.stderr
    if not is_user:
        (tmp_path / "etc/systemd/system").mkdir(parents=True)
        shutil.copy(place, tmp_path / "etc/systemd/system")
        enable = ["systemctl", f"--root={tmp_path}", "enable", "imagemill.service"]
        assert subprocess.run(enable, capture_output=True, check=False, timeout=180).returncode == 0
        assert (tmp_path / "etc/systemd/system/multi-user.target.wants/imagemill.service").is_symlink()


def test_a_user_s_unit_asks_for_nothing_that_only_root_may(tmp_path: Path) -> None:
    text = text_of(entries.user_entry(tmp_path, [PROGRAM], ["--data-dir", "/srv/$x"]))
    assert 'ExecStart="/opt/image mill/100%%/imagemill" serve --data-dir "/srv/$$x"' in text
    names = [line.partition("=")[0] for line in text.splitlines() if line and line[0] not in "#["]
    assert {"Type", "WatchdogSec", "NoNewPrivileges", "WantedBy"} <= set(names)
    assert not {"User", "Group", "StateDirectory", "LoadCredential", "ProtectSystem", "PrivateUsers"} & set(names)
    assert text.endswith("[Install]\nWantedBy=default.target\n")
    assert "%N" not in text


def test_it_is_installed_looked_at_and_removed_for_the_system(tmp_path: Path) -> None:
    system = System(tmp_path)
    system.codes["getent"] = 2
    told = service.installed(system.machine, [], is_user=False)
    unit, config = tmp_path / "etc/systemd/system/imagemill.service", tmp_path / "etc/imagemill/imagemill.toml"
    assert told[0] == f"Installed and started: {unit}"
    assert [words.split()[0] for words in system.asked] == ["getent", "useradd", "chgrp", "systemctl", "systemctl"]
    assert system.asked[-1] == "systemctl enable --now imagemill.service"
    assert stat.S_IMODE(config.stat().st_mode) == 0o640
    assert load({"data_dir": "/x"}, {}, config).settings == load({"data_dir": "/x"}, {}, None).settings
    config.write_text("port = 1\n")
    system.codes.clear()
    service.installed(system.machine, [], is_user=False)
    assert config.read_text() == "port = 1\n"
    found = service.status_of(system.machine, is_user=False)
    assert (found.is_installed, found.is_enabled, found.is_running) == (True, True, True)
    system.codes.update({"is-enabled": 1, "is-active": 3})
    found = service.status_of(system.machine, is_user=False)
    assert (found.is_installed, found.is_enabled, found.is_running) == (True, False, False)
    system.asked.clear()
    assert "data and settings are where they were" in service.uninstalled(system.machine, is_user=False)[0]
    assert system.asked == ["systemctl disable --now imagemill.service", "systemctl daemon-reload"]
    assert (unit.exists(), config.exists()) == (False, True)
    assert "not installed" in service.uninstalled(system.machine, is_user=False)[0]
    assert not service.status_of(system.machine, is_user=False).is_installed


def test_what_a_package_has_installed_is_used_and_left(tmp_path: Path) -> None:
    unit = tmp_path / "usr/lib/systemd/system/imagemill.service"
    unit.parent.mkdir(parents=True)
    unit.write_text("the package's")
    system = System(tmp_path)
    assert service.installed(system.machine, [], is_user=False)[0] == f"Installed and started: {unit}"
    assert system.asked == ["systemctl daemon-reload", "systemctl enable --now imagemill.service"]
    assert service.status_of(system.machine, is_user=False).place == str(unit)
    service.uninstalled(system.machine, is_user=False)
    assert unit.read_text() == "the package's"
    assert not (tmp_path / "etc/systemd/system").exists()


def test_what_is_missing_is_told_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = System(tmp_path / "bare", has_systemd=False)
    for is_user in (False, True):
        with pytest.raises(StartError, match="systemd does not run on this machine"):
            service.installed(bare.machine, [], is_user=is_user)
    with pytest.raises(StartError, match=r"needs root.*--user"):
        service.installed(System(tmp_path / "user", is_root=False).machine, [], is_user=False)
    failing = System(tmp_path / "failing")
    failing.codes["enable"] = 1
    with pytest.raises(StartError, match=r"`systemctl enable --now \S+` failed with 1: it said no"):
        service.installed(failing.machine, [], is_user=False)
    assert list(tmp_path.glob("bare/etc")) == list(tmp_path.glob("user/etc")) == []
    monkeypatch.setattr(sys, "executable", "/home/me/venv/bin/python")
    with pytest.raises(StartError, match="where a service of the system does not look"):
        service.installed(System(tmp_path / "home-made").machine, [], is_user=False)
    assert not (tmp_path / "home-made/etc").exists()


def test_a_user_s_own_on_linux(tmp_path: Path, home: Path) -> None:
    system = System(tmp_path, is_root=False)
    service.installed(system.machine, ["--data-dir", "/srv"], is_user=True)
    unit = home / ".config/systemd/user/imagemill.service"
    assert "serve --data-dir /srv\n" in unit.read_text()
    assert system.asked == ["systemctl --user daemon-reload", "systemctl --user enable --now imagemill.service"]
    service.uninstalled(system.machine, is_user=True)
    assert not unit.exists()


def test_launchd_gets_a_property_list(tmp_path: Path, home: Path) -> None:
    system = System(tmp_path, "darwin", is_root=False, has_systemd=False)
    service.installed(system.machine, ["--data-dir", "/Users/me/a & b"], is_user=False)
    place = home / "Library/LaunchAgents/io.imagemill.service.plist"
    read = plistlib.loads(place.read_bytes())
    assert read["Label"] == place.stem
    assert read["ProgramArguments"][-3:] == ["serve", "--data-dir", "/Users/me/a & b"]
    assert (read["RunAtLoad"], read["KeepAlive"]) == (True, {"SuccessfulExit": False})
    assert system.asked == [f"launchctl bootstrap gui/{os.getuid()} {place}"]
    assert service.status_of(system.machine, is_user=True).is_running
    service.uninstalled(system.machine, is_user=False)
    assert system.asked[-1] == f"launchctl bootout gui/{os.getuid()}/io.imagemill.service"
    assert not place.exists()


def test_windows_gets_a_file_in_its_start_up_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPDATA", str(tmp_path / "Roaming"))
    monkeypatch.setattr(sys, "executable", r"C:\Program Files\imagemill\imagemill.exe")
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    system = System(tmp_path, "win32", is_root=False, has_systemd=False)
    service.installed(system.machine, ["--data-dir", "D:\\100%"], is_user=False)
    (place,) = (tmp_path / "Roaming").rglob("imagemill-serve.cmd")
    assert place.parent.name == "Startup"
    last = place.read_bytes().decode().splitlines()[-1]
    assert last == r'start "imagemill" /min "C:\Program Files\imagemill\imagemill.exe" serve --data-dir D:\100%%'
    found = service.status_of(system.machine, is_user=False)
    assert (found.is_installed, found.is_enabled, found.is_running) == (True, True, None)
    service.uninstalled(system.machine, is_user=False)
    assert (system.asked, place.exists()) == ([], False)


def test_how_this_program_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert own_command() == ["/opt/python", "-m", "imagemill"]
    script = tmp_path / "imagemill"
    script.touch(mode=0o755)
    monkeypatch.setattr(sys, "argv", [str(script)])
    assert own_command() == [str(script)]


def test_commands_of_the_system_that_are_not_there_are_told(tmp_path: Path) -> None:
    assert service.run(["no-such-command-here"]) == Ran(127, "no-such-command-here is not installed")
    assert service.run([PYTHON, "-c", "import sys; print('no', file=sys.stderr); sys.exit(3)"]) == Ran(3, "no")


def test_the_verbs_from_outside(capsys: pytest.CaptureFixture[str], home: Path, tmp_path: Path) -> None:
    flags = ("--config", str(tmp_path / "mill.toml"), "--data-dir", "~/mill")
    assert main(["service", "install", "--user", "--print", *flags]) == 0
    assert f"serve --config {tmp_path}/mill.toml --data-dir {home}/mill\n" in capsys.readouterr().out
    assert main(["service", "status", "--user", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["is_installed"] is found["is_enabled"] is False
    assert main(["service", "status", "--user"]) == 1
    assert "installed  no" in capsys.readouterr().out
    assert main(["service", "uninstall", "--user"]) == 0
    assert "It is not installed" in capsys.readouterr().out
