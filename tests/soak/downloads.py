"""What the downloads of a large job cost the appliance: its memory from their first bytes to the last."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import msgspec

from tests.appliance_process import ApplianceProcess, resident_bytes

DOWNLOADS = ("output.csv", "report.csv", "images.zip")
MORE_MB = 16.0
_LOOK_BYTES = 1 << 20


class Download(msgspec.Struct, frozen=True):
    """One of them; memory is the parent's, in MB: after a tenth of the bytes, and the most of it from then on."""

    name: str
    size_mb: float
    took_s: float
    begun_mb: float
    most_mb: float

    @property
    def more_mb(self) -> float:
        return self.most_mb - self.begun_mb


def downloads(appliance: ApplianceProcess, job: str) -> list[Download]:
    """Fetch each of a job's downloads, looking on."""
    return [_fetched(appliance, job, name) for name in DOWNLOADS]


def _fetched(appliance: ApplianceProcess, job: str, name: str) -> Download:
    began_s = time.monotonic()
    looks = list(_looks(appliance, f"/api/v1/jobs/{job}/{name}"))
    later = [resident for size, resident in looks if size >= looks[-1][0] / 10]
    return Download(name, looks[-1][0] / 1e6, time.monotonic() - began_s, later[0], max(later))


def _looks(appliance: ApplianceProcess, path: str) -> Iterator[tuple[int, float]]:
    """Yield (bytes so far, MB of the parent) now and then, and at the end."""
    size, next_look = 0, 0
    for size in appliance.streamed(path):
        if size >= next_look:
            yield size, _parent_mb(appliance)
            next_look = size + _LOOK_BYTES
    yield size, _parent_mb(appliance)


def _parent_mb(appliance: ApplianceProcess) -> float:
    return resident_bytes([appliance.process.pid]) / 1e6


def fat(found: Sequence[Download]) -> list[str]:
    """Say which of them made the appliance grow."""
    for each in found:
        print(
            f"{each.name:12} {each.size_mb:10.1f} MB in {each.took_s:6.1f} s,"
            f" parent {each.begun_mb:.0f} MB, {each.more_mb:+.1f} MB later"
        )
    return [
        f"missed: while {each.name} was written the appliance grew by {each.more_mb:.0f} MB, more than {MORE_MB:.0f}"
        for each in found
        if each.more_mb > MORE_MB
    ]
