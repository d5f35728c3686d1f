"""Callbacks over HTTP: what became of a job's, one made again, and one made for trying."""

from typing import Annotated
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.params import FromPath, JSONBody

from imagemill.api.auth import NEEDS
from imagemill.api.jobs import GivenCaller, GivenParts
from imagemill.api.openapi import refusals
from imagemill.core.job import Told, Trial


class DeliveryList(msgspec.Struct, frozen=True):
    """A job's callbacks, the newest first."""

    deliveries: list[Told]


class TrialOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whom to call. Without a secret of its own the setting `callback.secret` signs."""

    url: Annotated[str, msgspec.Meta(max_length=2048)]
    secret: Annotated[str, msgspec.Meta(min_length=1, max_length=512)] | None = None


@get(
    "/jobs/{job_id:uuid}/deliveries",
    summary="See what became of a job's callbacks",
    description="Each attempt: when, the status, the first KiB of the answer, or why none came.",
    responses=refusals(401, 403, 404),
    tags=["callbacks"],
    sync_to_thread=True,
)
def list_deliveries(parts: GivenParts, caller: GivenCaller, job_id: FromPath[UUID]) -> DeliveryList:
    """List them."""
    return DeliveryList(parts.store.deliveries(parts.store.job(str(job_id), caller.sees_only).id))


@post(
    "/jobs/{job_id:uuid}/redeliver",
    status_code=202,
    summary="Make a job's callback again",
    description="The newest one, now, with the same `webhook-id`, whatever became of it before.",
    response_description="It is asked for; look at the deliveries.",
    responses=refusals(401, 403, 404, illegal_transition=(409, "The job has no callback to make again.")),
    opt={NEEDS: "submit"},
    tags=["callbacks"],
    sync_to_thread=True,
)
def redeliver(parts: GivenParts, caller: GivenCaller, job_id: FromPath[UUID]) -> DeliveryList:
    """Ask for it."""
    job = parts.store.job(str(job_id), caller.sees_only)
    parts.pipeline.redeliver(job)
    return DeliveryList(parts.store.deliveries(job.id))


@post(
    "/callbacks/test",
    status_code=200,
    summary="Try a callback",
    description="Calls the address once, as a job's end would, and shows what was sent and what came back.",
    response_description="What was sent, and what came back: no answer is an answer too.",
    responses=refusals(400, 401, 403, 422),
    opt={NEEDS: "submit"},
    tags=["callbacks"],
    sync_to_thread=True,
)
def try_callback(parts: GivenParts, data: JSONBody[TrialOrder]) -> Trial:
    """Call."""
    return parts.pipeline.try_callback(data.url, data.secret)
