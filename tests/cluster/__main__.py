"""Two servers and four workers: killed at random, two of them cut off for longer than a lease lasts; then the ledger.

    python -m tests.cluster --images 20000 --seed 1

The shop's catalogue goes to one server, small photographs under distinct addresses to the other. Every few seconds a
worker, or the second server, is killed with all its children and started again, now and then without a word to anybody,
as by a power cut. When a twentieth is done, all that the first worker sends and is sent vanishes for `CUT_S`, and the
second has no network at all. When they are back, each has to take its share of a further sheet. In the end every image
has ended exactly once, every output is stored, every end was told under one id, and each sheet has an output at every
place. Each machine has a network of its own where that is possible, else the cut lines are proxies. What the machines
said is kept in build/cluster/.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.appliance_process import ApplianceProcess, until
from tests.cluster.locks import freed_after_s
from tests.cluster.stage import Shared, Site, Worker
from tests.network import Line, no_network
from tests.origin_nginx import Nginx
from tests.places import ROOT
from tests.story.ledger import PRODUCTS, SHOP, names, pairs, sheet, shop_sheet
from tests.story.receiver import Receiver

CUT_S = 75.0
"""Longer than a lease (60 s)."""

CUT_AT = 0.05
EVERY_S = (4.0, 9.0)
"""Between one kill and the next."""

STANDS_STILL_S = 45.0
"""How long no image may end: what a machine that is gone had locked is free after 15 s, or 25."""

QUEUED = 0.9
KEPT = ROOT / "build" / "cluster"
WORKERS = 4
DEADLINE_S = 1800.0


class Trouble:
    """What befalls the cluster while its jobs are under way."""

    def __init__(self, server: ApplianceProcess, workers: list[Worker], dice: random.Random) -> None:
        self._dropped, self._unplugged, *others = workers
        self._machines, self._dice = [server, *others], dice
        self._next_at = time.monotonic() + EVERY_S[1]
        self._mended_at: float | None = None
        self.is_cut = False
        self.kills, self.power_cuts = 0, 0

    def look(self, share_done: float) -> None:
        """Do what is due."""
        now = time.monotonic()
        if share_done > CUT_AT and self._mended_at is None:
            self._dropped.line.drop()
            self._unplugged.line.unplug()
            self.is_cut, self._mended_at = True, now + CUT_S
            print(f"  two workers are cut off at {share_done:.0%}", flush=True)
        if self.is_cut and self._mended_at is not None and now > self._mended_at:
            for worker in (self._dropped, self._unplugged):
                worker.line.mend()
            self.is_cut = False
            print(f"  and are back, at {share_done:.0%}", flush=True)
        if now > self._next_at and share_done < QUEUED:
            self._kill(self._dice.choice(self._machines))
            self._next_at = now + self._dice.uniform(*EVERY_S)

    def _kill(self, machine: ApplianceProcess) -> None:
        self.kills += 1
        if isinstance(machine, Worker) and self._dice.random() < 0.5:
            self.power_cuts += 1
            machine.lose_power()
            return
        machine.kill()
        machine.launch()

    @property
    def is_over(self) -> bool:
        """Whether the lines were cut and mended."""
        return self._mended_at is not None and not self.is_cut


def work(first: ApplianceProcess, jobs: list[str], trouble: Trouble) -> float:
    """Wait for the end of all jobs, in trouble; return how long no image ended, at most."""
    began, wanted = time.monotonic(), sum(first.job(job)["counts"]["images"] for job in jobs)
    before, moved_at, longest_s = 0, began, 0.0
    while (now := time.monotonic()) < began + DEADLINE_S:
        states = [first.job(job) for job in jobs]
        done = sum(state["counts"].get("done", 0) for state in states)
        if done > before:
            before, moved_at = done, now
        if done < QUEUED * wanted:  # in the end all that is left may be a dead machine's, until its lease ends
            longest_s = max(longest_s, now - moved_at)
        trouble.look(done / wanted)
        if all(state["finished_at"] for state in states) and not trouble.is_cut:
            return longest_s
        time.sleep(0.5)
    sys.exit(f"not done within {DEADLINE_S} s: {[job['counts'] for job in states]}")


def all_return(shared: Shared, workers: list[Worker]) -> None:
    """See that each worker says that it lives, with no help of ours."""
    began, since = time.monotonic(), shared.now()
    names = {worker.name for worker in workers}
    until(lambda: names <= shared.living(since), 90, "each worker says that it lives", 0.2)
    print(f"  each worker says so {time.monotonic() - began:.0f} s later", flush=True)


def all_help(
    shared: Shared, first: ApplianceProcess, workers: list[Worker], sheets: Iterator[bytes]
) -> dict[str, bytes]:
    """See that each worker has images in hand; return the sheets that were needed, by job.

    One sheet may be done in a second, before all have been seen: another is given whenever nobody has anything.
    """
    given: dict[str, bytes] = {}
    seen: set[str] = set()
    names = {worker.name for worker in workers}

    def have_all() -> bool:
        if not (holders := shared.holders()):
            further = next(sheets)
            given[first.submit(further)] = further
        seen.update(holders)
        return names <= seen

    until(have_all, 60, "each worker has images in hand", 0.1)
    return given


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
    reason = no_network()
    print(f"  no network for each machine, proxies instead: {reason}" if reason else "  each in a network of its own")
    with contextlib.ExitStack() as stack:
        run(stack, chosen.images, random.Random(chosen.seed), reason)


def run(stack: contextlib.ExitStack, images: int, dice: random.Random, reason: str) -> None:
    """Build the cluster, disturb it, and audit what it has done."""
    root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="imagemill-cluster-")))
    stack.callback(keep_logs, root)
    (root / "s3").mkdir()
    site = Site(stack, root, WORKERS + 2, reason)
    shared = stack.enter_context(Shared(root / "s3", site.address))
    shop, products = (
        stack.enter_context(Nginx(folder, logs=False, address=site.address)) for folder in (SHOP, PRODUCTS)
    )
    receiver = stack.enter_context(Receiver(address=site.address))
    common = shared.settings() | {"fetch_retries": 20, "workers": 1, "callback_url": receiver.url}
    first, second = site.server("one", common), site.server("two", common)
    common["public_url"] = first.url
    for server in (first, second):
        server.settings = {**server.settings, "public_url": first.url}
    workers = [site.worker(f"worker{n}", common, shared) for n in range(WORKERS)]
    if isinstance(line := workers[0].line, Line):
        freed_s = freed_after_s(line, root, shared.database)
        print(f"  what a machine had locked that vanished is free after {freed_s:.0f} s", flush=True)
    for machine in (first, second, *workers):
        stack.enter_context(machine)
    began = time.monotonic()
    catalogue, small = shop_sheet(shop.url), photographs(products.url, range(images))
    given = {first.submit(catalogue): catalogue, second.submit(small): small}
    trouble = Trouble(second, workers, dice)
    still_s = work(first, list(given), trouble)
    assert trouble.is_over, "it was over before the lines were cut: give it more --images"
    all_return(shared, workers)
    step = images // 10
    sheets = (photographs(products.url, range(start, start + step)) for start in itertools.count(images, step))
    given |= all_help(shared, first, workers, sheets)
    still_s = max(still_s, work(first, list(given), trouble))
    took_s = time.monotonic() - began
    until(lambda: len({headers["webhook-id"] for headers, _ in receiver.calls}) == len(given), 180, "all ends are told")
    audit(shared, first, given, receiver)
    assert still_s < STANDS_STILL_S, f"for {still_s:.0f} s no image ended"
    troubles = f"{trouble.kills} kills, {trouble.power_cuts} of them power cuts, and a cut of {CUT_S:.0f} s"
    print(f"cluster: exact after {troubles}, in {took_s:.0f} s; for {still_s:.1f} s at most no image ended")


def keep_logs(root: Path) -> None:
    """Keep what the machines said."""
    KEPT.mkdir(parents=True, exist_ok=True)
    for log in root.glob("*.log"):
        shutil.copy(log, KEPT)


def photographs(base: str, numbers: range) -> bytes:
    """Return a sheet of small photographs under distinct addresses."""
    pictures = sorted(PRODUCTS.glob("*.jpg"))[:1000]
    return sheet([f"{base}/{pictures[n % len(pictures)].name}?{n}" for n in numbers])


if __name__ == "__main__":
    main()
