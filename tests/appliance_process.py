"""The real appliance as a child process in its own session, so that tests can watch, stop and kill the whole tree."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Self, TypeVar

import httpx
import pytest

from tests.places import ROOT
from tests.ports import free_port

T = TypeVar("T")

SOURCE = Path(os.environ.get("IMAGEMILL_TEST_PROGRAM") or Path(sys.executable).parent / "imagemill")
FROZEN = ROOT / "dist" / "imagemill" / "imagemill"
LOOPBACK = {"IMAGEMILL_FETCH_ALLOW": "127.0.0.0/8", "IMAGEMILL_CALLBACK_ALLOW": "127.0.0.0/8"}
ENDED = frozenset({"completed", "partial", "failed", "cancelled"})

needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux's /proc")


PATIENCE_S: Final = 180.0
"""So long nobody gives up who waits for something: a machine that others use too is slow, and not wrong."""


def until(condition: Callable[[], T], deadline_s: float, what: str, every_s: float = 0.02) -> T:
    """Return the first true answer of `condition`; fail the test with `what` after `deadline_s` seconds, or PATIENCE_S.

    A deadline says when to give up. What must be quick is measured, by benchmarks.
    """
    patience_s = max(deadline_s, PATIENCE_S)
    end = time.monotonic() + patience_s
    while not (answer := condition()):
        if time.monotonic() > end:
            pytest.fail(f"{what}: not within {patience_s} s")
        time.sleep(every_s)
    return answer


def environment(data_dir: Path, settings: Mapping[str, object]) -> dict[str, str]:
    """Return our environment with `settings` (`fetch_retries`: `IMAGEMILL_FETCH_RETRIES`), no other of imagemill's."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("IMAGEMILL_")}
    named = {f"IMAGEMILL_{name.upper()}": str(value) for name, value in settings.items()}
    return {**clean, **LOOPBACK, "IMAGEMILL_DATA_DIR": str(data_dir), **named}


def unmeasured(environ: Mapping[str, str]) -> dict[str, str]:
    """Return an environment whose processes do not measure their coverage: what is killed in the end tells none.

    It would cost them a third of their time.
    """
    return {name: value for name, value in environ.items() if not name.startswith("COVERAGE_PROCESS_")}


