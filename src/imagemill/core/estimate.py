"""What a sheet would cost, told from a few of its images that were really fetched and compressed."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from imagemill.core.errors import ImageWord


class Sample(msgspec.Struct, frozen=True):
    """One image of the sample: bytes before and after, seconds to fetch it and to compress it.

    `is_done` says that its outputs are stored already, from an earlier job: it was not compressed.
    """

    source_bytes: int
    output_bytes: int
    fetch_s: float
    compress_s: float = 0.0
    is_done: bool = False


class Fault(msgspec.Struct, frozen=True):
    """An image of the sample that failed, as it would in a job."""

    source_url: str
    code: ImageWord
    message: str


class Hands(msgspec.Struct, frozen=True):
    """How much goes on at a time: downloads, images being compressed; `per_s` is the most downloads a second."""

    fetching: int
    compressing: int
    per_s: float | None = None


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """What a sheet would cost (API.md). All but the counts of images is extrapolated from the sample.

    Bytes are those of distinct images, each fetched and made once; images like those that failed count for none.
    None where nothing of the sample came through.
    """

    images: int
    unique_images: int
    already_done: int
    sampled: int
    bytes_in_estimate: int | None
    bytes_out_estimate: int | None
    seconds_estimate: float | None
    errors: list[Fault]


def extrapolated(
    images: int, unique: int, samples: Sequence[Sample], faults: Sequence[Fault], hands: Hands
) -> Estimate:
    """Return what `unique` distinct images at `images` places would cost, if they are like the sample."""
    looked_at = len(samples) + len(faults)
    scale = unique / looked_at if looked_at else 0.0
    is_known = bool(samples) or not unique
    return Estimate(
        images=images,
        unique_images=unique,
        already_done=round(scale * sum(sample.is_done for sample in samples)),
        sampled=looked_at,
        bytes_in_estimate=round(scale * sum(sample.source_bytes for sample in samples)) if is_known else None,
        bytes_out_estimate=round(scale * sum(sample.output_bytes for sample in samples)) if is_known else None,
        seconds_estimate=_seconds(scale, unique, samples, hands) if is_known else None,
        errors=list(faults),
    )


def _seconds(scale: float, unique: int, samples: Sequence[Sample], hands: Hands) -> float:
    """Fetching and compressing go on beside each other: the slower of the two decides."""
    fetch_s = scale * sum(sample.fetch_s for sample in samples) / hands.fetching
    compress_s = scale * sum(sample.compress_s for sample in samples) / hands.compressing
    pace_s = unique / hands.per_s if hands.per_s else 0.0
    return round(max(fetch_s, compress_s, pace_s), 1)
