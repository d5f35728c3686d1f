"""The folder that one appliance has to itself, and the pool that starts on it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from imagemill.core.errors import StartError
from imagemill.core.recipe import Recipe
from imagemill.ground import Ground
from imagemill.pool import PoolClosed
from imagemill.settings import Settings
from tests.imaging.pictures import photo, written

SMALL = written(photo(), "jpeg", quality=95)


def test_children_compress_in_a_folder_that_is_emptied_meanwhile_and_that_nobody_else_has(tmp_path: Path) -> None:
    settings = msgspec.structs.replace(Settings(), data_dir=str(tmp_path / "data"), workers=1)
    with Ground(settings) as ground:
        ground.folders.empty_spool()  # as `recover` does, while the children are on their way
        (output,) = ground.pool.compress(SMALL, Recipe()).outputs
        assert Path(output.path).parent == ground.folders.spool
        with pytest.raises(StartError, match="another imagemill uses the folder"), Ground(settings):
            pass
    with pytest.raises(PoolClosed):
        ground.pool.compress(SMALL, Recipe())
    with Ground(settings) as again:
        assert again.folders.spool.is_dir()
