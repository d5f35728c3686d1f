"""Whether a further job is let in: how many sheets come in at a time, and how much waits already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from imagemill.budget import Budget
from imagemill.core.errors import NoRoomError

if TYPE_CHECKING:
    from contextlib import ExitStack

    from imagemill.pipeline.parts import Parts

_MOMENT_S: Final = 5
"""An upload ends soon; images that wait are a matter of minutes, as the disk is."""


class Admission:
    """Counts who is in. Each refusal is a NoRoomError that says what is full and when to come again."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._uploads = Budget(parts.settings.max_uploads)
        self._estimates = Budget(parts.settings.estimate.at_once)

    def enter(self, place: ExitStack, *, is_new: bool) -> None:
        """Give a sheet a place among the uploads until `place` is closed; a new job also needs room in the queue."""
        self._parts.room.check()
        backlog = self._backlog() if is_new else None
        if backlog:
            raise NoRoomError(backlog)
        if not self._uploads.takes(1):
            raise NoRoomError(self._crowd(), retry_after_s=_MOMENT_S)
        place.callback(self._uploads.give, 1)

    def enter_estimate(self, place: ExitStack) -> None:
        """Give an estimate its place too, until `place` is closed."""
        self.enter(place, is_new=False)
        if not self._estimates.takes(1):
            message = f"pressure: {self._estimates.limit} estimates are being made, as many as estimate.at_once allows"
            raise NoRoomError(f"{message}: try again soon", retry_after_s=_MOMENT_S)
        place.callback(self._estimates.give, 1)

    def pressure(self) -> str | None:
        """Return what keeps a further sheet out, in words for an operator; None when it would be let in."""
        return self._backlog() or (None if self._uploads.has(1) else self._crowd())

    def _backlog(self) -> str | None:
        limit, waiting = self._parts.settings.max_open_images, self._parts.store.open_images()
        if waiting < limit:
            return None
        return (
            f"pressure: jobs that have not ended have {waiting} images, and max_open_images is {limit}:"
            " wait until one ends, cancel one, or raise it"
        )

    def _crowd(self) -> str:
        return f"pressure: {self._uploads.limit} sheets are coming in, as many as max_uploads allows: try again soon"
