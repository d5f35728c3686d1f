"""Published images beside nginx: the same files, the same client, a core for the server and one for the client."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgspec

from tests.appliance_process import ApplianceProcess
from tests.bench.measure import tree_cpu_s
from tests.origin_nginx import Nginx

FILES: Final = 64
FILE_BYTES: Final = 22_000
TURNS: Final = 3
_FOR_S: Final = 3

# One file after another, each connection its own way round.
_SCRIPT: Final = """
local paths, n = {{ {paths} }}, 0
request = function() n = n % #paths + 1; return wrk.format("GET", paths[n]) end
"""


class Pace(msgspec.Struct, frozen=True):
    """What a server did: answers a second, and its CPU microseconds for each."""

    per_s: float
    cpu_us: float


def published() -> dict[str, float]:
    """Images per second of us and of nginx, one worker each, 32 connections that never rest; needs wrk and two cores.

    Turn by turn, and the best of each: a noisy moment hits both. The CPU of an answer does not depend on the noise.
    """
    if shutil.which("wrk") is None or (os.cpu_count() or 1) < 2:
        print("needs wrk (Debian package wrk) and two cores")
        return {}
    with TemporaryDirectory(prefix="imagemill-published-") as kept, _on_core(0):
        outputs = Path(kept) / "data" / "outputs"
        names = _images(outputs)
        ours, theirs = (_script(Path(kept), by, names) for by in ("/images/{1}", "/{0}/{1}"))
        with (
            ApplianceProcess(Path(kept) / "data") as appliance,
            Nginx(outputs, logs=False) as nginx,
        ):
            turns = [
                (_asked(appliance.url, ours, appliance.pids()), _asked(nginx.url, theirs, nginx.pids()))
                for _ in range(TURNS)
            ]
    figures = {}
    for n, who in enumerate(("ours", "nginx")):
        figures[f"{who}_per_s"] = max(turn[n].per_s for turn in turns)
        figures[f"{who}_cpu_us"] = min(turn[n].cpu_us for turn in turns)
    return figures | {
        "ours / nginx": figures["ours_per_s"] / figures["nginx_per_s"],
        "nginx's CPU / ours": figures["nginx_cpu_us"] / figures["ours_cpu_us"],
    }


@contextmanager
def _on_core(core: int) -> Iterator[None]:
    """Let everything that is started here run on one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _images(outputs: Path) -> list[str]:
    """Lay the images where published ones lie; what is in them does not matter to who sends them."""
    dice = random.Random(1)
    names = [f"{dice.getrandbits(160):040x}.jpg" for _ in range(FILES)]
    for name in names:
        (outputs / name[:2]).mkdir(parents=True, exist_ok=True)
        (outputs / name[:2] / name).write_bytes(dice.randbytes(FILE_BYTES))
    return names


def _script(folder: Path, path: str, names: list[str]) -> Path:
    script = folder / f"{path.count('{')}.lua"
    paths = ", ".join(f'"{path.format(name[:2], name)}"' for name in names)
    script.write_text(_SCRIPT.format(paths=paths))
    return script


def _asked(url: str, script: Path, server: list[int]) -> Pace:
    command = ["taskset", "-c", "1", "wrk", "-t1", "-c32", f"-d{_FOR_S}s", "-s", str(script), url]
    before = tree_cpu_s(server)
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    spent = tree_cpu_s(server) - before
    assert "Non-2xx" not in printed, printed
    answers = int(printed.partition(" requests in ")[0].split()[-1])
    return Pace(float(printed.partition("Requests/sec:")[2].split()[0]), 1e6 * spent / answers)
