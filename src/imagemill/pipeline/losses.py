"""Nothing is marked done that is not stored: what the power took, or somebody removed, is made again."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from imagemill.pipeline.parts import Parts

log = logging.getLogger(__name__)

SETTLED_S: Final = 60.0
"""An output recorded so long before the newest one is on the disk with its name.

Outputs are flushed before they are renamed into the storage, but the folder is not, for each: too dear. Their names are
written when a job's end is told (`Storage.settle`), and by themselves after 5 s on ext4, after 30 s on btrfs (`commit=`
in ext4(5) and btrfs(5)). This is twice the longest.
"""


def lose_missing(parts: Parts, names: Iterable[str]) -> bool:
    """Put images whose outputs are not stored back to pending; say whether there was any."""
    missing = parts.storage.missing(names)
    if missing:
        images = parts.store.lose_outputs(missing)
        log.warning("%d stored pictures are gone: %d images are made again", len(missing), images)
    return bool(missing)
