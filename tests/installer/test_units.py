"""The units are what systemd understands, in every line, and leave less open than the house allows."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from imagemill.appliance.crew import check_worker
from imagemill.settings import load
from tests.appliance_process import SOURCE
from tests.places import ROOT

UNITS = ROOT / "systemd"
MOST_EXPOSED = 20
"""Tenths of the points that `systemd-analyze security` gives for what is left open; ours has 15."""

needs_analyze = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


@pytest.fixture(params=["imagemill.service", "imagemill@shop.service"])
def unit(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The unit under a name that it is started by, with a program that is there."""
    text = (UNITS / request.param.replace("shop", "")).read_text()
    assert "ExecStart=/usr/bin/imagemill " in text
    place = tmp_path / str(request.param)
    place.write_text(text.replace("/usr/bin/imagemill", str(SOURCE)))
    return place


def analyzed(*arguments: str | Path) -> str:
    done = subprocess.run(
        ["systemd-analyze", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={"LC_ALL": "C.UTF-8"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stderr


@needs_analyze
def test_systemd_understands_every_line(unit: Path) -> None:
    assert unit.name not in analyzed("verify", "--recursive-errors=yes", "--man=no", unit)


@needs_analyze
def test_little_is_left_open(unit: Path) -> None:
    analyzed("security", "--offline=true", f"--threshold={MOST_EXPOSED}", unit)


def test_the_template_is_the_same_text() -> None:
    assert (UNITS / "imagemill@.service").read_text() == (UNITS / "imagemill.service").read_text()


def test_the_package_carries_the_unit() -> None:
    """`imagemill service install` reads it where it is installed."""
    assert (ROOT / "src/imagemill/systemd/imagemill.service").samefile(UNITS / "imagemill.service")


def test_what_the_unit_sets_are_settings() -> None:
    lines = (UNITS / "imagemill.service").read_text().splitlines()
    words = [line.removeprefix("Environment=") for line in lines if line.startswith("Environment=")]
    environ = dict(word.replace("%S/%N", "/var/lib/imagemill").split("=", 1) for word in words)
    assert load({}, environ, None).settings.data_dir == "/var/lib/imagemill"


@needs_analyze
def test_a_worker_is_the_same_unit_with_another_verb(unit: Path) -> None:
    """As a drop-in, systemd reads it with the unit."""
    folder = unit.with_name(f"{unit.name}.d")
    folder.mkdir()
    text = (UNITS / "worker.conf").read_text()
    assert "ExecStart=/usr/bin/imagemill worker " in text
    (folder / "worker.conf").write_text(text.replace("/usr/bin/imagemill", str(SOURCE)))
    assert unit.name not in analyzed("verify", "--recursive-errors=yes", "--man=no", unit)
    analyzed("security", "--offline=true", f"--threshold={MOST_EXPOSED}", unit)


def test_what_a_worker_is_given_is_all_that_it_needs() -> None:
    lines = (UNITS / "worker.env").read_text().splitlines()
    environ = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
    check_worker(load({}, environ, None).settings)
