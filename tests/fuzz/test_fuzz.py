"""A short run of `make fuzz`, so that every change goes through it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz import pictures, program, requant

pytestmark = pytest.mark.skipif(program.compiler() is None, reason="needs a C compiler")


@pytest.mark.parametrize("flags", [(), ("-U__SSE2__",)], ids=["lanes", "plain"])
def test_broken_files_find_nothing(tmp_path: Path, flags: tuple[str, ...]) -> None:
    done = requant.run(20_000, 3, tmp_path, *flags)
    assert done.returncode == 0, done.stderr[-4000:]
    executions, made, declined, broken, without_memory = (int(word) for word in done.stdout.split() if word.isdigit())
    assert executions == 20_000 == made + declined + broken
    assert min(made, declined, broken) > 1000
    assert without_memory == 0


def test_generated_pictures_find_nothing(tmp_path: Path) -> None:
    done = pictures.run(1_000, 1, tmp_path)
    assert done.returncode == 0, done.stderr[-4000:]
    executions, made, without_memory = (int(word) for word in done.stdout.split() if word.isdigit())
    assert executions == 1_000 == made + without_memory
    assert without_memory > 20
