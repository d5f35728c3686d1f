"""The package on a copy of this machine: installed, used, upgraded, removed, purged; and what it says of itself."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.appliance_process import FROZEN, ApplianceProcess, needs_proc
from tests.installer.machine import Copy, needs_copy
from tests.origin_nginx import needs_nginx
from tests.places import ROOT, needs_shared
from tests.story.hostile import all_end_by_name, assert_opens

DATA = "/var/lib/imagemill"
SETTINGS = "/etc/imagemill/imagemill.toml"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FROZEN.exists(), reason="`make binary` has not been run"),
    pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="not a Debian system"),
]


def built(folder: Path, what: str, version: str) -> Path:
    """Make a package, as `make deb` does but for the time that compressing takes."""
    own = {**os.environ, "VERSION": version, "OUT": str(folder), "COMPRESSION": "none"}
    done = subprocess.run(
        [ROOT / "installer/linux/package.sh", what], env=own, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("old"), "deb", "0.0.9")


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Copy]:
    place = tmp_path / "machine"
    place.mkdir()
    with Copy(place) as copy:
        yield copy


class Installed(ApplianceProcess):
    """The installed program, run by its own user with the settings of the service."""

    def __init__(self, machine: Copy, folder: Path) -> None:
        program = folder / "imagemill"
        words = [*machine.entering(), "setpriv", "--reuid=imagemill", "--regid=imagemill", "--init-groups"]
        given = ["env", f"IMAGEMILL_DATA_DIR={DATA}", f"IMAGEMILL_CONFIG={SETTINGS}", "/usr/bin/imagemill"]
        program.write_text(f'#!/bin/sh\nexec {" ".join([*words, *given])} "$@"\n')
        program.chmod(0o755)
        super().__init__(folder / "data", {"image_timeout_s": 5}, program=program)
        self.data_dir = machine.root / DATA.removeprefix("/")


def files_of(machine: Copy) -> set[str]:
    """Everything below /etc, /usr and /var but what package tools keep for themselves."""
    command = "find /etc /usr /var -xdev -not -path '/var/lib/dpkg*' -not -path '/var/cache/*' -not -path '/var/log/*'"
    return set(machine.run("sh", "-c", command).splitlines())


@needs_copy
@needs_shared
@needs_nginx
@needs_proc
def test_it_is_installed_used_upgraded_removed_and_purged(machine: Copy, old: Path, tmp_path: Path) -> None:
    before = files_of(machine)
    machine.run("dpkg", "-i", machine.take(old))
    assert machine.run("stat", "-c", "%U %G %a", DATA, SETTINGS).splitlines() == [
        "imagemill imagemill 700",
        "root imagemill 640",
    ]
    settings = machine.root / SETTINGS.removeprefix("/")
    settings.write_text('log_format = "json"\n')
    with Installed(machine, tmp_path) as appliance:
        job = all_end_by_name(appliance)
        assert appliance.stop() == 0
        assert '"message":"job accepted' in appliance.log.read_text().replace('": "', '":"')

    machine.run("dpkg", "-i", machine.take(built(tmp_path, "deb", "0.1.0")))
    assert settings.read_text() == 'log_format = "json"\n'
    with Installed(machine, tmp_path) as appliance:
        assert_opens(appliance, job)
        assert appliance.stop() == 0

    machine.run("dpkg", "--remove", "imagemill")
    assert not (machine.root / "usr/bin/imagemill").is_symlink()
    assert (appliance.data_dir / "imagemill.db").exists()
    machine.run("dpkg", "--purge", "imagemill")
    left = {
        name for name in files_of(machine) - before if not name.startswith(("/etc/passwd", "/etc/group", "/etc/shadow"))
    }
    assert not {name for name in left if "imagemill" in name}, left


def test_it_has_all_that_a_package_has(old: Path) -> None:
    listed = subprocess.run(["dpkg-deb", "--contents", old], capture_output=True, text=True, check=True).stdout
    owners = {line.split()[1] for line in listed.splitlines()}
    assert owners == {"root/root"}
    for name in (
        "./lib/systemd/system/imagemill.service",
        "./lib/systemd/system/imagemill@.service",
        "./usr/lib/imagemill/imagemill",
        "./usr/share/applications/imagemill.desktop",
        "./usr/share/bash-completion/completions/imagemill",
        "./usr/share/doc/imagemill/copyright",
        "./usr/share/doc/imagemill/examples/worker.conf",
        "./usr/share/doc/imagemill/examples/worker.env",
        "./usr/share/doc/imagemill/licences.gz",
        "./usr/share/fish/vendor_completions.d/imagemill.fish",
        "./usr/share/icons/hicolor/scalable/apps/imagemill.svg",
        "./usr/share/man/man1/imagemill.1.gz",
        "./usr/share/zsh/vendor-completions/_imagemill",
    ):
        assert f" {name}\n" in listed, name


def test_the_tarball_installs_for_one_user(tmp_path: Path) -> None:
    tarball = built(tmp_path, "tarball", "0.1.0")
    subprocess.run(["tar", "-xf", tarball, "-C", tmp_path], check=True)
    # As root it would install for all: the identity is played, the rest is real.
    played = tmp_path / "bin"
    played.mkdir()
    (played / "id").write_text("#!/bin/sh\necho 1000\n")
    (played / "id").chmod(0o755)
    own = {"HOME": str(tmp_path), "PATH": f"{played}:{os.environ['PATH']}"}
    script = tmp_path / tarball.name.removesuffix(".tar.gz") / "install.sh"
    subprocess.run([script], env=own, check=True, capture_output=True)
    program = tmp_path / ".local/bin/imagemill"
    assert (
        subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout == "imagemill 0.1.0\n"
    )
    assert (tmp_path / ".local/share/applications/imagemill.desktop").exists()
    subprocess.run([script, "--uninstall"], env=own, check=True, capture_output=True)
    left = [path for path in (tmp_path / ".local").rglob("*") if not path.is_dir()]
    assert left == []
