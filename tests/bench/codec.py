"""JPEG to JPEG against sharp: bytes at equal likeness, likeness at our default, CPU. No network, one thread each.

    python -m tests.bench.codec --peers FOLDER_WITH_SHARP [--photos FOLDER] [--every 5]

Likeness is the mean luma SSIM to the source. What sharp's bytes would be at our likeness is interpolated between five
of its qualities. CPU is what `ladder.compress` and sharp take for the same files, the least of three rounds.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from PIL import Image

from imagemill.core.recipe import Recipe
from imagemill.imaging import _requant, ladder, pixels, sandbox
from imagemill.imaging.protocol import Limits
from tests.places import SHARED

QUALITIES: Final = (38, 42, 46, 50, 54)
DEFAULT: Final = Recipe().quality
LIMITS: Final = Limits(200_000_000, ("jpeg",))
GOALS: Final = {"products": 0.5, "shop": 0.5, "photos": 0.6}
"""CPU, as a part of sharp's (PERF.md). For all: bytes at equal likeness 0.97, likeness within 0.004."""
ROUNDS: Final = 3


class Point(NamedTuple):
    """One quality of sharp's, or ours."""

    bytes: int
    likeness: float
    cpu_s: float


def luma(data: bytes) -> tuple[bytes, int, int]:
    with Image.open(io.BytesIO(data)) as image:
        image.draft("L", image.size)
        return image.convert("L").tobytes(), *image.size


def likeness(source: bytes, output: bytes) -> float:
    one, width, height = luma(source)
    other, *size = luma(output)
    assert size == [width, height]
    return float(_requant.ssim(one, other, width, height))


def mean_likeness(files: list[Path], outputs: Iterator[bytes]) -> float:
    return sum(likeness(file.read_bytes(), output) for file, output in zip(files, outputs, strict=True)) / len(files)


def ours(files: list[Path]) -> Point:
    sources, best = [file.read_bytes() for file in files], float("inf")
    for _ in range(ROUNDS):
        begun = time.process_time()
        outputs = [ladder.compress(source, Recipe(), LIMITS).pieces[0].data for source in sources]
        best = min(best, time.process_time() - begun)
    return Point(sum(map(len, outputs)), mean_likeness(files, iter(outputs)), best)


def sharps(files: list[Path], peers: Path, out: Path) -> dict[int, Point]:
    script = (Path(__file__).parent / "sharp_codec.mjs").read_text("utf-8")
    qualities = [*QUALITIES, *[DEFAULT] * (ROUNDS - 1)]
    order = {"files": [str(file) for file in files], "qualities": qualities, "out": str(out)}
    command = ["node", "--input-type=module", "--eval", script]
    done = subprocess.run(command, cwd=peers, input=json.dumps(order), capture_output=True, text=True, check=True)
    rounds = json.loads(done.stdout)
    points = {}
    for quality in QUALITIES:
        mine = [each for each in rounds if each["quality"] == quality]
        outputs = ((out / str(quality) / f"{number}.jpg").read_bytes() for number in range(len(files)))
        cpu_s = min(each["cpu_s"] for each in mine)
        points[quality] = Point(mine[0]["bytes"], mean_likeness(files, outputs), cpu_s)
    return points


def bytes_at(wanted: float, points: list[Point]) -> float:
    """Interpolate between the points left and right of a likeness, beyond them along the outermost two."""
    at = next((n for n, point in enumerate(points[1:-1], start=1) if wanted <= point.likeness), len(points) - 1)
    low, high = points[at - 1], points[at]
    return low.bytes + (wanted - low.likeness) / (high.likeness - low.likeness) * (high.bytes - low.bytes)


def compared(name: str, files: list[Path], peers: Path) -> dict[str, float]:
    """Print sharp's points and ours; return what PERF.md sets goals for."""
    with tempfile.TemporaryDirectory() as folder:
        points = sharps(files, peers, Path(folder))
    mine, same = ours(files), points[DEFAULT]
    for who, point in [*((f"sharp {quality}", point) for quality, point in points.items()), ("ours", mine)]:
        print(f"{name:9} {who:9} {point.bytes:>11,} bytes  SSIM {point.likeness:.5f}  {point.cpu_s:.2f} s CPU")
    figures = {
        "files": len(files),
        "bytes_at_equal_ssim": mine.bytes / bytes_at(mine.likeness, list(points.values())),
        "ssim_difference": mine.likeness - same.likeness,
        "cpu": mine.cpu_s / same.cpu_s,
    }
    print(
        f"{name:9} {len(files)} files: bytes at equal SSIM x {figures['bytes_at_equal_ssim']:.3f} (goal 0.970), "
        f"SSIM {figures['ssim_difference']:+.4f} (goal -0.0040), CPU x {figures['cpu']:.2f} (goal {GOALS[name]:.2f})",
        flush=True,
    )
    return figures


def all_sets(peers: Path, photos: Path | None, every: int = 1) -> dict[str, dict[str, float]]:
    """Compare on every n-th file of each set."""
    sandbox.tune_memory()
    pixels.set_warnings()
    corpus = SHARED / "corpus"
    sets = {"products": (corpus / "products").glob("*.jpg"), "shop": (corpus / "shop" / "images").rglob("*.jp*g")}
    if photos:
        sets["photos"] = (path for path in photos.glob("*.jpg") if not path.name.startswith("again-"))
    return {name: compared(name, sorted(files)[::every], peers) for name, files in sets.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--peers", type=Path, required=True, help="a folder in which `npm i` has installed sharp")
    parser.add_argument("--photos", type=Path, help="large photographs, from corpus/photos.sh")
    parser.add_argument("--every", type=int, default=1, help="take every n-th file")
    chosen = parser.parse_args()
    all_sets(chosen.peers, chosen.photos, chosen.every)


if __name__ == "__main__":
    main()
