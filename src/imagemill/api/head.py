"""HEAD: what GET would be answered with, without the body (RFC 9110, 9.3.2).

Routes know GET alone. What they stream is broken off after its head, as for a client that has left.
"""

import asyncio
from typing import Final

from litestar.types import ASGIApp, HTTPScope, Message, Receive, Send

_USED_UP: Final = frozenset({"/sign-in"})
"""Where a link works once: who only looks at it, as mail programs do, does not use it up."""


async def answer_head(app: ASGIApp, scope: HTTPScope, receive: Receive, send: Send) -> None:
    """Have `app` answer GET, and send the head of that."""
    scope["method"] = "GET"
    if scope["path"] in _USED_UP:
        scope["query_string"] = b""
    is_sent = asyncio.Event()

    async def send_head(message: Message) -> None:
        if message["type"] == "http.response.start":
            await send(message)
        elif not is_sent.is_set():
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            is_sent.set()

    answering = asyncio.ensure_future(app(scope, receive, send_head))
    waiting = asyncio.ensure_future(is_sent.wait())
    try:
        await asyncio.wait({answering, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if answering.done():
            await answering
    finally:
        waiting.cancel()
        answering.cancel()
        await asyncio.wait({answering, waiting})
