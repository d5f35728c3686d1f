"""`python -m tests.bench [SCENARIO…] [--runs N] [--json FILE]`: how fast it is here, beside what a user would run now.

Compare ratios and CPU seconds; absolute times belong to the machine and its noise (../shared/PERF.md).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import msgspec

from tests.bench import codec, load, memory, published, races, upkeep
from tests.bench.contenders import Result, available, peers
from tests.bench.pictures import photos
from tests.places import ROOT

UPKEEP: dict[str, Callable[[], dict[str, float]]] = {
    "million": upkeep.million,
    "bookkeeping": upkeep.bookkeeping,
    "memory": memory.memory,
    "load": load.load,
    "published": published.published,
    "listing": load.listing,
}
SCENARIOS = [*races.RACES, "codec", *UPKEEP]
GOALS = {
    "accepted_s": "at most 15",
    "more_memory_mb": "at most 100",
    "output_rows_per_s": "at least 100,000",
    "bookkeeping_ms": "at most 0.25",
    "status_p99_ms": "at most 50",
    "ours / nginx": "at least 0.5",
    "photos tree_mb": "at most 450",
}
COLUMNS = ("contender", "images/s", "net/s", "wall s", "start s", "CPU s", "CPU ms each", "MB resident", "MB out")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=", ".join(SCENARIOS))
    parser.add_argument("--runs", type=int, default=3, help="turns of each race; medians are shown  [default: 3]")
    parser.add_argument("--json", type=Path, default=ROOT / "build" / "bench.json", help="where the figures go")
    asked = parser.parse_args()
    if unknown := set(asked.scenarios) - set(SCENARIOS):
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
    figures: dict[str, object] = {}
    for name in asked.scenarios or SCENARIOS:
        figures[name] = figured(name, asked.runs)
    asked.json.parent.mkdir(parents=True, exist_ok=True)
    asked.json.write_text(json.dumps(figures, indent=1) + "\n")


def figured(name: str, runs: int) -> object:
    if name in races.RACES:
        return race(name, runs)
    return compare_codecs() if name == "codec" else measure(name)


def compare_codecs() -> object:
    print("\ncodec: JPEG to JPEG without network, one thread each; sharp at five qualities, all files")
    return codec.all_sets(peers(), photos()) if len(available()) > 1 else {}


def race(name: str, runs: int) -> object:
    results = races.run(races.RACES[name], runs)
    print(f"\n{name}: {results[0].images} images, medians of {runs}")
    table([COLUMNS, *map(line, results)])
    ratios = against(results)
    print(
        ", ".join(f"{what} x {ratio:.2f}" for what, ratio in ratios.items()),
        f"(goal: images/s x {races.RACES[name].goal})",
    )
    return {"results": msgspec.to_builtins(results), "ratios": ratios}


def line(result: Result) -> tuple[str, ...]:
    numbers = (
        f"{result.images_per_s:.0f}",
        f"{result.net_images_per_s:.0f}",
        f"{result.wall_s:.2f}",
        f"{result.start_s:.2f}",
        f"{result.cpu_s:.2f}",
        f"{1000 * result.cpu_s / result.images:.2f}",
        f"{result.rss_mb:.0f}",
        f"{result.bytes_out / 1e6:.1f}",
    )
    return (result.contender, *numbers)


def against(results: list[Result]) -> dict[str, float]:
    """The product's figures as multiples of the peer's; nothing without a peer."""
    if len(results) == 1:
        return {}
    peer, product = results
    return {
        "images/s": product.images_per_s / peer.images_per_s,
        "images/s without the start": product.net_images_per_s / peer.net_images_per_s,
        "CPU": product.cpu_s / peer.cpu_s,
        "bytes out": product.bytes_out / peer.bytes_out,
    }


def table(rows: Iterable[tuple[str, ...]]) -> None:
    for row in rows:
        print(f"{row[0]:14}" + "".join(f"{cell:>13}" for cell in row[1:]))


def measure(name: str) -> Mapping[str, float]:
    print(f"\n{name}")
    figures = UPKEEP[name]()
    for what, figure in figures.items():
        goal = f"   (goal: {GOALS[what]})" if what in GOALS else ""
        print(f"{what:24}{figure:12,.2f}{goal}")
    return figures


if __name__ == "__main__":
    main()
