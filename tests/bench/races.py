"""The same sheet through every contender, in turns, so that a noisy moment hits all of them."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from tests.bench.contenders import Result, available, once
from tests.bench.measure import Cost
from tests.bench.pictures import PRODUCTS, SHOP, photos
from tests.origin_nginx import Nginx
from tests.story.ledger import CELLS, sheet, shop_sheet


class Race(msgspec.Struct, frozen=True):
    """A folder behind the origin, the sheet of it, its number of images, and the goal in images/s against the peer."""

    folder: Callable[[], Path]
    sheet: Callable[[Path, str], bytes]
    images: Callable[[Path], int]
    goal: float


def _pictures(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.glob("*.jpg"))


def _catalogue(folder: Path, base: str) -> bytes:
    return sheet((f"{base}/{name}" for name in _pictures(folder)), per_row=3)


RACES = {
    "products": Race(lambda: PRODUCTS, _catalogue, lambda folder: len(_pictures(folder)), 2.0),
    "photos": Race(photos, _catalogue, lambda folder: len(_pictures(folder)), 1.7),
    "shop": Race(lambda: SHOP, lambda _folder, base: shop_sheet(base), lambda _folder: CELLS, 8.0),
}


def run(race: Race, runs: int) -> list[Result]:
    """Return each contender's medians over `runs` runs."""
    folder = race.folder()
    with Nginx(folder, logs=False) as origin, TemporaryDirectory(prefix="imagemill-bench-") as kept:
        whole, single = Path(kept) / "whole.csv", Path(kept) / "single.csv"
        whole.write_bytes(race.sheet(folder, origin.url))
        single.write_bytes(sheet([f"{origin.url}/{_pictures(folder)[0]}"]))
        contenders = available()
        turns = [
            [(once(contender, whole), once(contender, single)[0]) for _, contender in contenders] for _ in range(runs)
        ]
    return [_medians(name, race.images(folder), [turn[n] for turn in turns]) for n, (name, _) in enumerate(contenders)]


def _medians(name: str, images: int, runs: list[tuple[tuple[Cost, int], Cost]]) -> Result:
    return Result(
        contender=name,
        images=images,
        wall_s=statistics.median(spent.wall_s for (spent, _), _ in runs),
        start_s=statistics.median(start.wall_s for _, start in runs),
        cpu_s=statistics.median(spent.cpu_s for (spent, _), _ in runs),
        rss_mb=statistics.median(spent.rss_mb for (spent, _), _ in runs),
        bytes_out=round(statistics.median(size for (_, size), _ in runs)),
    )
