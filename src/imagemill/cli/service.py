"""`imagemill service`: have `imagemill serve` started by systemd, launchd or the start-up folder of Windows."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import click
import msgspec

from imagemill.cli import console, entries
from imagemill.cli.entries import Entry
from imagemill.core.errors import StartError
from imagemill.program import own_command

Run = Callable[[Sequence[str]], "Ran"]

_COMMAND_S: Final = 120
_UNSEEN: Final = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108  named, not used


class Ran(msgspec.Struct, frozen=True):
    """How a command of the system ended, and what it said."""

    code: int
    said: str


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """Where it is to be installed: the real machine, or a test's folder."""

    platform: str
    root: Path
    is_root: bool
    run: Run

    @property
    def has_systemd(self) -> bool:
        """Whether systemd runs here (sd_booted(3))."""
        return (self.root / "run/systemd/system").is_dir()


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What there is: the file, whether the system will start it, and whether it runs (None: it does not tell)."""

    place: str
    is_installed: bool
    is_enabled: bool
    is_running: bool | None


user_flag = click.option("--user", is_flag=True, help="A service of yours, not of the system.")


@click.group(epilog="Example: sudo imagemill service install")
def service() -> None:
    """Have the system start imagemill: install, uninstall, status."""


@service.command(epilog="Example: imagemill service install --user --data-dir ~/pictures")
@user_flag
@click.option("--data-dir", type=click.Path(file_okay=False), help="Folder of everything it keeps.")
@click.option("--print", "prints", is_flag=True, help="Only print the file that would be written.")
@console.common_flags
def install(user: bool, data_dir: str | None, prints: bool, config: Path | None) -> None:
    """Write the file that the system wants, and start the service, now and with every start of the system.

    As root, on Linux: a systemd service with a user of its own, settings in /etc/imagemill/imagemill.toml. With --user,
    or elsewhere: started when you log in (systemd, launchd, Windows' start-up folder).
    """
    machine = this_machine()
    flags = flags_of(config, data_dir)
    if prints:
        click.echo(entry_of(machine, flags, is_user=user or not machine.is_root).content, nl=False)
        return
    if data_dir and machine.is_root and not user:
        raise click.UsageError("a service of the system keeps its things in /var/lib/imagemill: leave --data-dir away")
    for line in installed(machine, flags, is_user=user):
        click.echo(line)


@service.command(epilog="Example: sudo imagemill service uninstall")
@user_flag
@console.debug_flag
def uninstall(user: bool) -> None:
    """Stop the service and have it started no more; what it keeps, and its settings, stay."""
    for line in uninstalled(this_machine(), is_user=user):
        click.echo(line)


@service.command(epilog="Example: imagemill service status --user --json")
@user_flag
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@console.debug_flag
def status(user: bool, as_json: bool) -> int:
    """Say whether it is installed, will be started, and runs. Exit codes: 0 it runs, or will; 1 it is not installed."""
    found = status_of(this_machine(), is_user=user)
    if as_json:
        click.echo(msgspec.json.encode(found))
    else:
        words = {True: "yes", False: "no", None: "not told here: see imagemill doctor"}
        click.echo(f"installed  {words[found.is_installed]}  {found.place}")
        click.echo(f"enabled    {words[found.is_enabled]}")
        click.echo(f"running    {words[found.is_running]}")
    return console.ExitCode.DONE if found.is_enabled or found.is_running else console.ExitCode.FAILED


def this_machine() -> Machine:
    """Return the one that this runs on."""
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    return Machine(platform=sys.platform, root=Path("/"), is_root=is_root, run=run)


def run(command: Sequence[str]) -> Ran:
    """Run a command of the system."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_COMMAND_S, check=False)  # noqa: S603  ours
    except FileNotFoundError:
        return Ran(127, f"{command[0]} is not installed")
    except subprocess.TimeoutExpired:
        return Ran(124, f"{command[0]} did not end")
    return Ran(done.returncode, (done.stderr or done.stdout).strip())


def flags_of(config: Path | None, data_dir: str | None) -> list[str]:
    """Return the flags to start it with; relative to here they would mean nothing there."""
    found = ["--config", str(config.expanduser().absolute())] if config else []
    return [*found, *(["--data-dir", str(Path(data_dir).expanduser().absolute())] if data_dir else [])]


def entry_of(machine: Machine, flags: Sequence[str], *, is_user: bool) -> Entry:
    """Return what is to be written on a machine."""
    command, home = own_command(), Path.home()
    if machine.platform == "darwin":
        return entries.launch_agent(home, command, flags)
    if machine.platform == "win32":
        return entries.startup_script(Path(os.environ.get("APPDATA") or home / "AppData/Roaming"), command, flags)
    if is_user:
        return entries.user_entry(Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config"), command, flags)
    return entries.system_entry(machine.root, command, flags)


def installed(machine: Machine, flags: Sequence[str], *, is_user: bool) -> list[str]:
    """Install it; return what to tell. StartError names what is missing."""
    entry = entry_of(machine, flags, is_user=is_user)
    is_system = machine.platform == "linux" and not is_user
    if machine.platform == "linux":
        _check_systemd(machine, is_user=is_user)
    place = entries.packaged(machine.root) if is_system else None
    if place is None:
        if is_system:
            _make_ready(machine)
        entry.place.parent.mkdir(parents=True, exist_ok=True)
        entry.place.write_bytes(entry.content)
    for command in entry.begin:
        _succeed(machine, command)
    return [f"Installed and started: {place or entry.place}", *([entry.hint] if entry.hint else [])]


def uninstalled(machine: Machine, *, is_user: bool) -> list[str]:
    """Remove it; return what to tell."""
    entry = entry_of(machine, [], is_user=is_user)
    is_packaged = machine.platform == "linux" and not is_user and entries.packaged(machine.root) is not None
    if not entry.place.exists() and not is_packaged:
        return [f"It is not installed: there is no {entry.place}"]
    if machine.platform == "linux":
        _check_systemd(machine, is_user=is_user)
    for command in entry.end:
        machine.run(command)  # what does not run cannot be stopped, and that is no fault
    entry.place.unlink(missing_ok=True)
    for command in entry.after:
        machine.run(command)
    stays = "Its data and settings are where they were."
    return [f"Stopped, and started no more. {stays}"]


def status_of(machine: Machine, *, is_user: bool) -> Status:
    """Look."""
    entry = entry_of(machine, [], is_user=is_user)
    is_system = machine.platform == "linux" and not is_user
    place = (entries.packaged(machine.root) if is_system else None) or entry.place
    is_installed = place.is_file()
    return Status(
        place=str(place),
        is_installed=is_installed,
        is_enabled=is_installed and (not entry.enabled or machine.run(entry.enabled).code == 0),
        is_running=machine.run(entry.active).code == 0 if entry.active and is_installed else None,
    )


def _check_systemd(machine: Machine, *, is_user: bool) -> None:
    if not machine.has_systemd:
        raise StartError(
            "systemd does not run on this machine: start `imagemill serve` by what does start things here, or see the"
            " unit by `imagemill service install --print`"
        )
    if is_user:
        return
    if not machine.is_root:
        raise StartError(
            "a service of the system needs root: sudo imagemill service install; or --user for one of yours"
        )
    program = own_command()[0]
    if program.startswith(tuple(f"{folder}/" for folder in _UNSEEN)):
        raise StartError(
            f"{program} lies where a service of the system does not look: install it for all users, or use --user"
        )


def _make_ready(machine: Machine) -> None:
    """Make the user of the service, and a file for its settings, where there is none."""
    if machine.run(("getent", "passwd", entries.NAME)).code != 0:
        flags = ("--system", "--user-group", "--no-create-home", "--home-dir", "/var/lib/imagemill")
        _succeed(machine, ("useradd", *flags, "--shell", "/usr/sbin/nologin", entries.NAME))
    place = machine.root / entries.CONFIG
    if place.exists():
        return
    from imagemill.settings import as_toml, load

    place.parent.mkdir(parents=True, exist_ok=True)
    place.touch(mode=0o640)
    place.write_text(as_toml(load({}, {}, place), left_out=("data_dir",)), encoding="utf-8")
    # It may come to hold secrets: root writes it, the service reads it.
    _succeed(machine, ("chgrp", entries.NAME, str(place)))


def _succeed(machine: Machine, command: Sequence[str]) -> None:
    ran = machine.run(command)
    if ran.code != 0:
        raise StartError(f"`{' '.join(command)}` failed with {ran.code}: {ran.said or 'it did not say why'}")
