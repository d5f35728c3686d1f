"""The end of a job is told, signed, until somebody has heard it: across a deaf receiver and a killed appliance."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.appliance_process import ApplianceProcess, needs_proc, until
from tests.origin_nginx import Nginx, needs_nginx
from tests.places import needs_shared
from tests.story.ledger import PRODUCTS, sheet

pytestmark = [needs_shared, needs_nginx, needs_proc, pytest.mark.slow]

SECRET = "whsec_" + base64.b64encode(b"a secret of twenty-four b").decode()


class Receiver(ThreadingHTTPServer):
    """Keeps every call and answers with `status`."""

    status = 500

    def __init__(self) -> None:
        self.calls: list[tuple[Message, bytes]] = []
        super().__init__(("127.0.0.1", 0), _Answer)


class _Answer(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        receiver = self.server
        assert isinstance(receiver, Receiver)
        receiver.calls.append((self.headers, self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(receiver.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Nothing on the terminal."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def assert_signed(headers: Message, body: bytes) -> None:
    """As a receiver does it: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md."""
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    assert expected in headers["webhook-signature"].split()


def test_a_callback_survives_a_deaf_receiver_and_a_kill(tmp_path: Path, receiver: Receiver) -> None:
    pictures = sorted(PRODUCTS.glob("*.jpg"))[:3]
    with Nginx(PRODUCTS) as origin, ApplianceProcess(tmp_path / "data") as appliance:
        target = f"http://127.0.0.1:{receiver.server_port}/hook"
        urls = [f"{origin.url}/{picture.name}" for picture in pictures]
        job = appliance.submit(sheet(urls), callback_url=target, callback_secret=SECRET)
        until(lambda: appliance.job(job)["callback"]["attempts"] == 1, 15, "the first attempt is recorded")
        appliance.kill()
        receiver.status = 204
        appliance.launch()
        appliance.ready()
        until(lambda: appliance.job(job)["callback"]["state"] == "delivered", 15, "the callback is delivered")
    (first, _), (second, _) = receiver.calls
    assert first["webhook-id"] == second["webhook-id"]
    assert int(second["webhook-timestamp"]) > int(first["webhook-timestamp"])
    for headers, body in receiver.calls:
        assert_signed(headers, body)
        assert json.loads(body)["type"] == "job.completed"
        assert json.loads(body)["data"]["job"]["id"] == job
