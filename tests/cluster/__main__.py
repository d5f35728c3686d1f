"""Two servers and four workers: killed at random, one cut off for longer than its lease lasts; then the ledger.

    python -m tests.cluster --images 20000 --seed 1

The shop's catalogue goes to one server, small photographs under distinct addresses to the other. Every few seconds a
worker, or the second server, is killed with all its children and started again; once, when a tenth is done, all lines
of the first worker are cut for `CUT_S`. In the end every image has ended exactly once, every output is stored, every
end was told under one id, and each sheet has an output at every place.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.appliance_process import ApplianceProcess, until
from tests.cluster.stage import Lines, Shared, server, worker
from tests.origin_nginx import Nginx
from tests.story.ledger import PRODUCTS, SHOP, names, pairs, sheet, shop_sheet
from tests.story.receiver import Receiver

CUT_S = 75.0
"""Longer than a lease (60 s)."""

EVERY_S = (4.0, 9.0)
"""Between one kill and the next."""

WORKERS = 4
DEADLINE_S = 1800.0


class Trouble:
    """What befalls the cluster while its jobs are under way."""

    def __init__(self, machines: list[ApplianceProcess], lines: Lines, dice: random.Random) -> None:
        self._machines, self._lines, self._dice = machines, lines, dice
        self._next_at = time.monotonic() + EVERY_S[1]
        self._mended_at: float | None = None
        self.is_cut = False
        self.kills = 0

    def look(self, share_done: float) -> None:
        """Do what is due."""
        now = time.monotonic()
        if share_done > 0.1 and self._mended_at is None:
            self._lines.cut()
            self.is_cut, self._mended_at = True, now + CUT_S
            print(f"  the first worker is cut off at {share_done:.0%}", flush=True)
        if self.is_cut and self._mended_at is not None and now > self._mended_at:
            self._lines.mend()
            self.is_cut = False
            print("  and is back", flush=True)
        if now > self._next_at and share_done < 0.9:
            self._kill(self._dice.choice(self._machines))
            self._next_at = now + self._dice.uniform(*EVERY_S)

    def _kill(self, machine: ApplianceProcess) -> None:
        machine.kill()
        machine.launch()
        self.kills += 1

    @property
    def is_over(self) -> bool:
        """Whether the line was cut and mended."""
        return self._mended_at is not None and not self.is_cut


def work(first: ApplianceProcess, jobs: list[str], trouble: Trouble) -> None:
    """Wait for the end of all jobs, in trouble."""
    ends_at, wanted = time.monotonic() + DEADLINE_S, sum(first.job(job)["counts"]["images"] for job in jobs)
    while time.monotonic() < ends_at:
        states = [first.job(job) for job in jobs]
        done = sum(state["counts"].get("done", 0) for state in states)
        trouble.look(done / wanted)
        if all(state["finished_at"] for state in states) and not trouble.is_cut:
            return
        time.sleep(0.5)
    sys.exit(f"not done within {DEADLINE_S} s: {[job['counts'] for job in states]}")


def audit(shared: Shared, first: ApplianceProcess, given: dict[str, bytes], receiver: Receiver) -> None:
    """Compare what there is with what there must be."""

    def ask(sql: str) -> list[str]:
        return shared.postgres.query(shared.database, sql).split()

    assert ask("SELECT count(*) FROM image WHERE state <> 'done'") == ["0"], "an image has not ended well"
    # Each end has a revision of its own: more revisions than images would be an image that was recorded twice.
    twice = "SELECT count(*) FROM (SELECT count(*) AS n, max(revision) AS r, count(DISTINCT revision) AS d FROM image"
    assert ask(f"{twice} GROUP BY job_id) AS x WHERE n <> r OR n <> d") == ["0"], "an image was recorded twice"
    again = ask("SELECT count(*) FROM image WHERE attempts > 1")[0]
    print(f"  {again} images were tried again, which a storage that does not answer may cost")
    stored = set(shared.s3.objects(shared.bucket)) - {"shop/imagemill-probe", "shop/originals/imagemill-probe"}
    recorded = {f"shop/{name}" for name in ask("SELECT DISTINCT output FROM image")}
    assert recorded <= stored, "an output is not stored"
    print(f"  {len(recorded)} outputs, {len(stored - recorded)} files that no row speaks of (swept after an hour)")
    for job, text in given.items():
        places = pairs(text, first.output(job))
        assert names(dict(places)).keys() == {url for url, _ in places}, "a place has no output"
    told = [(json.loads(body)["data"]["job"]["id"], headers["webhook-id"]) for headers, body in receiver.calls]
    assert {job for job, _ in told} == set(given), "a callback is lost"
    assert len({call for _, call in told}) == len(given), "an end was told under two ids"


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    chosen = parser.parse_args()
    print(f"cluster: {chosen.images} small images and the shop, seed {chosen.seed}", flush=True)
    with contextlib.ExitStack() as stack:
        run(stack, chosen.images, random.Random(chosen.seed))


def run(stack: contextlib.ExitStack, images: int, dice: random.Random) -> None:
    """Build the cluster, disturb it, and audit what it has done."""
    root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="imagemill-cluster-")))
    (root / "s3").mkdir()
    shared = stack.enter_context(Shared(root / "s3"))
    shop, products = stack.enter_context(Nginx(SHOP, logs=False)), stack.enter_context(Nginx(PRODUCTS, logs=False))
    receiver, lines = stack.enter_context(Receiver()), stack.enter_context(Lines(shared))
    common = {"fetch_retries": 20, "workers": 1, "callback_url": receiver.url}
    first = server(root / "one", shared.settings() | common)
    first.settings = {**first.settings, "public_url": first.url}
    second = server(root / "two", {**shared.settings(), **common, "public_url": first.url})
    workers = [
        worker(root / f"worker{n}", {**(lines if n == 0 else shared).settings(), **common}, first.url)
        for n in range(WORKERS)
    ]
    for machine in (first, second, *workers):
        stack.enter_context(machine)
    pictures = sorted(PRODUCTS.glob("*.jpg"))[:1000]
    small = sheet([f"{products.url}/{pictures[n % len(pictures)].name}?{n}" for n in range(images)])
    began = time.monotonic()
    catalogue = shop_sheet(shop.url)
    given = {first.submit(catalogue): catalogue, second.submit(small): small}
    trouble = Trouble([second, *workers[1:]], lines, dice)
    work(first, list(given), trouble)
    took_s = time.monotonic() - began
    assert trouble.is_over, "it was over before the line was cut: give it more --images"
    until(lambda: len({headers["webhook-id"] for headers, _ in receiver.calls}) == len(given), 180, "all ends are told")
    audit(shared, first, given, receiver)
    print(f"cluster: exact after {trouble.kills} kills and a cut of {CUT_S:.0f} s, in {took_s:.0f} s")


if __name__ == "__main__":
    main()
