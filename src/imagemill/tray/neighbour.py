"""The appliance beside us: found by its data folder, started as a process of its own, asked over HTTP, stopped.

It is in a session of its own, so that neither a closed terminal nor the end of the tray takes it along. What was not
started by a tray is never stopped by one: it may be a service.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import quote

import msgspec

from imagemill.core.errors import RemoteError
from imagemill.core.job import Job
from imagemill.core.states import JobState
from imagemill.outbound import Remote
from imagemill.ports import port_near
from imagemill.program import own_command
from imagemill.settings import Settings
from imagemill.storage import Folders, Running, local_folder, read_running
from imagemill.tray.view import System

T = TypeVar("T")

JOBS: Final = "/api/v1/jobs"
_SYSTEM: Final = "/api/v1/system"
_LATEST: Final = 20
_OPEN_STATES: Final = (JobState.PROCESSING, JobState.PENDING, JobState.PAUSED)
_ANSWER_S: Final = 10.0
_LAST_BYTES: Final = 4096
_GONE: Final = 404


class _Page(msgspec.Struct, frozen=True):
    jobs: list[Job]


class _Link(msgspec.Struct, frozen=True):
    url: str


class Neighbour:
    """The appliance of one data folder."""

    def __init__(self, settings: Settings, *, keeps_port: bool = True) -> None:
        """With `keeps_port` false it is started beside whoever has the port that the settings say."""
        self._host, self._port, self._keeps_port = settings.host, settings.port, keeps_port
        self.folders = Folders(Path(settings.data_dir))
        self.outputs = local_folder(settings.storage, self.folders.outputs)
        self._has_token = settings.auth == "token"
        self._certificate = Path(settings.tls_cert) if settings.tls_cert else None
        self._remote: Remote | None = None
        self._started: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> Running | None:
        """What the data folder says of it."""
        return read_running(self.folders)

    @property
    def address(self) -> str:
        """Where it answers, or did."""
        running = self.running
        return running.address if running else ""

    @property
    def is_ours(self) -> bool:
        """Whether a tray has started it: this one, or one before."""
        running = self.running
        return running is not None and _text(self._mark) == str(running.pid)

    @property
    def is_starting(self) -> bool:
        """Whether we have started it, and it lives."""
        return self._started is not None and self._started.poll() is None

    @property
    def has_failed(self) -> bool:
        """Whether we have started it, and it has ended by itself."""
        return self._started is not None and self._started.poll() not in {None, 0}

    @property
    def tray_pid(self) -> int | None:
        """The process of the tray; only worth something while its lock is held."""
        text = _text(self._tray)
        return int(text) if text.isdecimal() else None

    @tray_pid.setter
    def tray_pid(self, pid: int) -> None:
        self._tray.write_text(str(pid))

    @property
    def _tray(self) -> Path:
        return self.folders.root / "tray.pid"

    @property
    def _mark(self) -> Path:
        return self.folders.root / "started-by-tray"

    @property
    def _log(self) -> Path:
        """What it says before it has a log: why it could not start."""
        return self.folders.logs / "start.log"

    def system(self) -> System:
        """Ask how it is (RemoteError)."""
        return self._asked(_SYSTEM, System)

    def latest(self, unfinished: int) -> list[Job]:
        """Return the newest jobs, and further unfinished ones where these are not all (RemoteError)."""
        found = self._page(limit=_LATEST)
        if unfinished > sum(not job.is_finished for job in found):
            further = (job for state in _OPEN_STATES for job in self._page(limit=_LATEST, state=state))
            known = {job.id for job in found}
            found += [job for job in further if job.id not in known]
        return found

    def job(self, job_id: str) -> Job | None:
        """Return a job; None when it is gone (RemoteError)."""
        try:
            return self._asked(f"{JOBS}/{job_id}", Job)
        except RemoteError as error:
            if error.status == _GONE:
                return None
            raise

    def pause(self, *, is_wanted: bool) -> None:
        """Pause everything, or resume (RemoteError)."""
        self._reached().post(f"{_SYSTEM}/{'pause' if is_wanted else 'resume'}", msgspec.Raw)

    def page(self, path: str) -> str:
        """Return an address that shows a path of the page, signed in (RemoteError)."""
        link = self._reached().post("/api/v1/sign-in-links", _Link).url
        return f"{link}&next={quote(path, safe='/')}" if "?" in link else f"{link.rstrip('/')}{path}"

    def start(self) -> None:
        """Start it; `system` answers when it is ready."""
        self.folders.make()
        self.folders.logs.mkdir(mode=0o700, exist_ok=True)
        command = [*own_command(), "serve", "--detached", "--data-dir", str(self.folders.root)]
        if not self._keeps_port:
            command += ["--port", str(port_near(self._host, self._port))]
        with self._log.open("wb") as log:
            self._started = _detached(command, log.fileno())
        self._mark.write_text(str(self._started.pid))

    def stop(self) -> None:
        """Ask it to end in order, if a tray has started it; it hands back what it has in hand."""
        running = self.running
        pid = running.pid if running is not None and self.is_ours else None
        if pid is None and self.is_starting and self._started is not None:
            pid = self._started.pid
        if pid is not None:
            with suppress(OSError):
                os.kill(pid, signal.SIGTERM)

    def last_words(self) -> str:
        """Return the end of what it said, when it has ended at once."""
        lines = [line for line in _text(self._log)[-_LAST_BYTES:].splitlines() if line.strip()]
        return lines[-1].removeprefix("Error: ") if lines else "it said nothing"

    def forget(self) -> None:
        """Look for it anew: it may answer elsewhere, or under another token."""
        if self._remote is not None:
            self._remote.close()
            self._remote = None

    def _page(self, **query: object) -> list[Job]:
        return self._reached().get(JOBS, _Page, {name: str(value) for name, value in query.items()}).jobs

    def _asked(self, path: str, kind: type[T]) -> T:
        return self._reached().get(path, kind)

    def _reached(self) -> Remote:
        if self._remote is None:
            running = self.running
            if running is None:
                raise RemoteError("imagemill is not running")
            token = _text(self.folders.token).strip() if self._has_token else None
            self._remote = Remote(running.address, token, self._certificate, answer_s=_ANSWER_S)
        return self._remote


def _detached(command: list[str], output: int) -> subprocess.Popen[bytes]:
    """Start a process that outlives us, our terminal and our session."""
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
    # A frozen program that starts itself must not take the new one for its own child (PyInstaller's manual).
    environment = {**os.environ, "PYINSTALLER_RESET_ENVIRONMENT": "1"}
    return subprocess.Popen(  # noqa: S603  ourselves
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        env=environment,
        start_new_session=True,
        creationflags=flags,
    )


def _text(place: Path) -> str:
    try:
        return place.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
