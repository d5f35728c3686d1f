"""The core story, whatever the program: serve, upload, kill -9 the whole tree at random moments, restart, compare."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from tests.appliance_process import SOURCE, ApplianceProcess, until
from tests.story.conftest import Shop
from tests.story.ledger import mapping, pairs


def survives(
    shop: Shop,
    given: bytes,
    folder: Path,
    kills: int,
    program: Path = SOURCE,
    settings: Mapping[str, object] = MappingProxyType({}),
) -> None:
    """The story told by an appliance of its own, in a folder of its own."""
    with ApplianceProcess(folder / "data", settings, program=program) as appliance:
        tell(shop, given, appliance, kills)


def tell(shop: Shop, given: bytes, appliance: ApplianceProcess, kills: int) -> None:
    """The job of `given`, rows of the shop, killed `kills` times on its way, must give the undisturbed sheet and files.

    The moments are progress marks drawn at random, so that a fast machine is hit as often as a slow one; some kills are
    followed by another while the appliance is still starting.
    """
    seed = random.randrange(1 << 32)
    dice = random.Random(seed)
    job = appliance.submit(given)
    marks = sorted(dice.randrange(appliance.job(job)["counts"]["images"] * 9 // 10) for _ in range(kills))
    print(f"seed {seed}: killed when so many places are done: {marks}")
    for mark in marks:
        _reach(appliance, job, mark)
        appliance.kill()
        appliance.launch()
        if dice.random() < 0.3:
            _grow(appliance, dice.randrange(1, 4))
            appliance.kill()
            appliance.launch()
        appliance.ready()
    assert appliance.finished(job, 100)["state"] == "completed"
    shop.assert_undisturbed(given, appliance.output(job))
    for url, output in mapping(pairs(given, appliance.output(job))).items():
        assert appliance.get(output).content == shop.appliance.get(shop.outputs[url]).content


def _reach(appliance: ApplianceProcess, job: str, mark: int) -> None:
    until(lambda: appliance.job(job)["counts"]["done"] >= mark, 60, f"{mark} places are done")


def _grow(appliance: ApplianceProcess, processes: int) -> None:
    until(lambda: len(appliance.pids()) >= processes, 30, f"the tree has {processes} processes")
