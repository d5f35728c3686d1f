"""The soak in small: it looks at what it says, and it can fail."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.appliance_process import needs_proc
from tests.origin_nginx import needs_nginx
from tests.places import needs_shared
from tests.soak.__main__ import Tenth, misses, soaked, tenths
from tests.soak.downloads import DOWNLOADS, MORE_MB, Download, fat

EVEN = [Tenth(100.0, 90.0, 60.0, 80, 30, (1.0, 1.0, 1.0, 1.0))] * 10


@needs_shared
@needs_nginx
@needs_proc
@pytest.mark.slow
def test_a_small_one_is_seen_from_its_first_tenth_to_its_last(tmp_path: Path) -> None:
    samples, fetched = soaked(600, tmp_path / "data", is_distinct=True)
    found = tenths(samples, 600)
    assert (samples[-1].done, len(found)) == (600, 10)
    assert all(tenth.images_per_s > 0 and tenth.parent_mb > 10 and tenth.threads > 1 for tenth in found)
    assert found[-1].databases_mb[0] > 0
    assert [each.name for each in fetched] == list(DOWNLOADS)
    assert all(each.size_mb > 0.01 and each.begun_mb > 10 for each in fetched)


@pytest.mark.parametrize(
    ("last", "missed"),
    [
        ({}, ""),
        ({"images_per_s": 91.0, "parent_mb": 104.0, "files": 96}, ""),
        ({"images_per_s": 89.0}, "pace"),
        ({"children_mb": 76.0}, "memory"),
        ({"parent_mb": 70.0}, "memory"),
        ({"files": 97}, "open files"),
    ],
)
def test_what_drifts_is_told(last: dict[str, float], missed: str) -> None:
    told = misses([*EVEN[:-1], msgspec.structs.replace(EVEN[-1], **last)])
    assert [missed in sentence for sentence in told] == [True] * bool(missed)


def test_a_download_that_takes_memory_is_told() -> None:
    even = Download("images.zip", 1000.0, 9.0, 100.0, 100.0 + MORE_MB)
    assert fat([even]) == []
    assert "images.zip" in fat([even, msgspec.structs.replace(even, most_mb=even.most_mb + 1)])[0]
