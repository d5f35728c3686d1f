"""The composition root: the one place that constructs parts. Starts them in order; stop is start backwards.

Web and work are threads of one process: the decoding, which is what costs, happens in the pool's children anyway.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from imagemill import __version__
from imagemill.appliance import crew
from imagemill.appliance.names import first_token, node_name
from imagemill.core.errors import StartError
from imagemill.db import StoreError, open_store
from imagemill.fetch import Fetcher, rules
from imagemill.ground import Ground
from imagemill.hosts import Hosts
from imagemill.imaging import engine, sandbox
from imagemill.logs import kept
from imagemill.metrics import Meters
from imagemill.pipeline import Leases, Outage, Parts, Pipeline, Room
from imagemill.ports import address_of, free_port
from imagemill.queue import Queue
from imagemill.queue.carriers import OnServer
from imagemill.storage import Folders, Running, announced, local_folder, storage_of
from imagemill.webhook import Caller

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from types import TracebackType

    from imagemill.appliance.web import Web
    from imagemill.settings import Settings

log = logging.getLogger(__name__)

GRACE_S: Final = 6.0
"""What runs when a stop is asked for may go on so long; then it is given back. With all the rest under 10 s."""

_OTHER_FILES: Final = 1024
"""Open files beside clients' connections: origins, spool, database, pipes."""

_DEAD_THREADS: Final = "threads of the queue have died; they are replaced"


