"""What an appliance stands on: a data folder that it alone uses, and the pool.

Few imports, so that the children can begin to start before everything else is loaded: each takes as long for that.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from imagemill.imaging import sandbox
from imagemill.pool import Pool
from imagemill.storage.folders import Folders
from imagemill.storage.lock import held

if TYPE_CHECKING:
    from types import TracebackType

    from imagemill.settings import Settings

# One child more than cores: a child waits for the disk when it flushes its output, and for its next image. On two
# cores, 22-KB photographs: 622 images/s with two children, 726 with three.
_SPARE_CHILDREN: Final = 1


class Ground:
    """Folders and pool, from settings; use as a context manager. At the end children at work are killed."""

    def __init__(self, settings: Settings) -> None:
        self.folders = Folders(root=Path(settings.data_dir).absolute())
        self.pool = pool_of(settings, self.folders.spool)
        self.is_restored = False
        """Whether a restore had been broken off in the folder, which was finished on entering."""
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Lock the folder (StartError where another has it) and let the children begin."""
        sandbox.share_arenas()
        sandbox.forgo_tracker()
        with ExitStack() as stack:
            self.is_restored = stack.enter_context(held(self.folders))
            stack.callback(self.pool.kill)
            self.pool.start()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()


def pool_of(settings: Settings, spool: Path) -> Pool:
    """Return the pool of these settings, not started; its children open nothing but the spool."""
    return Pool(settings.image, settings.workers or usable_cores() + _SPARE_CHILDREN, spool)


def usable_cores() -> int:
    """Return how many cores this process may use (a container or `taskset` may leave fewer than there are)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
