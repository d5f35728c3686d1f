"""How much memory the appliance's processes take, each and together, over large photographs and over huge ones."""

from __future__ import annotations

import io
import random
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Final

from PIL import Image

from tests.appliance_process import ApplianceProcess, resident_bytes, session_pids
from tests.bench.contenders import CACHE
from tests.bench.pictures import PRODUCTS, SHOP, photos
from tests.origin_nginx import Nginx
from tests.story.ledger import sheet

HUGE: Final = (7744, 5208)
"""40.3 megapixels."""
COPIES: Final = 16
_SAMPLE_S: Final = 0.02


class Peaks(threading.Thread):
    """Watches a session until `done`: the most that the parent, a child, and all together have occupied."""

    def __init__(self, session: int) -> None:
        super().__init__(daemon=True)
        self.parent = self.child = self.tree = 0
        self._session = session
        self._ended = threading.Event()
        self.start()

    def run(self) -> None:
        while not self._ended.wait(_SAMPLE_S):
            sizes = {pid: resident_bytes([pid]) for pid in session_pids(self._session)}
            self.tree = max(self.tree, sum(sizes.values()))
            self.parent = max(self.parent, sizes.pop(self._session, 0))
            self.child = max(self.child, *sizes.values(), 0)

    def done(self) -> dict[str, float]:
        """Return the peaks in MB."""
        self._ended.set()
        self.join()
        return {"parent_mb": self.parent / 1e6, "child_mb": self.child / 1e6, "tree_mb": self.tree / 1e6}


def huge(form: str) -> Path:
    """A folder of pictures of 40 megapixels, made once: `jpeg`, `progressive` or `png`. Only their last bytes differ.

    Equal bytes would be compressed once.
    """
    folder = CACHE / f"huge-{form}"
    if not folder.is_dir():
        folder.mkdir(parents=True)
        dice = random.Random(1)
        small = Image.frombytes("RGB", (484, 326), dice.randbytes(3 * 484 * 326))
        made = io.BytesIO()
        options = {"compress_level": 1} if form == "png" else {"quality": 90, "progressive": form == "progressive"}
        small.resize(HUGE, Image.Resampling.BICUBIC).save(made, "png" if form == "png" else "jpeg", **options)
        for n in range(COPIES):
            (folder / f"{n:02}.jpg").write_bytes(made.getvalue() + b"%d" % n)
    return folder


def peaks(folder: Path, settings: Mapping[str, object] = MappingProxyType({}), **fields: str) -> dict[str, float]:
    """Return the peaks and the seconds of one job of a folder's pictures."""
    names = sorted(entry.name for entry in folder.glob("*.jpg"))
    with (
        Nginx(folder, logs=False) as origin,
        TemporaryDirectory() as kept,
        ApplianceProcess(Path(kept) / "data", settings) as appliance,
    ):
        watch, started = Peaks(appliance.process.pid), time.perf_counter()
        job = appliance.submit(sheet(f"{origin.url}/{name}" for name in names), **fields)
        state = appliance.finished(job, 600)["state"]
        assert state == "completed", state
        return watch.done() | {"wall_s": time.perf_counter() - started}


SETS: Final[Mapping[str, Callable[[], Path]]] = MappingProxyType(
    {"products": lambda: PRODUCTS, "photos": photos, "shop": lambda: SHOP}
    | {f"huge {form}": partial(huge, form) for form in ("jpeg", "progressive", "png")}
)


def memory() -> dict[str, float]:
    """Peaks of each set, in MB, and the seconds it took."""
    return {f"{name} {what}": figure for name, made in SETS.items() for what, figure in peaks(made()).items()}
