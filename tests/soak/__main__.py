"""`python -m tests.soak [--images N]`: one appliance, one large sheet, and what changes from its first tenth on.

Product photographs under distinct addresses, each with bytes of its own, so that each is compressed and stored; with
`--repeated` they are a thousand pictures again and again, which are compressed once. Exit code 1 when a goal is missed
(../shared/PERF.md). At the end the job's downloads are fetched.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Final

import msgspec

from tests.appliance_process import ENDED, ApplianceProcess, resident_bytes
from tests.origin_nginx import Nginx
from tests.places import ROOT
from tests.soak.downloads import Download, downloads, fat
from tests.story.ledger import PRODUCTS, sheet

SAMPLE_S: Final = 0.5
LEAST_RATIO: Final = 0.9
MOST_DRIFT: Final = 0.1
MORE_FILES: Final = 16
DATABASES: Final = ("imagemill.db", "imagemill.db-wal", "queue.db", "queue.db-wal")


class Sample(msgspec.Struct, frozen=True):
    """A look at the appliance; sizes in MB."""

    at_s: float
    done: int
    parent_mb: float
    children_mb: float
    files: int
    threads: int
    databases_mb: tuple[float, ...]


class Tenth(msgspec.Struct, frozen=True):
    """A tenth of the images: its pace, and the medians of its samples."""

    images_per_s: float
    parent_mb: float
    children_mb: float
    files: float
    threads: float
    databases_mb: tuple[float, ...]

    @property
    def memory_mb(self) -> float:
        return self.parent_mb + self.children_mb


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--images", type=int, default=100_000, help="[default: 100000]")
    parser.add_argument("--repeated", action="store_true", help="a thousand pictures under all these addresses")
    parser.add_argument("--json", type=Path, default=ROOT / "build" / "soak.json", help="where the figures go")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="imagemill-soak-") as folder:
        samples, fetched = soaked(asked.images, Path(folder) / "data", is_distinct=not asked.repeated)
    found = tenths(samples, asked.images)
    missed = misses(found) + fat(fetched)
    table(found)
    print(f"\n{asked.images} images in {samples[-1].at_s - samples[0].at_s:.1f} s", *missed, sep="\n")
    asked.json.parent.mkdir(parents=True, exist_ok=True)
    report = {"images": asked.images, "tenths": found, "downloads": fetched, "missed": missed, "samples": samples}
    asked.json.write_text(json.dumps(msgspec.to_builtins(report), indent=1) + "\n")
    raise SystemExit(bool(missed))


def soaked(images: int, data: Path, *, is_distinct: bool) -> tuple[list[Sample], list[Download]]:
    """Have a sheet of so many images made, and take home what came of it, looking on."""
    names = [path.name for path in sorted(PRODUCTS.glob("*.jpg"))]
    with Nginx(PRODUCTS, logs=False, distinct=is_distinct) as origin, ApplianceProcess(data) as appliance:
        urls = (f"{origin.url}/{names[n % len(names)]}?v={n}" for n in range(images))
        job = appliance.submit(sheet(urls))
        samples = list(_looks(appliance, job))
        state = appliance.job(job)["state"]
        if state != "completed":
            raise SystemExit(f"the job is {state}")
        return samples, downloads(appliance, job)


def _looks(appliance: ApplianceProcess, job: str) -> Iterator[Sample]:
    while True:
        told = appliance.job(job)
        yield _look(appliance, told["counts"]["done"])
        if told["state"] in ENDED:
            return
        time.sleep(SAMPLE_S)


def _look(appliance: ApplianceProcess, done: int) -> Sample:
    parent = appliance.process.pid
    of_parent = Path(f"/proc/{parent}")
    sizes = [appliance.data_dir / name for name in DATABASES]
    return Sample(
        at_s=time.monotonic(),
        done=done,
        parent_mb=resident_bytes([parent]) / 1e6,
        children_mb=resident_bytes([pid for pid in appliance.pids() if pid != parent]) / 1e6,
        files=_entries(of_parent / "fd"),
        threads=_entries(of_parent / "task"),
        databases_mb=tuple(path.stat().st_size / 1e6 if path.exists() else 0.0 for path in sizes),
    )


def _entries(folder: Path) -> int:
    return sum(1 for _ in folder.iterdir())


def tenths(samples: Sequence[Sample], images: int) -> list[Tenth]:
    """Cut the samples where a tenth of the images, two tenths … were done."""
    marks = [images * part / 10 for part in range(11)]
    return [_tenth(samples, start, end) for start, end in pairwise(marks)]


def _tenth(samples: Sequence[Sample], start: float, end: float) -> Tenth:
    last = next(n for n, sample in enumerate(samples) if sample.done >= end)
    part = [sample for sample in samples[:last] if sample.done >= start] or [samples[last]]
    return Tenth(
        images_per_s=(end - start) / (_reached_at(samples, end) - _reached_at(samples, start)),
        parent_mb=median(sample.parent_mb for sample in part),
        children_mb=median(sample.children_mb for sample in part),
        files=median(sample.files for sample in part),
        threads=median(sample.threads for sample in part),
        databases_mb=samples[last].databases_mb,
    )


def _reached_at(samples: Sequence[Sample], mark: float) -> float:
    """Return when so many were done, between two looks by proportion."""
    before, after = next((pair for pair in pairwise(samples) if pair[1].done >= mark > pair[0].done), (samples[0],) * 2)
    share = (mark - before.done) / max(1, after.done - before.done)
    return before.at_s + share * (after.at_s - before.at_s)


def misses(found: Sequence[Tenth]) -> list[str]:
    """Say which goals are missed; all are about what comes after the first tenth."""
    first, later = found[0], found[1:]
    ratio = later[-1].images_per_s / first.images_per_s
    drifts = [tenth.memory_mb / later[0].memory_mb - 1 for tenth in later]
    worst = max(drifts, key=abs)
    more = max(tenth.files for tenth in later) - first.files
    print(f"last tenth / first: {ratio:.2f}, memory's worst drift: {worst:+.1%}, more open files: {more:+.0f}")
    return [
        sentence
        for is_missed, sentence in (
            (ratio < LEAST_RATIO, f"missed: the last tenth has {ratio:.2f} of the first's pace, not {LEAST_RATIO}"),
            (abs(worst) > MOST_DRIFT, f"missed: resident memory drifts by {worst:+.1%}, more than {MOST_DRIFT:.0%}"),
            (more > MORE_FILES, f"missed: {more:.0f} more open files"),
        )
        if is_missed
    ]


def table(found: Sequence[Tenth]) -> None:
    heads = (
        "tenth",
        "images/s",
        "parent MB",
        "children MB",
        "files",
        "threads",
        "db MB",
        "its WAL",
        "queue MB",
        "its WAL",
    )
    print("".join(f"{head:>12}" for head in heads))
    for n, tenth in enumerate(found, 1):
        numbers = (tenth.images_per_s, tenth.parent_mb, tenth.children_mb, tenth.files, tenth.threads)
        cells = [f"{number:.0f}" for number in numbers] + [f"{size:.2f}" for size in tenth.databases_mb]
        print(f"{n:>12}" + "".join(f"{cell:>12}" for cell in cells))


if __name__ == "__main__":
    main()
