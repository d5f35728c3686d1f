"""What became of images, told: counted for /metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from imagemill.core.states import Move

if TYPE_CHECKING:
    from imagemill.core.errors import ImageError
    from imagemill.db import Record
    from imagemill.pipeline.parts import Parts

OUTCOMES: Final = {
    Move.COMPLETE: "done",
    Move.FAIL: "failed",
    Move.POSTPONE: "postponed",
    Move.RELEASE: "put_off",
}
"""`postponed` is tried again, `put_off` was not tried: its host is left alone."""


def tell_recorded(parts: Parts, records: list[Record]) -> None:
    """Tell of images that were recorded."""
    meters = parts.meters
    for record in records:
        meters.images.add(OUTCOMES[record.move], record.error.code if record.error else "")
    sources = [record.source.bytes for record in records if record.source]
    meters.source_bytes.add(amount=sum(sources))
    meters.output_bytes.add(amount=sum(output.bytes for record in records for output in record.outputs))
    meters.pace.add(len(sources), sum(sources))


def tell_given_up(parts: Parts, images: int, why: ImageError) -> None:
    """Tell of images that failed untried, because their host was given up."""
    if images:
        parts.meters.images.add("failed", why.image_code, amount=images)
