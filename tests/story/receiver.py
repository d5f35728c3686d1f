"""A receiver of callbacks that keeps every call, and checks signatures as a customer would."""

from __future__ import annotations

import base64
import hashlib
import hmac
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Self

SECRET = "whsec_" + base64.b64encode(b"a secret of twenty-four b").decode()


class Receiver(ThreadingHTTPServer):
    """Keeps every call and answers with `status`, while entered."""

    def __init__(self, status: int = 204, *, address: str = "127.0.0.1") -> None:
        self.status = status
        self.calls: list[tuple[Message, bytes]] = []
        super().__init__((address, 0), _Answer)
        self.url = f"http://{address}:{self.server_port}/hook"

    def __enter__(self) -> Self:
        Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _Answer(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        receiver = self.server
        assert isinstance(receiver, Receiver)
        receiver.calls.append((self.headers, self.rfile.read(int(self.headers["Content-Length"] or 0))))
        self.send_response(receiver.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST  # noqa: N815 - http.server's name

    def log_message(self, *args: object) -> None:
        """Nothing on the terminal."""


def assert_signed(headers: Message, body: bytes) -> None:
    """As a receiver does it: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md."""
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    assert expected in headers["webhook-signature"].split()
