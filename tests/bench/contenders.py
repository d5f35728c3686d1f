"""The two who run: imagemill through its front door, and the script a Node developer would write (../shared/peers)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from tests.appliance_process import environment, run_command
from tests.bench.measure import Cost, cost, folder_bytes
from tests.places import SHARED

CACHE = Path(os.environ.get("IMAGEMILL_BENCH_CACHE", Path.home() / ".cache" / "imagemill-bench"))


class Result(msgspec.Struct, frozen=True):
    """One contender's medians over one sheet; `start_s` is its wall for a sheet of one image."""

    contender: str
    images: int
    wall_s: float
    start_s: float
    cpu_s: float
    rss_mb: float
    bytes_out: int

    @property
    def images_per_s(self) -> float:
        return self.images / self.wall_s

    @property
    def net_images_per_s(self) -> float:
        """Without the start of the program, which a larger sheet would hide."""
        return (self.images - 1) / (self.wall_s - self.start_s)


Contender = Callable[[Path, Path], Cost]
"""(sheet, new and empty folder for everything made) → its cost; images end in `folder/images`."""


def product(sheet: Path, folder: Path) -> Cost:
    return cost(run_command(sheet, folder), environment(folder / "data", {}))


def sharp(sheet: Path, folder: Path) -> Cost:
    script = peers() / "sharp_direct.mjs"
    return cost(["node", str(script), str(sheet), str(folder / "images"), str(folder / "out.csv")])


def peers() -> Path:
    """A copy of the peers with their packages installed, made once."""
    folder = CACHE / "peers"
    if not (folder / "node_modules").is_dir():
        shutil.copytree(SHARED / "peers", folder, dirs_exist_ok=True)
        npm = "ci" if (folder / "package-lock.json").exists() else "install"
        subprocess.run(["npm", npm, "--no-audit", "--no-fund", "--silent"], cwd=folder, check=True)
    return folder


def available() -> list[tuple[str, Contender]]:
    """The product, and the peer where there is Node."""
    found: list[tuple[str, Contender]] = [("imagemill", product)]
    if shutil.which("node"):
        return [("sharp_direct", sharp), *found]
    print("no node: only the product is measured", file=sys.stderr)
    return found


def once(contender: Contender, sheet: Path) -> tuple[Cost, int]:
    """Return the cost of one run in a new folder, and the bytes of the images made."""
    with TemporaryDirectory(prefix="imagemill-bench-") as folder:
        spent = contender(sheet, Path(folder))
        return spent, folder_bytes(Path(folder) / "images")
