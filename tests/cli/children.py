"""`imagemill` as a child process, with the environment that is given and no other settings of this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.appliance_process import PATIENCE_S, environment
from tests.places import ROOT

PROGRAM = (sys.executable, "-m", "imagemill")
PLACES = {"COVERAGE_FILE": os.environ.get("COVERAGE_FILE", str(ROOT / ".coverage"))}
"""A child measures its coverage where the suite does, not in the folder it works in."""
SOON = {"fetch_retries": 0, "fetch_retry_base_s": 0.05, "workers": 1}


@contextmanager
def started(folder: Path, *arguments: str, **settings: object) -> Iterator[subprocess.Popen[str]]:
    """Start a verb in `folder`, in a session of its own so that a tree can be killed; nothing is left running."""
    with subprocess.Popen(
        [*PROGRAM, *arguments],
        cwd=folder,
        env=environment(folder / "data", {**SOON, **settings}) | PLACES | {"XDG_CONFIG_HOME": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def ended(process: subprocess.Popen[str], given: str | None = None) -> tuple[int, str, str]:
    """Wait for the end; return exit code, standard output and standard error."""
    out, err = process.communicate(given, timeout=PATIENCE_S)
    return process.returncode, out, err


def imagemill(folder: Path, *arguments: str, given: str | None = None, **settings: object) -> tuple[int, str, str]:
    """Run a verb to its end."""
    with started(folder, *arguments, **settings) as process:
        return ended(process, given)


def read_line(process: subprocess.Popen[str]) -> list[str]:
    """Return the words of the next line of standard output; fail with what it said when there is none."""
    assert process.stdout is not None
    words = process.stdout.readline().split()
    assert words, process.communicate()
    return words
