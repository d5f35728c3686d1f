"""The matrix in its short form: twenty runs, every fault that ends soon. `make kill-matrix` is the long form."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.appliance_process import needs_proc
from tests.kill_matrix.faults import FAULTS
from tests.kill_matrix.ledger import complaints
from tests.kill_matrix.play import Outcome, play
from tests.kill_matrix.stage import Scene, Stage
from tests.origin_nginx import needs_nginx
from tests.places import needs_shared

pytestmark = [needs_shared, needs_nginx, needs_proc, pytest.mark.slow]

SHORT = [name for name, fault in FAULTS.items() if not fault.is_long]
TURNS = [(n, SHORT[n % len(SHORT)]) for n in range(20)]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, Future[Outcome]]]:
    """All runs, two at a time: most of a run is waiting."""
    seed = random.randrange(1 << 31)
    stage = Stage(tmp_path_factory.mktemp("stage"))
    with ThreadPoolExecutor(2) as pool:
        yield {n: pool.submit(play, stage, name, seed + n) for n, name in TURNS if not FAULTS[name].impossible()}
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize(("n", "name"), TURNS, ids=[f"{n}-{name}" for n, name in TURNS])
def test_nothing_is_lost_by(n: int, name: str, outcomes: dict[int, Future[Outcome]]) -> None:
    if n not in outcomes:
        pytest.skip(f"not possible here: {FAULTS[name].impossible()}")
    outcome = outcomes[n].result()
    assert not outcome.complaints, "\n".join([outcome.repeat, *outcome.moments, *outcome.complaints])


def test_the_ledger_sees_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "stage").mkdir()
    scene = Scene(Stage(tmp_path / "stage"), random.Random(1), tmp_path)
    with scene.played():
        scene.begin()
        scene.appliance.finished(scene.jobs[0], 60)
        outputs = scene.appliance.data_dir / "outputs"
        gone, torn = sorted(path for path in outputs.rglob("*.*"))[:2]
        gone.unlink()
        torn.write_bytes(torn.read_bytes()[:-9])
        (scene.appliance.data_dir / "spool" / "left").touch()
        scene.jobs.append("never accepted")
        found = "\n".join(complaints(scene))
    for what in (f"{torn.name} is not what it is", f"outputs: missing: ['{gone.name}']", "spool: nobody's", "is gone"):
        assert what in found
