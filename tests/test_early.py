import asyncio
import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server
from litestar.types import HTTPResponseBodyEvent, HTTPResponseStartEvent, HTTPScope, Receive, Send

from imagemill.api.hot import Ready
from imagemill.appliance import early
from tests.api.server import wait_for
from tests.ports import free_port

HEAD = HTTPResponseStartEvent(type="http.response.start", status=200, headers=[(b"content-length", b"5")])
READY = Ready(HEAD, HTTPResponseBodyEvent(type="http.response.body", body=b"ready", more_body=False), "", (0, 0, 0))


class App:
    """Says "app" a while after it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.threads: set[str] = set()

    def ready(self, scope: HTTPScope) -> Ready | None:
        self.threads.add(threading.current_thread().name)
        return READY if scope["path"] == "/ready" else None

    async def __call__(self, scope: Any, _: Receive, send: Send) -> None:  # noqa: ANN401
        if scope["type"] == "lifespan":
            return
        self.asked.append(scope["path"])
        await asyncio.to_thread(threading.Event().wait, 0.01)
        await send(HTTPResponseStartEvent(type="http.response.start", status=200, headers=[]))
        await send(HTTPResponseBodyEvent(type="http.response.body", body=b"app", more_body=False))


@pytest.fixture
def served() -> Iterator[tuple[App, httpx.Client]]:
    app, port, ends = App(), free_port(), threading.Event()

    async def serve() -> None:
        server = Server(app, port=port, interface=Interfaces.ASGI, http=HTTPModes.http1, log_enabled=False)
        running = asyncio.create_task(server.serve())
        await asyncio.to_thread(ends.wait)
        asyncio.get_running_loop().call_soon(server.stop)
        await running

    thread = threading.Thread(target=lambda: early.run(serve(), app.ready), name="loop")
    thread.start()
    wait_for(port)
    with contextlib.closing(httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False)) as client:
        yield app, client
    ends.set()
    thread.join(60)
    assert not thread.is_alive()


def test_what_is_ready_does_not_reach_the_loop_and_the_rest_does(served: tuple[App, httpx.Client]) -> None:
    app, client = served
    assert [client.get(path).text for path in ("/ready", "/other", "/ready", "/ready", "/other")] == [
        "ready",
        "app",
        "ready",
        "ready",
        "app",
    ]
    assert app.asked == ["/other", "/other"]
    assert "loop" not in app.threads