class Appliance:
    """Everything that runs, from settings. Use as a context manager, or `start` and `stop`.

    With `web` false there is no server: the queue and the pool alone, for `imagemill run`, or, where it `is_worker`,
    for the servers that share all with it. With `works` false no job goes on either: what is left can estimate.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        web: bool = True,
        works: bool = True,
        is_worker: bool = False,
        origins: Mapping[str, str] | None = None,
        ground: Ground | None = None,
    ) -> None:
        """`origins` says where each setting came from, for the page that shows them; a `ground` is entered already."""
        self._ground = ground
        self._is_worker = is_worker
        self.settings = settings
        self.origins = origins or {}
        self._has_web = web
        self._works = works
        self._stack = contextlib.ExitStack()
        self._web: Web | None = None
        self._port = settings.port
        self.started_at, self.started_s = time.time(), time.monotonic()
        self.meters = Meters()
        self.folders = Folders(root=Path(settings.data_dir).absolute())

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Construct and start every part; when one cannot, those before it are stopped again (StartError)."""
        engine.check()
        with contextlib.ExitStack() as stack:
            self._start_parts(stack)
            self._stack = stack.pop_all()

    def stop(self) -> None:
        """Stop every part, the last one first: no new requests, no new work, what runs is finished or given back."""
        self._stack.close()

    def _start_parts(self, stack: contextlib.ExitStack) -> None:
        settings, folders = self.settings, self.folders
        if self._is_worker:
            crew.check_worker(settings)
        ground = self._ground or stack.enter_context(Ground(settings))
        self._pool = ground.pool
        if self._has_web or self._is_worker:
            stack.enter_context(self._kept_log())
        if ground.is_restored:
            log.warning("a restore was broken off and is finished: what was there before is in %s", folders.root)
        self.store = open_store(settings.database, folders.database)
        stack.callback(self.store.close)
        self.node = node_name(folders) if self.store.is_shared else ""
        hosts = Hosts(rules(settings.fetch, settings.threads))
        self._leases = Leases(self.store, node=self.node, on_crew=hosts.join)
        crew.check_storage(settings.storage, self._leases.others())
        stack.callback(self._leases.release)
        self.storage = storage_of(settings.storage, folders.outputs)
        self._outage = Outage(self.storage, meters=self.meters)
        self._outage.begin()
        self.token = first_token(self.store, folders, self.node)
        fetcher = Fetcher(settings.fetch, folders.spool, hosts=hosts)
        stack.callback(fetcher.close)
        self.queue = self._queue()
        self.parts = self._parts(hosts, fetcher)
        self.pipeline = Pipeline(self.parts, self.queue.announce)
        self._start_work(stack)
        if self._has_web:
            self._start_web(stack)
            log.info("started: imagemill %s at %s", __version__, self.address)
            stack.callback(self._tell_stop)

    def _tell_stop(self) -> None:
        log.info("stopping: imagemill %s at %s", __version__, self.address)

    def _queue(self) -> Queue:
        url, folders = self.settings.queue.url, self.folders
        carrier = folders.queue if url is None else OnServer(url, self.node or node_name(folders))
        return Queue(carrier, threads=self.settings.threads, others=self._leases.others)

    def _kept_log(self) -> AbstractContextManager[None]:
        """Keep the log in files, also where a journal has it: `imagemill diagnostics` reads these, and no journal."""
        settings = self.settings
        file_bytes = settings.log_file_mb << 20
        style, most = settings.log_format, settings.log_lines_per_s
        return kept(self.folders.logs, files=settings.log_files, file_bytes=file_bytes, style=style, most=most)

    def _start_work(self, stack: contextlib.ExitStack) -> None:
        self._leases.start()
        stack.callback(self._leases.stop)
        stack.callback(self._stop_work)
        if self._works:
            self.queue.start(self.pipeline)

    def _stop_work(self) -> None:
        self.parts.stopping.set()
        if not self.queue.stop(GRACE_S):
            log.warning("work in hand did not end in %s s and is given back", GRACE_S)
            self._pool.kill()
            self.queue.wait(1.0)

    def _start_web(self, stack: contextlib.ExitStack) -> None:
        # Here and not above: `imagemill run` needs neither Litestar nor Granian, and they take half of its start.
        from imagemill.appliance.web import Web  # noqa: PLC0415

        sandbox.allow_descriptors(self.settings.max_connections + _OTHER_FILES)
        self._port = self.settings.port or free_port(self.settings.host)
        self._web = Web(self, self._port)
        stack.callback(self._web.stop)
        self._web.start()
        stack.enter_context(announced(self.folders.running, Running(self.address, os.getpid())))

    def _parts(self, hosts: Hosts, fetcher: Fetcher) -> Parts:
        settings, folders = self.settings, self.folders
        return Parts(
            settings=settings,
            folders=folders,
            store=self.store,
            storage=self.storage,
            originals=crew.originals_of(settings.storage, folders, is_shared=self.store.is_shared),
            hosts=hosts,
            meters=self.meters,
            fetcher=fetcher,
            pool=self._pool,
            caller=Caller(settings.callback, settings.fetch.user_agent),
            room=Room((*folders.written(), self._outputs() or folders.root), settings.disk_reserve_mb),
            outage=self._outage,
            leases=self._leases,
            public_url=lambda: self.public_url,
            link=self.link,
            clock=self.store.now,
            sweeps=self._has_web,
        )

    def sign_in_url(self) -> str:
        """Return a link that opens the page signed in, once, and soon; a secret, as the token is."""
        if self._web is None:
            raise StartError("there is no page without the web server")
        return self._web.sign_in_url()

    @property
    def address(self) -> str:
        """Where this machine reaches the page and the API."""
        return address_of(self.settings.scheme, self.settings.host, self._port)

    @property
    def public_url(self) -> str:
        """Where others reach us: what links begin with."""
        return (self.settings.public_url or self.address).rstrip("/")

    def link(self, name: str) -> str:
        """Return the address of a stored output: the storage's or published by us; without a server, the file's own."""
        if self._has_web or self._is_worker:
            return self.storage.url(name) or f"{self.public_url}/images/{name}"
        outputs = self._outputs() or self.folders.outputs
        place = outputs / name[:2] / name
        if self.settings.public_url is None:
            return place.as_uri()
        return f"{self.public_url}/{place.relative_to(outputs).as_posix()}"

    def readiness(self) -> dict[str, str | bool]:
        """Say of each part whether it can work: True, or a sentence for the operator."""
        return {
            "database": _answer(self.store.ping),
            "storage": self._outage.state(),
            "workers": self._pool.trouble() or self.queue.trouble() or self.queue.check() or _DEAD_THREADS,
            "disk": _answer(self.parts.room.shortage),
            "pressure": _answer(self.pipeline.pressure),
        }

    def pulse(self) -> str:
        """Reach database and pool, waiting as work would, and say in a line how it is: what the watchdog looks at."""
        _answer(self.store.reach)
        self._pool.reach()
        troubles = [f"{part}: {word or 'failed'}" for part, word in self.readiness().items() if word is not True]
        return "; ".join(troubles) or (
            f"works for {self.public_url}" if self._is_worker else f"ready at {self.address}"
        )

    def _outputs(self) -> Path | None:
        """Return the folder of the outputs; None where they are not on this machine."""
        return local_folder(self.settings.storage, self.folders.outputs)


def _answer(question: Callable[[], object]) -> str | bool:
    """Return True when a part answers, its own words where it has some, else its error in a sentence.

    Readiness must never fail itself.
    """
    try:
        word = question()
    except OSError as error:
        return f"{error.strerror or error}"
    except StoreError as error:
        return error.detail
    return word if isinstance(word, str) else True
