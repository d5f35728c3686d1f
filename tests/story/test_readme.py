"""README's tour is run as it is written; only ports and folders are this test's own."""

from __future__ import annotations

import csv
import os
import re
import signal
import subprocess
from typing import TYPE_CHECKING

from tests.appliance_process import PATIENCE_S
from tests.places import ROOT
from tests.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path

PORTS = {written: str(free_port()) for written in ("8750", "9000")}


def tour() -> str:
    """Return the shell block of the section with curl."""
    section = (ROOT / "README.md").read_text().partition("## Five minutes with curl")[2]
    block = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert block is not None
    text = block.group(1).replace(".venv/bin/", f"{ROOT}/.venv/bin/")
    for written, ours in PORTS.items():
        text = text.replace(written, ours)
    port = PORTS["8750"]
    return "set -eu\n" + text.replace("imagemill serve", f"imagemill serve --port {port}")


def test_the_tour_does_what_it_says(tmp_path: Path) -> None:
    environment = {**os.environ, "IMAGEMILL_DATA_DIR": str(tmp_path / "data")}
    shell = subprocess.Popen(
        ["/bin/sh", "-c", f"{tour()}\n"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        assert shell.wait(PATIENCE_S) == 0
    finally:
        os.killpg(shell.pid, signal.SIGTERM)
    with (tmp_path / "tour" / "output.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    done, failed = row["Output Image Urls"].split(",")
    assert re.fullmatch(rf"http://127\.0\.0\.1:{PORTS['8750']}/images/[0-9a-f]{{40}}\.jpg", done)
    assert failed == f"http://127.0.0.1:{PORTS['9000']}/gone.jpg"
    with (tmp_path / "tour" / "report.csv").open(newline="") as file:
        assert [line["error code"] for line in csv.DictReader(file)] == ["", "http_status"]
