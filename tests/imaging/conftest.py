from __future__ import annotations

import pytest

from imagemill.imaging import pixels


@pytest.fixture(autouse=True)
def _warnings_as_in_a_child() -> None:
    pixels.set_warnings()
