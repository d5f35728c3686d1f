"""What two hundred clients see while a job has both cores."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import httpx
from PIL import Image

from imagemill.core.job import Submission
from imagemill.settings import Settings
from tests.api.conftest import running
from tests.appliance_process import ENDED, ApplianceProcess, resident_bytes
from tests.bench.crowd import Orders, Seen, came_back, sent
from tests.origin_nginx import Nginx
from tests.seeds import Clock, Seeds
from tests.story.ledger import sheet

_SOI: Final = b"\xff\xd8"
JOBS: Final = 10_000
PICTURES: Final = 24_000
FOR_S: Final = 15.0


def distinct(folder: Path, count: int) -> list[str]:
    """Write `count` pictures of 22 KB that differ by a comment only: nothing is compressed once for several."""
    plain = folder / "plain.jpg"
    Image.effect_noise((280, 210), 40).convert("RGB").save(plain, quality=88)
    data = plain.read_bytes()[2:]
    names = [f"{n:06}.jpg" for n in range(count)]
    for name in names:
        (folder / name).write_bytes(_SOI + b"\xff\xfe\x00\x08" + name[:6].encode() + data)
    return names


@contextmanager
def busy(pictures: int, settings: dict[str, object]) -> Iterator[tuple[ApplianceProcess, str, str]]:
    """An appliance with a job that has both cores: it, the job, and the path of an image published already."""
    with TemporaryDirectory(prefix="imagemill-load-") as kept:
        folder = Path(kept) / "pictures"
        folder.mkdir()
        names = distinct(folder, pictures)
        with Nginx(folder, logs=False) as origin, ApplianceProcess(Path(kept) / "data", settings) as appliance:
            first = appliance.submit(sheet([f"{origin.url}/plain.jpg"]))
            appliance.finished(first, 30)
            url = appliance.images(first)[0]["outputs"][0]["url"]
            job = appliance.submit(sheet(f"{origin.url}/{name}" for name in names))
            yield appliance, job, url.removeprefix(appliance.url)


def crowded(appliance: ApplianceProcess, job: str, image: str, *, clients: int, for_s: float) -> Seen:
    """Send the clients; they poll the job and fetch the image, once a second each."""
    token = (appliance.data_dir / "token").read_text().strip()
    turn = (f"/api/v1/jobs/{job}", image)
    return came_back(sent(Orders(appliance.port, token, turn, clients=clients, for_s=for_s)))


def load() -> dict[str, float]:
    """200 clients, a status and an image each second, while a job runs; and what the job does meanwhile."""
    with busy(PICTURES, {}) as (appliance, job, image):
        before = appliance.job(job)["counts"]["done"]
        idle_mb = resident_bytes([appliance.process.pid]) / 1e6
        seen = crowded(appliance, job, image, clients=200, for_s=FOR_S)
        after, loaded_mb = appliance.job(job), resident_bytes([appliance.process.pid]) / 1e6
        assert after["state"] not in ENDED, "the job ended first: more pictures"
    assert not seen.errors, seen.errors
    figures = {"job_images_per_s": (after["counts"]["done"] - before) / FOR_S, "more_rss_mb": loaded_mb - idle_mb}
    for name, kind in zip(("status", "image"), seen.kinds, strict=True):
        figures |= {f"{name}_per_s": kind.per_s, f"{name}_p50_ms": kind.p50_ms}
        figures |= {f"{name}_p99_ms": kind.p99_ms, f"{name}_max_ms": kind.max_ms}
    return figures


def listing() -> dict[str, float]:
    """Pages of 50 of a list of 10,000 jobs, asked for one after another over HTTP; milliseconds of the slowest."""
    with TemporaryDirectory(prefix="imagemill-load-") as kept, running(Path(kept) / "data", Settings()) as site:
        seeds = Seeds(site.store, Path(kept), Clock())
        for n in range(JOBS):
            seeds.clock.now += 1
            seeds.job([[f"http://a/{n}.jpg"]], Submission(name=f"job {n}"))
        with site.client() as client:
            return {
                f"list {query or 'all'} ms": 1000 * max(_page_s(client, query) for _ in range(20))
                for query in ("", "state=pending", "state=failed", "owner=shop", "name=job 5", "limit=500")
            }


def _page_s(client: httpx.Client, query: str) -> float:
    begun = time.perf_counter()
    client.get(f"/api/v1/jobs?{query}").raise_for_status()
    return time.perf_counter() - begun
