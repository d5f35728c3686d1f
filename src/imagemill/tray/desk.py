"""The desk: looks at the appliance again and again, shows what it sees, and does what is clicked. One thread.

A click comes from a surface's thread as an act, waits in a queue, and is done here: so nothing is done twice at once,
and a slow answer holds up no menu.
"""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Callable
from typing import Final

import msgspec

from imagemill.core.errors import ImagemillError, RemoteError
from imagemill.core.job import Job
from imagemill.tray import opening
from imagemill.tray.endings import Endings, Notice, notices
from imagemill.tray.login import Login
from imagemill.tray.menu import Act, face_of
from imagemill.tray.neighbour import Neighbour
from imagemill.tray.surfaces import Surface
from imagemill.tray.view import Mood, View

log = logging.getLogger(__name__)

IDLE_S: Final = 2.0
BUSY_S: Final = 0.7
"""From one look to the next."""

START_S: Final = 30.0
"""An appliance that was started has so long to answer: it may have a large database to check."""

LOST_S: Final = 3.0
"""One that does not answer has so long before that is called a fault: it may be on its way down, and up again."""

STOP_S: Final = 12.0
"""One that was asked to stop has so long: the icon stays until then, so that no new one meets it on its way out."""

_STEP_S: Final = 0.1
_AWAITED: Final = 20
_STOPPED: Final = "has ended unasked; choose “Start it again”"
_NOBODY: Final = "does not answer; choose “Start it again”"


class Desk:
    """Everything that a tray does. `ask` may be called from any thread and from a signal; `run` is the desk's own."""

    def __init__(self, neighbour: Neighbour, login: Login) -> None:
        self._neighbour = neighbour
        self._login = login
        self._asked: queue.SimpleQueue[tuple[Act, str]] = queue.SimpleQueue()
        self._endings = Endings()
        self._news: list[Notice] = []
        self._wished: list[str] = []
        self._patient_until = 0.0
        self._has_answered = False
        self._is_over = False
        self.view = View(data_dir=str(neighbour.folders.root), has_folder=neighbour.outputs is not None)
        self._acts: dict[Act, Callable[[str], None]] = {
            Act.OPEN: lambda path: self._open_page(path or "/"),
            Act.ADD: lambda _: self._open_page("/"),
            Act.SHOW_JOB: lambda job_id: self._open_page(f"/jobs/{job_id}"),
            Act.PAUSE: lambda _: neighbour.pause(is_wanted=True),
            Act.RESUME: lambda _: neighbour.pause(is_wanted=False),
            Act.OPEN_FOLDER: lambda _: opening.open_folder(neighbour.outputs or neighbour.folders.root),
            Act.LOGIN: lambda _: login.turn(on=not login.is_on),
            Act.START: lambda _: self.begin(),
            Act.FINISH: lambda _: self._know(is_leaving=True),
            Act.STAY: lambda _: self._know(is_leaving=False),
            Act.QUIT: lambda _: self._quit(),
            Act.CLOSE: lambda _: self._end(),
        }

    def ask(self, act: Act, argument: str = "") -> None:
        """Have something done soon."""
        self._asked.put((act, argument))

    def begin(self) -> None:
        """Find the appliance, or start it."""
        self._know(trouble="")
        if not self._look():
            self._neighbour.start()
            self._has_answered = False
            self._patient_until = time.monotonic() + START_S
            self._know(trouble="")

    def settle(self, patience_s: float = START_S) -> View:
        """Look until the appliance answers, or does not in that time; do what was asked for; return what is known."""
        self._patient_until = time.monotonic() + patience_s
        while self.view.mood is Mood.STARTING:
            self._look()
            time.sleep(_STEP_S)
        while not self._asked.empty():
            self._perform(*self._asked.get())
        return self.view

    def run(self, surface: Surface) -> None:
        """Look, show and do, until the end is asked for."""
        try:
            while not self._is_over:
                self._look()
                surface.show(face_of(self.view))
                self._tell_news(surface)
                self._wait()
                self._leave_when_done()
        finally:
            surface.leave()

    def _wait(self) -> None:
        """Do what is asked for meanwhile; after an act it is time to look at once."""
        try:
            self._perform(*self._asked.get(timeout=IDLE_S if self.view.mood is Mood.IDLE else BUSY_S))
        except queue.Empty:
            return

    def _perform(self, act: Act, argument: str) -> None:
        try:
            self._acts[act](argument)
        except (ImagemillError, OSError) as error:
            told = error.detail if isinstance(error, ImagemillError) else str(error)
            log.warning("%s did not work: %s", act, told)
            self._news.append(Notice("That did not work", told))

    def _know(self, **changes: object) -> None:
        self.view = msgspec.structs.replace(self.view, **changes)

    def _look(self) -> bool:
        """Ask how everything is; say whether there was an answer."""
        self._know(starts_at_login=self._login.is_on, address=self._neighbour.address, is_ours=self._neighbour.is_ours)
        try:
            system = self._neighbour.system()
            jobs = self._jobs(system.unfinished_jobs)
        except RemoteError as error:
            self._miss(error)
            return False
        self._patient_until, self._has_answered = time.monotonic() + LOST_S, True
        self._know(system=system, jobs=tuple(job for job in jobs if not job.is_finished), trouble="")
        self._news += notices(self._endings.see(jobs))
        while self._wished:
            self._perform(Act.OPEN, self._wished.pop())
        return True

    def _jobs(self, unfinished: int) -> list[Job]:
        """Return the jobs that are shown, and those whose end is awaited."""
        found = self._neighbour.latest(unfinished)
        for job_id in sorted(self._endings.awaited - {job.id for job in found})[:_AWAITED]:
            job = self._neighbour.job(job_id)
            if job is None:
                self._endings.forget(job_id)
            else:
                found.append(job)
        return found

    def _miss(self, error: RemoteError) -> None:
        """Take note of no answer: it is trouble only after a while, or when there is nobody to wait for."""
        self._neighbour.forget()
        self._know(system=None)
        if self._neighbour.has_failed:
            self._know(trouble=_STOPPED if self._has_answered else self._neighbour.last_words())
        elif time.monotonic() > self._patient_until and not self.view.trouble:
            log.info("the appliance does not answer: %s", error.detail)
            self._know(trouble=error.detail if error.status else _NOBODY)

    def _open_page(self, path: str) -> None:
        """Open it, or as soon as there is an answer."""
        if self.view.mood is Mood.STARTING:
            self._wished.append(path)
        else:
            opening.open_address(self._neighbour.page(path))

    def _tell_news(self, surface: Surface) -> None:
        news, self._news = self._news, []
        for notice in news:
            surface.tell(notice)

    def _leave_when_done(self) -> None:
        if self.view.is_leaving and self.view.system is not None and not self.view.system.unfinished_jobs:
            self._quit()

    def _quit(self) -> None:
        """Stop the appliance, unless it is somebody else's, and end."""
        self._neighbour.stop()
        ends_at = time.monotonic() + STOP_S
        while self._neighbour.is_ours and time.monotonic() < ends_at:
            time.sleep(_STEP_S)
        self._end()

    def _end(self) -> None:
        self._is_over = True
