"""Is it alive, and can it take work? For load balancers, systemd and people; no token needed."""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec
from litestar import Response, get
from litestar.openapi import ResponseSpec

from imagemill.api.jobs import GivenParts

RETRY_AFTER_S: Final = 10


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
    responses={503: ResponseSpec(Readiness, generate_examples=False, description="Not now; `parts` says why.")},
    security=[],
    sync_to_thread=True,
)
def readyz(parts: GivenParts) -> Response[Readiness]:
    """Ask each part."""
    found = spoken(parts.readiness())
    readiness = Readiness(all(word == "ok" for word in found.values()), found)
    if readiness.ready:
        return Response(readiness, status_code=200)
    return Response(readiness, status_code=503, headers={"Retry-After": str(RETRY_AFTER_S)})


def spoken(answers: Mapping[str, str | bool]) -> dict[str, str]:
    """Return what each part says, in words."""
    return {name: _word(answer) for name, answer in answers.items()}


def _word(answer: str | bool) -> str:  # noqa: FBT001 - what a part answers
    return answer if isinstance(answer, str) else "ok" if answer else "not ready"
