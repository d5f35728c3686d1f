"""How the work is going, in numbers: for /api/v1/system and /metrics."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Literal

import msgspec

from imagemill.metrics import Throughput

if TYPE_CHECKING:
    from imagemill.hosts import HostState
    from imagemill.pipeline.parts import Parts


class Disk(msgspec.Struct, frozen=True):
    """Bytes free where we write, on the fullest of the disks, those kept in reserve, and all of that disk."""

    free_bytes: int
    total_bytes: int
    reserve_bytes: int


class Children(msgspec.Struct, frozen=True):
    """The pool: how many children it should have, how many are ready, and how many were replaced since the start."""

    wanted: int
    ready: int
    restarts: int


class Origins(msgspec.Struct, frozen=True):
    """How many origins there are that something is to be said of: left alone for a time, slowed down, given up."""

    paused: int
    slowed: int
    given_up: int


class Vitals(msgspec.Struct, frozen=True, kw_only=True):
    """All of it, at one moment. `waiting` and `running` count places of the sheets of unfinished jobs, as `counts`."""

    paused_at: datetime | None
    unfinished_jobs: int
    waiting: int
    running: int
    throughput: Throughput
    disk: Disk
    pool: Children
    hosts: Origins
    storage: Literal["local", "s3"]
    engine: dict[str, str]


def vitals(parts: Parts) -> Vitals:
    """Take them."""
    jobs, waiting, running = parts.store.unfinished()
    return Vitals(
        paused_at=parts.store.paused_at(),
        unfinished_jobs=jobs,
        waiting=waiting,
        running=running,
        throughput=parts.meters.pace.now(),
        disk=Disk(*parts.room.fullest(), parts.room.reserve_bytes),
        pool=Children(parts.pool.workers, len(parts.pool.pids()), parts.pool.restarts),
        hosts=_hosts(parts.hosts.snapshot()),
        storage="s3" if parts.settings.storage.is_s3 else "local",
        engine=parts.pool.engine,
    )


def _hosts(states: list[HostState]) -> Origins:
    """Count each host once, by the worst that is to be said of it."""
    given_up = [host for host in states if host.is_given_up]
    paused = [host for host in states if host.pause_s > 1 and not host.is_given_up]
    slowed = [host for host in states if host.rate and host.pause_s <= 1 and not host.is_given_up]
    return Origins(len(paused), len(slowed), len(given_up))
