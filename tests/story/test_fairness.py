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

LARGE = 250_000
"""A million takes a minute only to be written, and the small job sees no more of it than the window."""
SMALL = 10
TIMES = 5
FLOOR_S = 1.0
"""Alone, ten images take some hundredths of a second: below this a loaded machine measures itself."""

DEAD = 5_000
HEALTHY = 400


def product_urls(base: str, count: int, tag: str) -> list[str]:
    """Return addresses that differ, of pictures of which many are equal."""
    pictures = sorted(PRODUCTS.glob("*.jpg"))[:1000]
    return [f"{base}/{pictures[n % len(pictures)].name}?{tag}={n}" for n in range(count)]


def seconds_for(appliance: ApplianceProcess, urls: list[str], deadline_s: float, **fields: str) -> float:
    """Submit these, wait for the end, and return how long that took."""
    began = time.monotonic()
    assert appliance.finished(appliance.submit(sheet(urls), **fields), deadline_s, every_s=0.02)["state"] == "completed"
    return time.monotonic() - began


@pytest.mark.timeout(400)
def test_ten_images_beside_many_take_hardly_longer_than_alone(tmp_path: Path) -> None:
    with Nginx(PRODUCTS) as origin, ApplianceProcess(tmp_path / "data") as appliance:
        seconds_for(appliance, product_urls(origin.url, SMALL, "warm"), 30)
        alone = [seconds_for(appliance, product_urls(origin.url, SMALL, f"alone{n}"), 30) for n in range(3)]
        large = appliance.submit(sheet(product_urls(origin.url, LARGE, "large")))
        until(lambda: appliance.job(large)["counts"]["done"], 60, "the large job has begun")
        beside = [seconds_for(appliance, product_urls(origin.url, SMALL, f"beside{n}"), 60) for n in range(3)]
        print(f"ten images alone: {sorted(alone)}, beside {LARGE:,}: {sorted(beside)} s")
        assert sorted(beside)[1] <= TIMES * max(sorted(alone)[1], FLOOR_S)
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


@pytest.mark.timeout(300)
def test_dead_hosts_hold_up_nobody_else_and_are_given_up(tmp_path: Path) -> None:
    patient = {"fetch_host_pause_s": 0.5, "fetch_retries": 1, "fetch_read_timeout_s": 6, "fetch_connect_timeout_s": 6}
    with (
        Nginx(PRODUCTS) as origin,
        black_hole() as hole,
        closed_door() as door,
        ApplianceProcess(tmp_path / "data", patient) as appliance,
    ):
        alone = seconds_for(appliance, product_urls(origin.url, HEALTHY, "alone"), 60)
        healthy = product_urls(origin.url, HEALTHY, "mixed")
        dead = [f"{base}/{n}.jpg" for n in range(DEAD) for base in (hole, door)]
        began = time.monotonic()
        mixed = appliance.submit(sheet([*dead, *healthy]))
        other = seconds_for(appliance, product_urls(origin.url, HEALTHY, "other"), 60)
        until(lambda: appliance.job(mixed)["counts"]["done"] == HEALTHY, 60, "the healthy ones are done")
        same = time.monotonic() - began
        print(f"{HEALTHY} images alone {alone:.2f} s, in another job {other:.2f} s, in the same job {same:.2f} s")
        assert max(other, same / 2) <= TIMES * max(alone, FLOOR_S)
        ended = appliance.finished(mixed, 100, every_s=0.5)
        assert (ended["state"], ended["counts"]["failed"]) == ("partial", 2 * DEAD)
        (image,) = appliance.ask(f"/jobs/{mixed}/images", state="failed", limit=1)["images"]
        assert image["error"]["code"] == "timeout"
        report = appliance.get(f"/api/v1/jobs/{mixed}/report.csv").text
        assert report.count("was given up") > 2 * DEAD - 100


def test_an_urgent_job_goes_first(tmp_path: Path) -> None:
    with Nginx(PRODUCTS) as origin, ApplianceProcess(tmp_path / "data") as appliance:
        alone = seconds_for(appliance, product_urls(origin.url, HEALTHY, "alone"), 60)
        for job in range(30):
            appliance.submit(sheet(product_urls(origin.url, 3 * HEALTHY, f"job{job}-")))
        urgent = seconds_for(appliance, product_urls(origin.url, HEALTHY, "urgent"), 60, priority="10")
        print(f"{HEALTHY} urgent images alone {alone:.2f} s, beside thirty jobs {urgent:.2f} s")
        assert urgent <= TIMES * max(alone, FLOOR_S)


def test_an_owner_of_many_jobs_leaves_half_to_another(tmp_path: Path) -> None:
    with Nginx(PRODUCTS) as origin, ApplianceProcess(tmp_path / "data") as appliance:
        alone = seconds_for(appliance, product_urls(origin.url, HEALTHY, "alone"), 60)
        many = [appliance.submit(sheet(product_urls(origin.url, 5 * HEALTHY, f"job{job}-"))) for job in range(40)]
        told = appliance.post("/tokens", name="another").raise_for_status().json()
        began = time.monotonic()
        answer = httpx.post(
            f"{appliance.url}/api/v1/jobs",
            files={"file": ("sheet.csv", sheet(product_urls(origin.url, HEALTHY, "one")), "text/csv")},
            headers={"Authorization": f"Bearer {told['token']}"},
            trust_env=False,
        )
        job = appliance.finished(answer.raise_for_status().json()["id"], 60, every_s=0.05)
        took = time.monotonic() - began
        print(f"{HEALTHY} images of one owner alone {alone:.2f} s, beside another's forty jobs {took:.2f} s")
        assert (job["owner"], job["state"]) == ("another", "completed")
        assert took <= TIMES * max(alone, FLOOR_S)
        assert any(appliance.job(job_id)["state"] == "processing" for job_id in many)
