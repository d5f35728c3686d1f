"""Everybody moves every job at once, and the power goes: what is left is whole, and nothing is left over."""

from __future__ import annotations

import csv
import io
import random
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from imagemill.core import keys
from imagemill.db import Store, open_database
from imagemill.pipeline import Sweep
from imagemill.settings import Settings
from tests.appliance_process import PATIENCE_S, ApplianceProcess, needs_proc, until
from tests.origin_nginx import Nginx, needs_nginx
from tests.pipeline.seams import Mill
from tests.places import needs_shared
from tests.seeds import Clock
from tests.story.ledger import PRODUCTS, sheet

pytestmark = [needs_shared, needs_nginx, needs_proc, pytest.mark.slow]

VERBS = ("cancel", "pause", "resume", "retry", "retry", "resume", "delete", "submit", "submit")
ROUNDS = 60
HANDS = 3
EXPECTED = {200, 202, 204, 404, 409}
UNFINISHED = {"pending", "processing", "paused"}


class Crowd:
    """Some who move the same jobs, each by dice of its own. `answers` has every status that was not expected."""

    def __init__(self, appliance: ApplianceProcess, origin: str, seed: int) -> None:
        self.appliance, self.seed = appliance, seed
        self.answers: list[str] = []
        self._origin = origin
        self._pictures = sorted(path.name for path in PRODUCTS.glob("*.jpg"))[:60]
        self._jobs: list[str] = []
        self._lock = threading.Lock()

    def move(self, hand: int) -> None:
        dice = random.Random(f"{self.seed}/{hand}")
        with httpx.Client(base_url=f"{self.appliance.url}/api/v1", trust_env=False, timeout=60) as client:
            client.headers["Authorization"] = f"Bearer {(self.appliance.data_dir / 'token').read_text().strip()}"
            for _ in range(ROUNDS):
                while not self._has_moved(client, dice):  # the power is off
                    threading.Event().wait(0.2)

    def submit(self, client: httpx.Client, dice: random.Random) -> httpx.Response:
        urls = [f"{self._origin}/{name}" for name in dice.sample(self._pictures, dice.randrange(1, 25))]
        asked = {"quality": dice.choice(("50", "30")), "keep_original": dice.choice(("true", "false"))}
        answer = client.post("/jobs", files={"file": ("sheet.csv", sheet(urls), "text/csv")}, data=asked)
        if answer.status_code == httpx.codes.ACCEPTED:
            with self._lock:
                self._jobs.append(answer.json()["id"])
        return answer

    def _has_moved(self, client: httpx.Client, dice: random.Random) -> bool:
        try:
            self._move(client, dice)
        except httpx.TransportError:
            return False
        return True

    def _move(self, client: httpx.Client, dice: random.Random) -> None:
        with self._lock:
            job = dice.choice(self._jobs) if self._jobs else ""
        verb = dice.choice(VERBS) if job else "submit"
        if verb == "submit":
            answer = self.submit(client, dice)
        elif verb == "delete":
            answer = client.delete(f"/jobs/{job}")
        else:
            answer = client.post(f"/jobs/{job}/{verb}")
        if answer.status_code not in EXPECTED:
            self.answers.append(f"{verb}: {answer.status_code} {answer.text}")


def test_a_crowd_of_verbs_and_two_kills_leave_the_ledger_exact(tmp_path: Path) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    with Nginx(PRODUCTS) as origin, ApplianceProcess(tmp_path / "data") as appliance:
        crowd = Crowd(appliance, origin.url, seed)
        with ThreadPoolExecutor(HANDS) as hands:
            moving = [hands.submit(crowd.move, hand) for hand in range(HANDS)]
            for part in (4, 2):
                until(lambda part=part: _jobs(appliance) > ROUNDS // part // 2, 60, "the crowd is at work")  # type: ignore[misc]
                appliance.kill()
                appliance.launch()
                appliance.ready()
            for moved in moving:
                moved.result(PATIENCE_S)
        assert crowd.answers == []
        left = [job["id"] for job in appliance.ask("/jobs", limit=500)["jobs"]]
        for job in left:
            _complete(appliance, job)
        assert appliance.stop() == 0
    _assert_exact(tmp_path, set(left))


def _jobs(appliance: ApplianceProcess) -> int:
    """How many jobs there have been so far."""
    with closing(sqlite3.connect(appliance.data_dir / "imagemill.db", 60)) as database:
        return int(database.execute("SELECT coalesce(max(id), 0) FROM job").fetchone()[0])


def _complete(appliance: ApplianceProcess, job: str) -> None:
    """Bring a job to its end with every image done, whatever was done to it, and open every link of its sheet."""

    def is_complete() -> bool:
        state = appliance.job(job)["state"]
        if state == "paused":
            appliance.post(f"/jobs/{job}/resume")
        elif state not in UNFINISHED | {"completed"}:
            appliance.post(f"/jobs/{job}/retry")
        return bool(state == "completed")

    until(is_complete, 60, "the job completes")
    for row in csv.DictReader(io.StringIO(appliance.output(job).decode())):
        for link in row["Output Image Urls"].split(","):
            assert "/images/" in link, row
            assert appliance.get(link.strip()).status_code == httpx.codes.OK


def _assert_exact(root: Path, jobs: set[str]) -> None:
    """Sweep what a stopped appliance has left, two hours later; then tables and files must say the same."""
    clock = Clock(time.time())
    with closing(Store(open_database(root / "data" / "imagemill.db"), clock)) as store:
        mill = Mill(root, store, clock, Settings())
        mill.with_parts(sweeps=True)
        for later_s in (0, 7200, 60):
            clock.now += later_s
            while Sweep() in mill.pipeline.sweep():
                pass
        rows = store._rows("SELECT key, format FROM output")
        assert sorted(mill.storage.names()) == sorted(keys.file_name(*row) for row in rows)
        kept = store._rows(
            "SELECT DISTINCT s.sha256, s.format FROM image i JOIN source s ON s.sha256 = i.source_sha256"
            " JOIN job j ON j.id = i.job_id WHERE json_extract(j.submission, '$.keep_original')"
        )
        assert sorted(mill.originals.names()) == sorted(keys.source_name(*row) for row in kept)
        assert {path.name for path in mill.folders.sheets.iterdir()} == store.known_uids() == jobs
        used = store._rows("SELECT DISTINCT source_sha256 FROM image")
        assert sorted(store._rows("SELECT sha256 FROM source")) == sorted(used)
        for table, condition in (("image", "lease IS NOT NULL"), ("image", "state != 'done'"), ("leftover", "1")):
            assert store._rows(f"SELECT count(*) FROM {table} WHERE {condition}") == [(0,)], (table, condition)
        assert store._rows("SELECT count(*) FROM image WHERE job_id NOT IN (SELECT id FROM job)") == [(0,)]
