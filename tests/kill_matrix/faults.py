"""The faults: each strikes a scene at a random moment, and leaves an appliance that runs, or soon will."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from threading import Thread
from typing import Final

import httpx
import msgspec

from tests.appliance_process import session_pids, until
from tests.kill_matrix.machine import no_clock, no_disk, no_s3
from tests.kill_matrix.stage import Scene

HOUR_S: Final = 3600
PARTS: Final = 3
"""So many faults in one run of `several`, at most."""


class Fault(msgspec.Struct, frozen=True):
    """What happens, and what it takes. `is_long`: only in the long form, because it may take a minute."""

    strike: Callable[[Scene], None]
    on_disk: bool = False
    by_clock: bool = False
    on_s3: bool = False
    is_long: bool = False

    def impossible(self) -> str:
        """Say why it cannot be had on this machine; empty where it can."""
        return (
            (no_disk() if self.on_disk else "")
            or (no_clock() if self.by_clock else "")
            or (no_s3() if self.on_s3 else "")
        )


def kill_tree(scene: Scene) -> None:
    scene.moment()
    scene.appliance.kill()
    scene.restart()


def kill_parent(scene: Scene) -> None:
    """Only the parent; its children have to notice, and are in the way of nobody."""
    scene.moment()
    parent = scene.appliance.process
    parent.kill()
    parent.wait(60)
    scene.restart()
    until(lambda: not session_pids(parent.pid), 10, "the children have gone after their parent")


def kill_child(scene: Scene) -> None:
    scene.moment()
    parent = scene.appliance.process.pid
    children = until(lambda: set(scene.appliance.pids()) - {parent}, 30, "it has children")
    with contextlib.suppress(ProcessLookupError):  # it has just gone by itself
        os.kill(scene.dice.choice(sorted(children)), signal.SIGKILL)


def kill_upload(scene: Scene) -> None:
    """In the middle of accepting; the client, who had no answer, asks again."""
    scene.moment()
    answered: list[str] = []

    def upload() -> None:
        try:
            answered.append(scene.submit())
        except httpx.TransportError:
            return

    client = Thread(target=upload)
    client.start()
    scene.rest(scene.dice.uniform(0, 0.04))
    scene.appliance.kill()
    client.join(60)
    scene.restart()
    scene.jobs.append(answered[0] if answered else scene.submit())


def terminate(scene: Scene) -> None:
    scene.moment()
    assert scene.appliance.stop() in {0, 143}  # 143: its own patience has ended, on a busy machine
    scene.appliance.all_gone()
    scene.restart()


def terminate_twice(scene: Scene) -> None:
    scene.moment()
    scene.appliance.terminate()
    scene.rest(scene.dice.uniform(0, 0.3))
    scene.appliance.terminate()
    scene.appliance.process.wait(60)
    scene.appliance.all_gone()
    scene.restart()


def power_cut(scene: Scene) -> None:
    """Everything stands still, what is not on the disk is lost, and then it starts from that."""
    scene.moment()
    assert scene.disk is not None
    session = scene.appliance.process.pid
    for pid in session_pids(session):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    scene.disk.cut()
    scene.appliance.kill()
    scene.disk.power_up()
    scene.restart()


def fill_disk(scene: Scene) -> None:
    """To the last byte, or only below the reserve; then there is room again."""
    scene.moment()
    assert scene.disk is not None
    scene.disk.fill(scene.dice.choice((0, 50_000, 300_000, 3_000_000)))
    scene.rest(scene.dice.uniform(1, 4))
    scene.disk.empty()


def lock_database(scene: Scene) -> None:
    """Or, where it is a server's, stop that as a crash would."""
    scene.moment()
    if scene.stage.postgres is not None:
        with scene.stage.postgres.outage():
            scene.rest(scene.dice.uniform(1, 4))
        return
    name = scene.dice.choice(("imagemill.db", "imagemill.db", "queue.db"))
    with closing(sqlite3.connect(scene.appliance.data_dir / name, isolation_level=None, timeout=60)) as database:
        database.execute("BEGIN EXCLUSIVE")
        scene.rest(scene.dice.uniform(2, 6))
        database.execute("ROLLBACK")


def step_clock(scene: Scene) -> None:
    """While it runs, or between its death and its return."""
    scene.moment()
    assert scene.clock is not None
    is_down = scene.dice.random() < 0.5
    if is_down:
        scene.appliance.kill()
    scene.clock.step(scene.dice.choice((-1, 1)) * scene.dice.randint(1, 48 * HOUR_S))
    if is_down:
        scene.restart()


def step_clock_back_while_images_wait(scene: Scene) -> None:
    """What was to be tried again in a second must not wait for hours."""
    scene.moment()
    assert scene.clock is not None
    scene.origin.stop()
    scene.rest(scene.dice.uniform(0.5, 2))
    scene.clock.step(-scene.dice.randint(2 * HOUR_S, 48 * HOUR_S))
    scene.origin.start()


def stop_origin(scene: Scene) -> None:
    scene.moment()
    scene.origin.stop()
    scene.rest(scene.dice.uniform(0.1, 3))
    scene.origin.start()


def hang_origin(scene: Scene) -> None:
    """Longer than a read may take, or a little shorter."""
    scene.moment()
    scene.origin.hang()
    scene.rest(scene.dice.uniform(0.5, 4))
    scene.origin.hang(on=False)


def stop_storage(scene: Scene) -> None:
    """The S3 server refuses connections; now and then imagemill is killed and started meanwhile."""
    scene.moment()
    assert scene.s3 is not None
    with scene.s3.outage():
        scene.rest(scene.dice.uniform(0.1, 4))
        if scene.dice.random() < 0.3:
            scene.appliance.kill()
            scene.restart()


def lose_queue(scene: Scene) -> None:
    scene.moment()
    scene.appliance.kill()
    torn = scene.dice.random() < 0.5
    for path in sorted(scene.appliance.data_dir.glob("queue.db*")):
        if torn:
            path.write_bytes(scene.dice.randbytes(path.stat().st_size // 2))
        else:
            path.unlink()
    scene.restart()


def several(scene: Scene) -> None:
    """Two or three, one after the other."""
    for name in scene.dice.sample(_COMBINED, scene.dice.randint(2, PARTS)):
        scene.moments.append(name)
        FAULTS[name].strike(scene)


FAULTS: Final = {
    "kill-tree": Fault(kill_tree),
    "kill-parent": Fault(kill_parent),
    "kill-child": Fault(kill_child),
    "kill-upload": Fault(kill_upload),
    "terminate": Fault(terminate),
    "terminate-twice": Fault(terminate_twice),
    "power-cut": Fault(power_cut, on_disk=True),
    "full-disk": Fault(fill_disk, on_disk=True),
    "locked-database": Fault(lock_database),
    "clock-step": Fault(step_clock, by_clock=True),
    "clock-back": Fault(step_clock_back_while_images_wait, by_clock=True, is_long=True),
    "origin-stopped": Fault(stop_origin),
    "origin-hangs": Fault(hang_origin),
    "s3-stopped": Fault(stop_storage, on_s3=True),
    "queue-lost": Fault(lose_queue),
    "several": Fault(several, on_disk=True, by_clock=True),
}
_COMBINED: Final = [name for name, fault in FAULTS.items() if not (fault.is_long or fault.on_s3) and name != "several"]
