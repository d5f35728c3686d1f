"""The API on a real Granian with real parts below it; only nobody works on the jobs: tests say what becomes of them."""

import contextlib
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from litestar import Litestar

from imagemill import api, compat, web
from imagemill.core import keys
from imagemill.core.job import ErrorInfo, Output, Source
from imagemill.db import Record, Store, open_database
from imagemill.fetch import Fetcher
from imagemill.metrics import Meters
from imagemill.pipeline import Leases, Outage, Parts, Pipeline, Room, Step, Work
from imagemill.pool import Pool
from imagemill.settings import CallbackSettings, Settings
from imagemill.storage import Folders, LocalStorage, Storage
from imagemill.webhook import Caller
from tests.api.server import serving
from tests.appliance_process import PATIENCE_S, until
from tests.ports import free_port

SHEET = b"serial_number;product;images\r\n1;Cup;http://origin.example/a.jpg\r\n2;Pot;http://origin.example/b.jpg,http://origin.example/a.jpg\r\n"
ADMIN, SUBMITTER, READER = "im_admin", "im_submitter", "im_reader"


@dataclass
class Site:
    """A running server and what is under it."""

    url: str
    folders: Folders
    store: Store
    storage: Storage
    steps: list[Step] = field(default_factory=list)
    meters: Meters = field(default_factory=Meters)
    closing: threading.Event = field(default_factory=threading.Event)
    ready: dict[str, str | bool] = field(default_factory=lambda: {"database": True, "disk": "ok"})

    def break_table(self, name: str) -> None:
        """Make every query of a table fail."""
        with contextlib.closing(sqlite3.connect(self.folders.database)) as database:
            database.execute(f"DROP TABLE {name}")

    def spoil_jobs(self) -> None:
        """Make every job unreadable: a mistake of ours, as far as a client is concerned."""
        with contextlib.closing(sqlite3.connect(self.folders.database)) as database, database:
            database.execute("UPDATE job SET submission = 'a job, but no JSON'")

    def client(self, token: str | None = ADMIN) -> httpx.Client:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60, trust_env=False)

    def submit(self, token: str = ADMIN, sheet: bytes = SHEET, **fields: str) -> dict[str, Any]:
        """Submit a sheet, return the job."""
        with self.client(token) as client:
            answer = client.post("/api/v1/jobs", files={"file": ("products.csv", sheet)}, data=fields)
        assert answer.status_code == 202, answer.text
        job: dict[str, Any] = answer.json()
        return job

    def finish(self, failed: tuple[int, ...] = (), most: int = 1000) -> None:
        """Record the images of the newest job, or as many of them: done, but for the numbers in `failed`."""
        work = next(step for step in reversed(self.steps) if isinstance(step, Work))
        claim = self.store.claim_images(work.job_id, most=most, shares=1, token="test", lease_s=60)
        assert claim is not None
        records = [
            self._record(image.n, fails=image.n in failed, fingerprint=claim.fingerprint) for image in claim.images
        ]
        self.store.record_images(claim, records)

    def _record(self, n: int, *, fails: bool, fingerprint: str) -> Record:
        if fails:
            return Record(n=n, seconds=0.1, error=ErrorInfo(code="http_status", message="the origin answered 404"))
        sha256 = f"{n:064x}"
        key = keys.output_key(sha256, fingerprint, "image")
        output = Output(name="image", key=key, bytes=500, format="jpeg", width=10, height=10)
        return Record(n=n, seconds=0.1, source=Source(1000, "jpeg", 10, 10, sha256), outputs=[output], ssim=1 - n / 100)

    def leftovers(self) -> list[Path]:
        """What uploads have left in the spool."""
        return list(self.folders.spool.iterdir())


def below(site: Site, settings: Settings, fetcher: Fetcher) -> Parts:
    """What the pipeline is made of; the pool never starts, since nothing is compressed."""
    return Parts(
        settings=settings,
        folders=site.folders,
        store=site.store,
        storage=site.storage,
        originals=LocalStorage(site.folders.sources),
        fetcher=fetcher,
        pool=Pool(settings.image, 1, site.folders.spool),
        caller=Caller(settings.callback, "imagemill"),
        room=Room((site.folders.root,), settings.disk_reserve_mb),
        outage=Outage(site.storage),
        leases=Leases(site.store),
        meters=site.meters,
        public_url=lambda: site.url,
        link=f"{site.url}/images/{{}}".format,
    )


@contextlib.contextmanager
def running(
    root: Path,
    settings: Settings,
    body_timeout_s: float = 30.0,
    storage: Storage | None = None,
    *,
    works: bool = False,
    public_url: str = "",
) -> Iterator[Site]:
    """Run a site in a folder; with `works` its pool compresses. Others may reach it by `public_url`."""
    port = free_port()
    settings = msgspec.structs.replace(settings, data_dir=str(root), callback=CallbackSettings(allow=("127.0.0.0/8",)))
    folders = Folders(root=root)
    folders.make()
    store = Store(open_database(folders.database))
    site = Site(f"http://127.0.0.1:{port}", folders, store, storage or LocalStorage(folders.outputs))
    tokens = ((ADMIN, {"admin"}, "admin"), (SUBMITTER, {"submit"}, "shop"), (READER, {"read"}, "shop"))
    for token, scopes, owner in tokens:
        store.add_token(token, token, scopes=frozenset(scopes), owner=owner)
    fetcher = Fetcher(settings.fetch, folders.spool)
    under = below(site, settings, fetcher)
    parts = api.Parts(
        settings=settings,
        store=store,
        pipeline=Pipeline(under, site.steps.extend),
        storage=site.storage,
        readiness=lambda: site.ready,
        body_timeout_s=body_timeout_s,
        link=under.link,
        public_url=lambda: public_url or site.url,
        closing=site.closing,
        meters=site.meters,
        queue_depth=lambda: len(site.steps),
    )
    with contextlib.ExitStack() as stack:
        stack.callback(store.close)
        stack.callback(fetcher.close)
        if works:
            stack.enter_context(under.pool)
        stack.enter_context(serving(_app(parts), port, settings))
        yield site


def _app(parts: api.Parts) -> Litestar:
    page = web.Site(parts)
    return api.create_app(parts, [*compat.routers(parts.settings.compat), page.router()], page.answer_error)


def say(site: Site, text: str) -> bytes:
    """Send a request as it is, return the answer, or as much of it as came with its head."""
    with connected(site) as line:
        line.sendall(text.replace("\n", "\r\n").encode())
        return heard(line)


def connected(site: Site) -> socket.socket:
    """Return a connection on which nothing was said yet."""
    url = httpx.URL(site.url)
    return socket.create_connection((url.host, url.port or 0), timeout=60)


def heard(line: socket.socket) -> bytes:
    """Return an answer's head and what came with it; nothing when the connection ends."""
    answer = b""
    while b"\r\n\r\n" not in answer and (more := line.recv(65536)):
        answer += more
    return answer


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site that the tests of a module share."""
    with running(tmp_path_factory.mktemp("site") / "data", Settings()) as found:
        yield found


@pytest.fixture
def client(site: Site) -> Iterator[httpx.Client]:
    with site.client() as found:
        yield found


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Site]:
    """A site of the test's own: for what counts jobs, or breaks things."""
    with running(tmp_path / "data", Settings()) as found:
        yield found


def eventually(question: Callable[[], object], within_s: float = PATIENCE_S) -> None:
    """Wait until something is so."""
    until(question, within_s, "it becomes so")
