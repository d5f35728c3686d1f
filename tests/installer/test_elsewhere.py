"""What other systems install is built elsewhere; here it is compiled, read, and held to what there is."""

from __future__ import annotations

import os
import plistlib
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
from PIL import Image

from tests.places import ROOT

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


@pytest.mark.skipif(shutil.which("makensis") is None, reason="makensis is not installed")
def test_the_windows_installer_compiles(tmp_path: Path) -> None:
    """Without a warning, around a stand-in for the folder that only Windows can freeze."""
    frozen = tmp_path / "frozen"
    (frozen / "_internal").mkdir(parents=True)
    (frozen / "imagemill.exe").write_bytes(os.urandom(100_000))
    (frozen / "_internal" / "library.dll").write_bytes(os.urandom(200_000))
    done = subprocess.run(
        [ROOT / "installer/windows/package.sh", frozen],
        env={**os.environ, "OUT": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    made = Path(done.stdout.splitlines()[-1])
    assert made.read_bytes()[:2] == b"MZ"
    assert made.stat().st_size > 300_000


def test_icons_for_windows_and_macos_have_all_sizes(tmp_path: Path) -> None:
    subprocess.run([ROOT / ".venv/bin/python", ROOT / "installer/icons/draw.py", tmp_path], check=True)
    with Image.open(tmp_path / "imagemill.ico") as windows, Image.open(tmp_path / "imagemill.icns") as macos:
        assert windows.info["sizes"] == {(size, size) for size in (16, 24, 32, 48, 64, 128, 256)}
        assert {(128, 128, 1), (256, 256, 1)} <= set(macos.info["sizes"])


def test_the_entitlements_are_a_property_list() -> None:
    assert plistlib.loads((ROOT / "installer/macos/entitlements.plist").read_bytes())


def steps(workflow: Path) -> list[dict[str, Any]]:
    jobs = msgspec.yaml.decode(workflow.read_text())["jobs"]
    return [step for job in jobs.values() for step in job["steps"]]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_runs_what_there_is_and_knows_no_secret(workflow: Path) -> None:
    text = workflow.read_text()
    assert "secrets" not in text
    assert "://" not in text
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    commands = "\n".join(step["run"] for step in steps(workflow) if "run" in step)
    asked = {word for line in re.findall(r"^make ([a-z -]+)$", commands, re.MULTILINE) for word in line.split()}
    assert asked <= targets
    scripts = re.findall(r"(?:^|\s)((?:installer|\.ci)/[\w/.]+)", commands)
    assert asked or scripts
    for script in scripts:
        assert os.access(ROOT / script, os.X_OK), script


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_the_scripts_of_the_installers_are_sound() -> None:
    scripts = [*ROOT.glob("installer/*/*.sh"), *(ROOT / "installer/linux/debian").glob("p*")]
    assert len(scripts) >= 7
    done = subprocess.run(["shellcheck", "--shell=sh", *scripts], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
