"""A small job does not wait for a large one, nor one owner for another, nor anybody for a host that is dead."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.appliance_process import ApplianceProcess, needs_proc, until
from tests.origin_nginx import Nginx, needs_nginx
from tests.places import needs_shared
from tests.story.ledger import PRODUCTS, sheet

pytestmark = [needs_shared, needs_nginx, needs_proc, pytest.mark.slow]

LARGE = 100_000
"""A million takes a minute only to be written, and the small job sees no more of it than the window."""
SMALL = 10
MANY = 5_000
"""So many of others are done, at most, while what must not wait for them is: whoever waited would see all of them
done, or thirty for each of his own. Counts, unlike times, say the same on a machine that others use too."""

DEAD = 5_000
HEALTHY = 400


def product_urls(base: str, count: int, tag: str) -> list[str]:
    """Return addresses that differ, of pictures of which many are equal."""
    pictures = sorted(PRODUCTS.glob("*.jpg"))[:1000]
    return [f"{base}/{pictures[n % len(pictures)].name}?{tag}={n}" for n in range(count)]


def completed(appliance: ApplianceProcess, urls: list[str]) -> None:
    """Submit these, and wait for the end."""
    assert appliance.finished(appliance.submit(sheet(urls)), 60, every_s=0.02)["state"] == "completed"


def done(appliance: ApplianceProcess) -> int:
    """Return how many places all jobs have done."""
    return sum(job["counts"]["done"] for job in appliance.ask("/jobs", limit=500)["jobs"])


def test_ten_images_beside_many_do_not_wait_for_them(tmp_path: Path) -> None:
    with Nginx(PRODUCTS) as origin, ApplianceProcess(tmp_path / "data") as appliance:
        large = appliance.submit(sheet(product_urls(origin.url, LARGE, "large")))
        until(lambda: appliance.job(large)["counts"]["done"], 60, "the large job has begun")
        beside = []
        for turn in range(3):
            before = done(appliance)
            completed(appliance, product_urls(origin.url, SMALL, f"beside{turn}"))
            beside.append(done(appliance) - before - SMALL)
        print(f"done of {LARGE:,} while ten others were: {beside}")
        assert sorted(beside)[1] <= MANY
        counts = appliance.job(large)["counts"]
        assert counts["done"] < LARGE // 2
        until(lambda: appliance.job(large)["counts"]["done"] > counts["done"], 20, "the large job goes on", 1)


@contextlib.contextmanager
def black_hole() -> Iterator[str]:
    """Take connections and say nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextlib.contextmanager
def closed_door() -> Iterator[str]:
    """Drop every SYN: nobody accepts, and the backlog is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                waiting.connect(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_dead_hosts_hold_up_nobody_else_and_are_given_up(tmp_path: Path) -> None:
    patient = {"fetch_host_pause_s": 0.5, "fetch_retries": 1, "fetch_read_timeout_s": 6, "fetch_connect_timeout_s": 6}
    with (
        Nginx(PRODUCTS) as origin,
        black_hole() as hole,
        closed_door() as door,
        ApplianceProcess(tmp_path / "data", patient) as appliance,
    ):
        healthy = product_urls(origin.url, HEALTHY, "mixed")
        dead = [f"{base}/{n}.jpg" for n in range(DEAD) for base in (hole, door)]
        began = time.monotonic()
        mixed = appliance.submit(sheet([*dead, *healthy]))
        completed(appliance, product_urls(origin.url, HEALTHY, "other"))
        until(lambda: appliance.job(mixed)["counts"]["done"] == HEALTHY, 60, "the healthy ones are done")
        took = time.monotonic() - began
        print(f"{HEALTHY} images in another job and in the same one: {took:.2f} s")
        assert took < 300  # all the dead, waited for at 16 a host, take an hour
        ended = appliance.finished(mixed, 100, every_s=0.5)
        assert (ended["state"], ended["counts"]["failed"]) == ("partial", 2 * DEAD)
        (image,) = appliance.ask(f"/jobs/{mixed}/images", state="failed", limit=1)["images"]
        assert image["error"]["code"] == "timeout"
        report = appliance.get(f"/api/v1/jobs/{mixed}/report.csv").text
        assert report.count("was given up") > 2 * DEAD - 100


def test_an_urgent_job_goes_first(tmp_path: Path) -> None:
    with Nginx(PRODUCTS) as origin, ApplianceProcess(tmp_path / "data") as appliance:
        for job in range(30):
            appliance.submit(sheet(product_urls(origin.url, 3 * HEALTHY, f"job{job}-")))
        urgent = appliance.submit(sheet(product_urls(origin.url, HEALTHY, "urgent")), priority="10")
        before = done(appliance)
        assert appliance.finished(urgent, 60, every_s=0.02)["state"] == "completed"
        others = done(appliance) - before - HEALTHY
        print(f"done of thirty jobs while {HEALTHY} urgent images were: {others}")
        assert others <= MANY


def test_an_owner_of_many_jobs_leaves_half_to_another(tmp_path: Path) -> None:
    with Nginx(PRODUCTS) as origin, ApplianceProcess(tmp_path / "data") as appliance:
        many = [appliance.submit(sheet(product_urls(origin.url, 3 * HEALTHY, f"job{job}-"))) for job in range(40)]
        told = appliance.post("/tokens", name="another").raise_for_status().json()
        answer = httpx.post(
            f"{appliance.url}/api/v1/jobs",
            files={"file": ("sheet.csv", sheet(product_urls(origin.url, HEALTHY, "one")), "text/csv")},
            headers={"Authorization": f"Bearer {told['token']}"},
            trust_env=False,
            timeout=60,
        )
        before = done(appliance)
        job = appliance.finished(answer.raise_for_status().json()["id"], 60, every_s=0.02)
        others = done(appliance) - before - HEALTHY
        print(f"done of another's forty jobs while {HEALTHY} images of one owner were: {others}")
        assert (job["owner"], job["state"]) == ("another", "completed")
        assert others <= MANY
        assert any(appliance.job(job_id)["state"] == "processing" for job_id in many)
