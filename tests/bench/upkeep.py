"""What is not download or codec: the bookkeeping per image, and a sheet of a million rows."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, TypeVar

from imagemill.core.recipe import Recipe
from imagemill.fetch import Fetcher
from imagemill.imaging import ladder
from imagemill.imaging.protocol import Limits
from imagemill.settings import FetchSettings
from tests.appliance_process import ApplianceProcess
from tests.bench.measure import Resident, tree_cpu_s
from tests.bench.pictures import tiny
from tests.origin_nginx import Nginx
from tests.story.ledger import sheet

ROWS: Final = 1_000_000
TINY: Final = 5_000
THREADS: Final = 16
_IDLE_CPU_S: Final = 0.05
T = TypeVar("T")


def million() -> dict[str, float]:
    """A sheet of a million rows: seconds to its 202, memory it cost the server, rows/s of its output sheet.

    Its origin takes connections and never answers, so that nothing else competes for the two cores.
    """
    with socket.create_server(("127.0.0.1", 0), backlog=128) as silent, TemporaryDirectory() as folder:
        base = f"http://127.0.0.1:{silent.getsockname()[1]}"
        patient = {"fetch_read_timeout_s": 600, "fetch_total_timeout_s": 3600}
        given = sheet(f"{base}/pictures/{n:07}.jpg" for n in range(ROWS))
        with ApplianceProcess(Path(folder) / "data", patient) as appliance:
            idle = Resident(appliance.process.pid)
            time.sleep(1)
            idle_mb, busy = idle.done(), Resident(appliance.process.pid)
            accepted_s, job = _timed(lambda: appliance.submit(given))
            accepted_mb = busy.done()
            written_s, answer = _timed(lambda: appliance.get(f"/api/v1/jobs/{job}/output.csv?partial=1"))
            assert answer.content.count(b"\n") == ROWS + 1
    return {"accepted_s": accepted_s, "more_memory_mb": accepted_mb - idle_mb, "output_rows_per_s": ROWS / written_s}


def _timed(work: Callable[[], T]) -> tuple[float, T]:
    started = time.perf_counter()
    answer = work()
    return time.perf_counter() - started, answer


def bookkeeping() -> dict[str, float]:
    """CPU ms per image of a job of tiny distinct images: all of it, less download and codec measured by themselves."""
    folder = tiny(TINY)
    with Nginx(folder, logs=False) as origin, TemporaryDirectory() as kept:
        urls = [f"{origin.url}/{entry.name}" for entry in sorted(folder.iterdir())]
        with ApplianceProcess(Path(kept) / "data") as appliance:
            before = _settled_cpu_s(appliance)
            job = appliance.submit(sheet(urls))
            appliance.finished(job, 120, every_s=1)
            whole = tree_cpu_s(appliance.pids()) - before
        download, codec = _download_cpu_s(urls, Path(kept)), _codec_cpu_s(folder)
    rest = whole - download - codec
    return {
        f"{name}_ms": 1000 * spent / TINY
        for name, spent in {"whole": whole, "download": download, "codec": codec, "bookkeeping": rest}.items()
    }


def _settled_cpu_s(appliance: ApplianceProcess) -> float:
    """Return what the tree has used once its children stand: 0.17 s each for their start, which no image costs."""
    before, used = -1.0, tree_cpu_s(appliance.pids())
    while used - before > _IDLE_CPU_S:
        time.sleep(1)
        before, used = used, tree_cpu_s(appliance.pids())
    return used


def _download_cpu_s(urls: list[str], spool: Path) -> float:
    """Fetch them all as the appliance does, and nothing else."""
    fetcher = Fetcher(FetchSettings(allow=("127.0.0.0/8",)), spool)
    started = time.process_time()
    with ThreadPoolExecutor(THREADS) as threads:
        for fetched in threads.map(fetcher.fetch, urls):
            fetched.discard()
    spent = time.process_time() - started
    fetcher.close()
    return spent


def _codec_cpu_s(folder: Path) -> float:
    """Compress them all in this process, without pipes and files."""
    sources = [entry.read_bytes() for entry in folder.iterdir()]
    limits = Limits(max_pixels=1 << 20, formats=("jpeg",))
    started = time.process_time()
    for source in sources:
        ladder.compress(source, Recipe(), limits)
    return time.process_time() - started
