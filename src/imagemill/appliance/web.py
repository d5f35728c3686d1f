"""The web server: Granian in a thread of its own, with an event loop of its own. Loaded only where there is one."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING, Final

from granian.constants import HTTPModes, Interfaces, SSLProtocols
from granian.http import HTTP1Settings
from granian.server.embed import Server

from imagemill import api, compat, web
from imagemill.appliance import early, tls
from imagemill.appliance.names import first_name
from imagemill.core.errors import StartError
from imagemill.ports import bound, listened, reached

if TYPE_CHECKING:
    from imagemill.appliance import Appliance
    from imagemill.settings import Settings

START_S: Final = 10.0
HEAD_BYTES: Final = 128 * 1024
"""A request's head may have so many bytes, and a hundred headers: above that it is 431, or 414. One that comes in large
pieces may be read to twice as much before that is noticed.

Granian's own 408 KiB would let 1024 connections fill 400 MiB; below 128, uploads lose speed (64: half of it).
"""

SWITCH_S: Final = 0.001
"""A request changes threads four times, and each time waits so long for every thread of the queue that computes."""

STOP_S: Final = 2.0
"""Requests that run when a stop is asked for get so long."""

_STEPS: Final = {
    errno.EADDRINUSE: "is imagemill running already? Try --port",
    errno.EACCES: "ports below 1024 are for who may (CAP_NET_BIND_SERVICE): try --port 8750",
}
"""What to do where a port cannot be had."""


class Web:
    """Answers requests on one port, from `start` to `stop`."""

    def __init__(self, appliance: Appliance, port: int) -> None:
        self._settings = appliance.settings
        self._host, self._port = appliance.settings.host, port
        check_port(self._host, port)
        self._identity = tls.identity(appliance.settings)
        self._address = appliance.address
        self._closing = threading.Event()
        self._parts = api.Parts(
            closing=self._closing,
            settings=appliance.settings,
            store=appliance.store,
            pipeline=appliance.pipeline,
            storage=appliance.storage,
            readiness=appliance.readiness,
            link=appliance.link,
            public_url=lambda: appliance.public_url,
            meters=appliance.meters,
            queue_depth=appliance.queue.depth,
            started_at=appliance.started_at,
            started_s=appliance.started_s,
            origins=appliance.origins,
        )
        site = web.Site(self._parts)
        routers = [*compat.routers(appliance.settings.compat), site.router()]
        self._app = api.create_app(self._parts, routers, site.answer_error)
        self._first = first_name(appliance.node)
        self._server: Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)

    def start(self) -> None:
        """Return when requests are answered."""
        sys.setswitchinterval(SWITCH_S)
        self._thread.start()
        ends_at = time.monotonic() + START_S
        while not answers(self._host, self._port):
            if not self._thread.is_alive() or time.monotonic() > ends_at:
                message = f"the web server did not start on {self._host}:{self._port}; the log says why"
                raise StartError(message)
            time.sleep(0.005)

    def sign_in_url(self) -> str:
        """Return a link that signs in to the page as the appliance's own token, once."""
        return api.sign_in_link(self._parts, self._first, self._address).url

    def stop(self) -> None:
        """Take no more requests, end the streams, and wait for what else runs, but not for ever."""
        self._closing.set()
        if self._loop and self._server and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._server.stop)
        self._thread.join(STOP_S)

    def _run(self) -> None:
        early.run(self._serve(), api.answers_in_memory(self._app))

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._server = server_of(self._app, self._host, self._port, self._settings, self._identity)
        await self._server.serve()


def server_of(app: object, host: str, port: int, settings: Settings, identity: tls.Identity | None = None) -> Server:
    """Return the server, with bounds on what a client may hold.

    Granian's `auto` waits for ever for the first byte of a connection (it may become HTTP/2), and its `backpressure`,
    128 by default, counts connections: so many silent ones and nobody else was answered. HTTP/1 alone bounds the first
    byte too, the head of each request, and the wait for the next one.
    """
    return Server(
        app,
        address=listened(host),
        port=port,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=settings.head_timeout_s * 1000, max_buffer_size=HEAD_BYTES),
        backpressure=settings.max_connections,
        backlog=settings.max_connections,
        log_enabled=False,
        ssl_cert=identity.certificate if identity else None,
        ssl_key=identity.key if identity else None,
        ssl_protocol_min=SSLProtocols.tls12,
        websockets=False,
    )


def check_port(host: str, port: int) -> None:
    """Refuse a port that is taken, before the web server does it with a backtrace (StartError)."""
    try:
        bound(host, port).close()
    except OSError as error:
        step = _STEPS.get(error.errno or 0, "see that host names an address of this machine: try --host 127.0.0.1")
        message = f"cannot listen on {host}:{port}: {error.strerror}; {step}"
        raise StartError(message) from error


def answers(host: str, port: int) -> bool:
    """Say whether somebody answers on a port."""
    with contextlib.suppress(OSError), socket.create_connection((reached(host), port), timeout=1.0):
        return True
    return False
