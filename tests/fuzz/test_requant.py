"""A short run of `make fuzz`, so that every change goes through it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz import requant

pytestmark = pytest.mark.skipif(requant.compiler() is None, reason="needs a C compiler")


@pytest.mark.parametrize("flags", [(), ("-U__SSE2__",)], ids=["lanes", "plain"])
def test_broken_files_find_nothing(tmp_path: Path, flags: tuple[str, ...]) -> None:
    done = requant.run(20_000, 3, tmp_path, *flags)
    assert done.returncode == 0, done.stderr[-4000:]
    executions, made, declined, broken, without_memory = (int(word) for word in done.stdout.split() if word.isdigit())
    assert executions == 20_000 == made + declined + broken
    assert min(made, declined, broken) > 1000
    assert without_memory == 0
