"""How fast 1, 2 and 4 workers of one core are here, and what an image costs: `make cluster-bench`.

Each worker is bound to a core; PostgreSQL, Redis, S3 and the origin run on the same cores. The server takes the sheet
in and is stopped before the workers start. Round trips and bytes are counted on a worker's lines, CPU time by the
kernel: what a part costs an image does not depend on who else is on its core.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from tests.appliance_process import ApplianceProcess, WorkerProcess, until
from tests.cluster import cost
from tests.cluster.stage import Proxies, Shared
from tests.origin_nginx import Nginx
from tests.story.ledger import PRODUCTS, sheet

CREWS = (1, 2, 4)
_DONE = "SELECT count(*) FROM image WHERE state = 'done'"


def cluster(stack: contextlib.ExitStack, images: int) -> tuple[Shared, Path]:
    """Return what is shared, with a job of so many distinct small photographs that nobody works on."""
    root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="imagemill-scaling-")))
    (root / "s3").mkdir()
    shared = stack.enter_context(Shared(root / "s3"))
    origin = stack.enter_context(Nginx(PRODUCTS, logs=False, distinct=True))
    pictures = sorted(PRODUCTS.glob("*.jpg"))[:1000]
    with ApplianceProcess(root / "server", shared.settings()) as first:
        first.post("/system/pause")
        first.submit(sheet([f"{origin.url}/{pictures[n % len(pictures)].name}?{n}" for n in range(images)]))
        first.post("/system/resume")
        first.stop()
    return shared, root


class Work(NamedTuple):
    """What was made, in how long, and the milliseconds of CPU that it cost each part."""

    made: int
    seconds: float
    spent_ms: Counter[str]


def work(stack: contextlib.ExitStack, shared: Shared, root: Path, settings: dict[str, Any], *, crew: int) -> Work:
    """Start workers, and return what they make together from the first image to nearly the last."""
    images = int(shared.postgres.query(shared.database, "SELECT count(*) FROM image"))
    settings = {**settings, "public_url": "http://pictures", "workers": 1}
    for n in range(crew):
        each = stack.enter_context(WorkerProcess(root / f"worker{n}", settings))
        core = str(n % (os.cpu_count() or 1))
        for pid in each.pids():
            subprocess.run(["taskset", "-apc", core, str(pid)], capture_output=True, check=True)
    began, before, spent_ms = time.monotonic(), done(shared), cost.spent_ms()
    until(lambda: done(shared) >= 0.95 * images, 170, "most are done", 0.2)
    return Work(done(shared) - before, time.monotonic() - began, cost.spent_ms() - spent_ms)


def done(shared: Shared) -> int:
    """Return how many images are done."""
    return int(shared.postgres.query(shared.database, _DONE))


def counted(images: int) -> str:
    """Return what an image costs one worker in round trips and bytes."""
    with contextlib.ExitStack() as stack:
        shared, root = cluster(stack, images)
        lines = stack.enter_context(Proxies(shared))
        made = work(stack, shared, root, lines.settings(), crew=1).made
        trips = [f"{trips / made:.2f} to {name}" for name, trips in lines.trips().items()]
        passed = [f"{size / made / 1000:.1f} KB {name}" for name, size in lines.passed_bytes().items()]
        return f"an image costs {', '.join(trips)} round trips; {', '.join(passed)}"


def measured(images: int, crew: int) -> str:
    """Return how fast some workers are, and what each part takes of the CPU."""
    with contextlib.ExitStack() as stack:
        shared, root = cluster(stack, images)
        found = work(stack, shared, root, shared.settings(), crew=crew)
        each = [f"{spent / found.made:.2f} ms {name}" for name, spent in sorted(found.spent_ms.items())]
        return f"{crew} workers of one core: {found.made / found.seconds:.0f} images/s; CPU an image: {', '.join(each)}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=3000)
    parser.add_argument("--crews", type=int, nargs="*", default=CREWS)
    chosen = parser.parse_args()
    print(counted(chosen.images), flush=True)
    for crew in chosen.crews:
        print(measured(chosen.images, crew), flush=True)


if __name__ == "__main__":
    main()
