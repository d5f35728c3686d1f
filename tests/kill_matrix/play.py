"""One run: a fault, a seed, and what the ledger says afterwards."""

from __future__ import annotations

import random
import shutil
import subprocess
import tempfile
from pathlib import Path
from time import monotonic
from typing import Final

import httpx
import msgspec
import pytest

from tests.kill_matrix.faults import FAULTS, Fault
from tests.kill_matrix.ledger import complaints
from tests.kill_matrix.stage import Scene, Stage
from tests.places import ROOT

KEPT: Final = ROOT / "build" / "kill-matrix"
_WRONG: Final = (AssertionError, pytest.fail.Exception, httpx.HTTPError, OSError, subprocess.SubprocessError)


class Outcome(msgspec.Struct, frozen=True):
    """What became of a run; it passed when nobody complains."""

    fault: str
    seed: int
    seconds: float
    restarts: int
    moments: list[str]
    complaints: list[str]
    on_postgres: bool = False

    @property
    def repeat(self) -> str:
        """The command that plays it again."""
        where = " --postgres" if self.on_postgres else ""
        return f"python -m tests.kill_matrix --runs 1 --seed {self.seed} --fault {self.fault}{where}"


def play(stage: Stage, name: str, seed: int) -> Outcome:
    """Play `name` with the dice of `seed`; what a run with complaints leaves is kept."""
    fault, started = FAULTS[name], monotonic()
    with tempfile.TemporaryDirectory(prefix="imagemill-kill-") as folder:
        scene = Scene(stage, random.Random(f"{seed} {name}"), Path(folder))
        with scene.played(on_disk=fault.on_disk, by_clock=fault.by_clock, on_s3=fault.on_s3):
            wrong = _complaints(fault, scene)
            scene.appliance.kill()
            if wrong:
                _keep(scene, KEPT / f"{name}-{seed}")
    return Outcome(
        name, seed, round(monotonic() - started, 2), scene.restarts, scene.moments, wrong, stage.postgres is not None
    )


def _complaints(fault: Fault, scene: Scene) -> list[str]:
    try:
        scene.begin()
        fault.strike(scene)
        return complaints(scene)
    except _WRONG as error:
        return [f"{type(error).__name__}: {error}"[:2000]]


def _keep(scene: Scene, place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(scene.appliance.data_dir, place / "data")
    shutil.copy(scene.appliance.log, place)
    if known := scene.known():
        shutil.copy(known, place)
