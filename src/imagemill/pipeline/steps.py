"""What the pipeline asks to happen next; only `queue` makes it happen."""

from __future__ import annotations

from typing import TypeAlias

import msgspec


class Work(msgspec.Struct, frozen=True):
    """Claim and compress images of a job: `tasks` more hands, after `delay_s` seconds. `priority` where it is known."""

    job_id: int
    priority: int | None = None
    tasks: int = 1
    delay_s: float = 0.0


class Notify(msgspec.Struct, frozen=True):
    """Make a callback, after `delay_s` seconds."""

    delivery_id: int
    delay_s: float = 0.0


class Sweep(msgspec.Struct, frozen=True):
    """Remove what nobody needs any more, for a second or so."""


Step: TypeAlias = Work | Notify | Sweep