def session_pids(session: int) -> list[int]:
    """Return the living processes of a session: the whole tree, orphans too."""
    processes = ((int(entry.name), _stat(entry)) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return [pid for pid, fields in processes if fields and int(fields[3]) == session and fields[0] != "Z"]


def kill_session(session: int) -> None:
    """Send SIGKILL to every process of a session, as a power cut would."""
    while pids := session_pids(session):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _stat(entry: Path) -> list[str]:
    """Return /proc/PID/stat from the state on (proc(5)); empty when the process is gone."""
    try:
        return (entry / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def resident_bytes(pids: list[int]) -> int:
    """Return the resident memory of these processes together."""
    pages = 0
    for pid in pids:
        fields = _stat(Path("/proc") / str(pid))
        pages += int(fields[21]) if fields else 0
    return pages * os.sysconf("SC_PAGE_SIZE")


class ApplianceProcess:
    """`imagemill serve` on a free port: start, ask, stop or kill, start again on the same port and data folder."""

    def __init__(
        self,
        data_dir: Path,
        settings: Mapping[str, object] = MappingProxyType({}),
        *,
        program: Path = SOURCE,
        address: str = "127.0.0.1",
    ) -> None:
        """Settings are named as in the environment: `{"fetch_retries": 1}`. `address` is the `host` they name."""
        self.data_dir = data_dir
        self.port = free_port()
        self.url = f"http://{address}:{self.port}"
        self.log = data_dir.parent / f"{data_dir.name}.log"
        self.settings = settings
        self._command = [str(program), "serve", "--port", str(self.port)]
        self._process: subprocess.Popen[bytes] | None = None
        self._client = httpx.Client(base_url=self.url, trust_env=False, timeout=60)

    def __enter__(self) -> Self:
        """Start and wait until it answers."""
        self.launch()
        return self.ready()

    def __exit__(self, *_: object) -> None:
        """Leave nothing running."""
        self.kill()
        self._client.close()

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The parent process."""
        assert self._process is not None, "not started"
        return self._process

    def client(self) -> httpx.Client:
        """Return a client of one's own, with its token."""
        headers = {"Authorization": self._client.headers["Authorization"]}
        return httpx.Client(base_url=self.url, trust_env=False, timeout=60, headers=headers)

    def launch(self) -> None:
        """Start the process without waiting for it."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env=unmeasured(environment(self.data_dir, self.settings)),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def ready(self) -> Self:
        """Wait until it answers and take up its token."""
        until(self._answers, 30, "the appliance answers")
        token = (self.data_dir / "token").read_text().strip()
        self._client.headers["Authorization"] = f"Bearer {token}"
        return self

    def _answers(self) -> bool:
        if self.process.poll() is not None:
            pytest.fail(f"the appliance ended with {self.process.returncode}:\n{self.log_tail()}")
        try:
            return self._client.get("/healthz").is_success
        except httpx.TransportError:
            return False

    def log_tail(self) -> str:
        """Return the end of what it printed."""
        return self.log.read_text(errors="replace")[-4000:]

    def pids(self) -> list[int]:
        """Return the living processes of its tree."""
        return session_pids(self.process.pid)

    def all_gone(self) -> None:
        """Wait until nothing of its tree is left, now that the parent has ended."""
        until(lambda: not self.pids(), 2, "the whole tree is gone")

    def terminate(self) -> None:
        """Send SIGTERM to the parent, as systemd does first."""
        self.process.send_signal(signal.SIGTERM)

    def stop(self, deadline_s: float = PATIENCE_S) -> int:
        """End it gently; returns the exit status."""
        self.terminate()
        return self.process.wait(deadline_s)

    def kill(self) -> None:
        """Send SIGKILL to every process of the tree at once, as a power cut would."""
        kill_session(self.process.pid)
        self.process.wait(60)

    def ask(self, path: str, **query: str | int) -> dict[str, Any]:
        """Return the JSON answer to a GET under /api/v1."""
        answer = self._client.get(f"/api/v1{path}", params=query)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def get(self, path: str) -> httpx.Response:
        """Return the answer to a GET, whatever its status."""
        return self._client.get(path)

    def streamed(self, path: str) -> Iterator[int]:
        """Get something large, throw it away, and yield how many bytes have come, now and then."""
        with self._client.stream("GET", path) as answer:
            answer.raise_for_status()
            size = 0
            for chunk in answer.iter_raw(1 << 16):
                size += len(chunk)
                yield size

    def post(self, path: str, **body: Any) -> httpx.Response:  # noqa: ANN401
        """Return the answer to a POST under /api/v1, whatever its status."""
        return self._client.post(f"/api/v1{path}", json=body or None)

    def delete(self, path: str) -> httpx.Response:
        """Return the answer to a DELETE under /api/v1, whatever its status."""
        return self._client.delete(f"/api/v1{path}")

    def post_sheet(self, sheet: bytes, *, key: str | None = None, **fields: str) -> httpx.Response:
        """Upload a sheet, with a `key` for its repetition; returns the answer, whatever its status."""
        headers = {"Idempotency-Key": key} if key else {}
        files = {"file": ("sheet.csv", sheet, "text/csv")}
        return self._client.post("/api/v1/jobs", files=files, data=fields, headers=headers)

    def submit(self, sheet: bytes, **fields: str) -> str:
        """Upload a sheet that must be accepted; returns the job's id."""
        answer = self.post_sheet(sheet, **fields)
        assert answer.status_code == httpx.codes.ACCEPTED, answer.text
        return str(answer.json()["id"])

    def job(self, job_id: str) -> dict[str, Any]:
        """Return the job."""
        return self.ask(f"/jobs/{job_id}")

    def finished(self, job_id: str, deadline_s: float, every_s: float = 0.1) -> dict[str, Any]:
        """Wait for the end of a job and return it."""
        until(lambda: self.job(job_id)["state"] in ENDED, deadline_s, "the job ends", every_s)
        return self.job(job_id)

    def output(self, job_id: str) -> bytes:
        """Return the output sheet."""
        answer = self._client.get(f"/api/v1/jobs/{job_id}/output.csv").raise_for_status()
        return answer.content

    def images(self, job_id: str, **query: str) -> list[Any]:
        """Return all images of a job in sheet order, page by page."""
        found: list[Any] = []
        page = self.ask(f"/jobs/{job_id}/images", limit=500, **query)
        found += page["images"]
        while page["next_cursor"]:
            page = self.ask(f"/jobs/{job_id}/images", limit=500, cursor=page["next_cursor"], **query)
            found += page["images"]
        return found


class WorkerProcess(ApplianceProcess):
    """`imagemill worker`, which answers nobody: it is ready when it says so."""

    def __init__(self, data_dir: Path, settings: Mapping[str, object], *, program: Path = SOURCE) -> None:
        super().__init__(data_dir, settings, program=program)
        self._command = [str(program), "worker"]

    def ready(self) -> Self:
        """Wait until it has said that it works."""
        until(self._says, 30, "the worker works")
        return self

    def _says(self) -> bool:
        if self.process.poll() is not None:
            pytest.fail(f"the worker ended with {self.process.returncode}:\n{self.log_tail()}")
        return "works for" in self.log_tail()


def run_command(sheet: Path, folder: Path) -> list[str]:
    """Return the command that writes `folder`/out.csv and `folder`/images; its state lies in there too."""
    return [str(SOURCE), "run", str(sheet), "-o", str(folder / "out.csv"), "--images", str(folder / "images")]


def run(
    sheet: Path, folder: Path, settings: Mapping[str, object] = MappingProxyType({})
) -> subprocess.CompletedProcess[str]:
    """Run `imagemill run` to its end."""
    return subprocess.run(
        run_command(sheet, folder),
        env=environment(folder / "data", settings),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
