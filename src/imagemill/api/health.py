"""Is it alive, and can it take work? For load balancers, systemd and people; no token needed."""

from typing import Literal

import msgspec
from litestar import Response, get

from imagemill.api.jobs import GivenParts


class Alive(msgspec.Struct, frozen=True):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Readiness(msgspec.Struct, frozen=True):
    """Whether work can be taken, and what each part says: `ok`, or what is wrong with it."""

    ready: bool
    parts: dict[str, str]


@get("/healthz", summary="Is it alive?", security=[], sync_to_thread=False)
def healthz() -> Alive:
    """Answer."""
    return Alive()


@get(
    "/readyz",
    summary="Can it take work?",
    description="200 when every part can work, else 503; each part says how it is.",
    security=[],
    sync_to_thread=True,
)
def readyz(parts: GivenParts) -> Response[Readiness]:
    """Ask each part."""
    found = {name: _word(answer) for name, answer in parts.readiness().items()}
    readiness = Readiness(all(word == "ok" for word in found.values()), found)
    return Response(readiness, status_code=200 if readiness.ready else 503)


def _word(answer: str | bool) -> str:  # noqa: FBT001 - what a part answers
    return answer if isinstance(answer, str) else "ok" if answer else "not ready"
