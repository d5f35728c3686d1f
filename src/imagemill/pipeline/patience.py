"""Writing down what has been done, though the database is locked or has no room just now."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, TypeVar

from imagemill.db import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from imagemill.pipeline.parts import Parts

T = TypeVar("T")

log = logging.getLogger(__name__)

_WAITS_S: Final = (0.5, 1, 2, 4, 8, 16, 16, 16)
"""How long a write waits for the database, between tries: about a minute in all."""


def patiently(parts: Parts, write: Callable[[], T]) -> T:
    """Return what `write` does, tried again for a minute: what was done shall not be lost, or done twice, for that."""
    for wait_s in _WAITS_S:
        try:
            return write()
        except StoreError as error:
            log.warning("the database cannot be written, trying again in %s s: %s", wait_s, error.cause)
            parts.stopping.wait(wait_s)
    return write()
