"""A Granian for one application, as the appliance runs it."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator

from granian.server.embed import Server
from litestar import Litestar

from imagemill.api import answers_in_memory
from imagemill.appliance import early
from imagemill.appliance.web import server_of
from imagemill.settings import Settings


@contextlib.contextmanager
def serving(app: Litestar, port: int, settings: Settings | None = None) -> Iterator[None]:
    """Answer requests in a thread, until the block ends."""
    loops: list[tuple[asyncio.AbstractEventLoop, Server]] = []

    async def serve() -> None:
        server = server_of(app, "127.0.0.1", port, settings or Settings())
        loops.append((asyncio.get_running_loop(), server))
        await server.serve()

    thread = threading.Thread(target=lambda: early.run(serve(), answers_in_memory(app)), daemon=True)
    thread.start()
    try:
        wait_for(port)
        yield
    finally:
        loop, server = loops[0]
        loop.call_soon_threadsafe(server.stop)
        thread.join(60)


def wait_for(port: int, within_s: float = 60.0) -> None:
    never = threading.Event()
    for _ in range(int(within_s / 0.01)):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        never.wait(0.01)
    raise TimeoutError(port)
