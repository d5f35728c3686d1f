"""How the work is going: /metrics for Prometheus, /api/v1/system for people, and the pause of everything."""

import platform
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from litestar import Response, get, post

from imagemill import __version__
from imagemill.api.auth import NEEDS
from imagemill.api.health import spoken
from imagemill.api.jobs import GivenParts
from imagemill.api.openapi import MetricsOperation, refusals
from imagemill.api.parts import Parts
from imagemill.metrics import CONTENT_TYPE, Family, count, exposition, gauge, gauges
from imagemill.pipeline import Vitals

METRICS: Final = "/metrics"


class System(Vitals, frozen=True, kw_only=True):
    """The appliance at this moment; `readiness` is what /readyz says of each part, `queue_depth` counts its messages.

    `paused_at` is null unless everything is paused. `throughput` is of the last minute.
    """

    version: str
    started_at: datetime
    uptime_s: float
    ready: bool
    readiness: dict[str, str]
    queue_depth: int


@get(
    "/system",
    summary="How is the work going?",
    description="Version and engine, what waits and runs, how fast it goes, disk, pool, and what each part says.",
    responses=refusals(401, 403),
    tags=["system"],
    sync_to_thread=True,
)
def show_system(parts: GivenParts) -> System:
    """Show it."""
    return system_of(parts)


@post(
    "/system/pause",
    status_code=200,
    summary="Pause everything",
    description="Begins no further image of any job until it is resumed, also after a restart; what is in hand may end."
    " Jobs are accepted meanwhile. May be sent again.",
    responses=refusals(401, 403),
    opt={NEEDS: "admin"},
    tags=["system"],
    sync_to_thread=True,
)
def pause_system(parts: GivenParts) -> System:
    """Pause."""
    parts.pipeline.verbs.pause_all()
    return system_of(parts)


@post(
    "/system/resume",
    status_code=200,
    summary="Resume everything",
    description="Goes on with every job that is not paused itself. May be sent again.",
    responses=refusals(401, 403),
    opt={NEEDS: "admin"},
    tags=["system"],
    sync_to_thread=True,
)
def resume_system(parts: GivenParts) -> System:
    """Resume."""
    parts.pipeline.verbs.resume_all()
    return system_of(parts)


@get(
    METRICS,
    summary="Numbers for Prometheus",
    description="Prometheus' text format. Needs a token with the scope `read`: make one with"
    " `imagemill token create prometheus --scope read`.",
    operation_class=MetricsOperation,
    responses=refusals(401, 403),
    opt={NEEDS: "read"},
    tags=["system"],
    sync_to_thread=True,
)
def metrics(parts: GivenParts) -> Response[bytes]:
    """Write them down."""
    families = [*_measured(system_of(parts)), *parts.meters.families()]
    return Response(exposition(families).encode(), media_type=CONTENT_TYPE)


def system_of(parts: Parts) -> System:
    """Look at everything."""
    known = parts.pipeline.vitals()
    readiness = spoken(parts.readiness())
    return System(
        **{name: getattr(known, name) for name in known.__struct_fields__},
        version=__version__,
        started_at=datetime.fromtimestamp(round(parts.started_at, 3), UTC),
        uptime_s=round(time.monotonic() - parts.started_s, 1),
        ready=all(word == "ok" for word in readiness.values()),
        readiness=readiness,
        queue_depth=parts.queue_depth(),
    )


def _measured(system: System) -> Iterator[Family]:
    """Yield what is looked up and not counted."""
    yield _info(system)
    yield gauge("imagemill_uptime_seconds", "Seconds since the start.", system.uptime_s)
    ready = {part: float(word == "ok") for part, word in system.readiness.items()}
    yield gauges("imagemill_ready", "Whether a part can work.", "part", ready)
    yield gauge("imagemill_paused", "Whether everything is paused.", float(system.paused_at is not None))
    yield gauge("imagemill_queue_depth", "Messages that wait in the queue.", system.queue_depth)
    yield gauge("imagemill_unfinished_jobs", "Jobs that have not ended.", system.unfinished_jobs)
    waiting = {"pending": float(system.waiting), "running": float(system.running)}
    yield gauges("imagemill_images", "Images of unfinished jobs, by state.", "state", waiting)
    children = {"wanted": float(system.pool.wanted), "ready": float(system.pool.ready)}
    yield gauges("imagemill_pool_children", "Processes that decode.", "state", children)
    yield count("imagemill_pool_restarts_total", "Pool children that were replaced.", system.pool.restarts)
    hosts = {name: float(getattr(system.hosts, name)) for name in system.hosts.__struct_fields__}
    yield gauges("imagemill_hosts", "Origins that are not asked as usual.", "state", hosts)
    yield gauge("imagemill_disk_free_bytes", "Bytes free on the fullest disk.", system.disk.free_bytes)
    yield gauge("imagemill_disk_reserve_bytes", "Bytes below which work pauses.", system.disk.reserve_bytes)


def _info(system: System) -> Family:
    engine = f"{system.engine.get('engine', '')} {system.engine.get('version', '')}".strip()
    labels = {"version": system.version, "engine": engine, "python": platform.python_version()}
    return gauge("imagemill_info", "What runs here.", 1, **labels)
