"""A real, misbehaving origin: serves a folder, and every way a server can fail us, over real sockets.

`with Origin(folder) as origin:` then ask for `origin.url + "/name.jpg"`, or for one of `ROUTES`, most of which take a
file of the folder as their last part: `/drip/name.jpg`. `origin.hits["/name.jpg"]` counts requests by path.
"""

from __future__ import annotations

import gzip
import socket
import ssl
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import NamedTuple, Self
from urllib.parse import unquote

_TYPES = {".jpg": "image/jpeg", ".png": "image/png", ".gif": "image/gif", ".webp": "image/webp", ".csv": "text/csv"}
_STEP_S = 0.05
_MIB = 1 << 20


class Received(NamedTuple):
    """A POST as it came: header names in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes


class Closed(Exception):
    """The connection is to end here."""


class Origin:
    """An HTTP/1.1 server with keep-alive and a thread per connection.

    `answers` maps a path to raw bytes to be sent; `headers` keeps the last request's of each path. As a proxy it
    answers for absolute addresses by `answers`, and CONNECT leads to `tunnel_to`, whatever was asked for.
    """

    def __init__(
        self, folder: Path | None = None, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
    ) -> None:
        self.folder = folder
        self.hits: Counter[str] = Counter()
        self.received: list[Received] = []
        self.answers: dict[str, bytes] = {}
        self.headers: dict[str, dict[str, str]] = {}
        self.etag = '"first"'
        self.allowance = 10
        self.tunnel_to: tuple[str, int] | None = None
        self.connections = 0
        self.active = 0
        self.peak = 0
        self.closing = threading.Event()
        self._tls = tls
        self._host = host
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._files: dict[str, bytes] = {}

    @property
    def url(self) -> str:
        """The address to begin with, without a slash at its end."""
        return f"{'https' if self._tls else 'http'}://{self._host}:{self.port}"

    def __enter__(self) -> Self:
        self._listener = socket.create_server((self._host, 0), backlog=512)
        self.port: int = self._listener.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, name="origin", daemon=True)
        self._acceptor.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._acceptor.join(60)
        with self._lock:
            for sock in self._open:
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(60)

    def _accept(self) -> None:
        while not self.closing.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                self._open.add(sock)
                self._threads = [thread for thread in self._threads if thread.is_alive()]
                thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
                self._threads.append(thread)
            thread.start()

    def _serve(self, accepted: socket.socket) -> None:
        sock = accepted
        try:
            if self._tls is not None:
                sock = self._tls.wrap_socket(accepted, server_side=True)
                with self._lock:
                    self._open.add(sock)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with sock.makefile("rb") as reader:
                while line := reader.readline(65537):
                    headers = dict(_header(text) for text in iter(reader.readline, b"\r\n"))
                    body = reader.read(int(headers.get("content-length", 0)))
                    method, path, _version = line.decode("latin-1").split(" ", 2)
                    self._answer(Exchange(self, sock, path, headers), method, body)
        except (Closed, OSError, ValueError):
            pass
        finally:
            with self._lock:
                self._open -= {accepted, sock}
            sock.close()

    def _answer(self, exchange: Exchange, method: str, body: bytes) -> None:
        with self._lock:
            self.hits[exchange.path] += 1
            self.headers[exchange.path] = exchange.headers
            self.active += 1
            self.peak = max(self.peak, self.active)
            if method == "POST":
                self.received.append(Received(exchange.path, exchange.headers, body))
        try:
            if method == "CONNECT":
                exchange.tunnel(self.tunnel_to)
            exchange.answer()
        finally:
            with self._lock:
                self.active -= 1

    def counted(self, what: str) -> int:
        """Count one more of something; return how many there are."""
        with self._lock:
            self.hits[what] += 1
            return self.hits[what]

    def file(self, name: str) -> bytes | None:
        """Return a file of the folder, read once."""
        known = self._files.get(name)
        if known is not None or self.folder is None:
            return known
        path = (self.folder / name.lstrip("/")).resolve()
        if not (path.is_file() and path.is_relative_to(self.folder.resolve())):
            return None
        data = self._files[name] = path.read_bytes()
        return data


def _pump(source: socket.socket, drain: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            drain.sendall(data)
    for sock in (source, drain):
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)


def _header(line: bytes) -> tuple[str, str]:
    name, colon, value = line.decode("latin-1").partition(":")
    if not colon:
        raise Closed
    return name.strip().lower(), value.strip()


class Exchange:
    """One request and its answer. A route's function is named by what the server does."""

    def __init__(self, origin: Origin, sock: socket.socket, path: str, headers: dict[str, str]) -> None:
        self.origin = origin
        self.path = path
        self.headers = headers
        self._sock = sock
        plain = path.partition("?")[0]
        _, self._route, *rest = (*plain.split("/", 2), "")
        self._rest = "/".join(rest).removesuffix("/")

    def answer(self) -> None:
        raw = self.origin.answers.get(self.path)
        if raw is not None:
            return self._send(raw)
        data = self.origin.file(unquote(self.path.partition("?")[0]))
        if data is not None:
            return self._ok(data)
        return ROUTES.get(self._route, Exchange.missing)(self)

    def _send(self, data: bytes) -> None:
        self._sock.sendall(data)

    def _reply(self, status: int, body: bytes = b"", *headers: str) -> None:
        try:
            phrase = HTTPStatus(status).phrase
        except ValueError:
            phrase = "?"
        head = "\r\n".join((f"HTTP/1.1 {status} {phrase}", f"Content-Length: {len(body)}", *headers, "", ""))
        self._send(head.encode() + body)

    def _ok(self, data: bytes) -> None:
        self._reply(200, data, f"Content-Type: {_TYPES.get(Path(self.path).suffix, 'application/octet-stream')}")

    @property
    def _data(self) -> bytes:
        """The file named by the last part of the path; without one a small GIF."""
        return self.origin.file("/" + unquote(self._rest.rpartition("/")[2])) or _GIF

    def _pause(self, seconds: float) -> None:
        if self.origin.closing.wait(seconds):
            raise Closed

    def tunnel(self, target: tuple[str, int] | None) -> None:
        if target is None:
            self._reply(403)
            raise Closed
        with socket.create_connection(target) as upstream:
            self._send(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=_pump, args=(upstream, self._sock), daemon=True)
            back.start()
            _pump(self._sock, upstream)
            back.join(60)
        raise Closed

    def missing(self) -> None:
        self._reply(404, b"<html>not here</html>", "Content-Type: text/html")

    def status(self) -> None:
        self._reply(int(self._rest.partition("/")[0]), b"so be it")

    def limited(self) -> None:
        """`/limited/name.jpg`: the file for the first `allowance` requests of each second, 429 for the others."""
        if self.origin.counted(f"second {int(time.monotonic())}") <= self.origin.allowance:
            return self._ok(self._data)
        return self._reply(429)

    def tagged(self) -> None:
        """`/tagged/name.jpg`: the file under the origin's present `etag`, or 304 to whoever has that."""
        tag = f"ETag: {self.origin.etag}"
        if self.headers.get("if-none-match") == self.origin.etag:
            return self._send(f"HTTP/1.1 304 Not Modified\r\n{tag}\r\n\r\n".encode())
        return self._reply(200, self._data, tag)

    def dated(self) -> None:
        """`/dated/name.jpg`: the file of a January, asked for in May, or 304 to whoever has that of January."""
        changed = "Mon, 05 Jan 2026 10:00:00 GMT"
        if self.headers.get("if-modified-since") == changed:
            return self._reply(304)
        return self._reply(200, self._data, f"Last-Modified: {changed}", "Date: Tue, 05 May 2026 10:00:00 GMT")

    def busy(self) -> None:
        """`/busy/2/name.jpg`: 503 and a wait of 2 s the first time, then the file."""
        if self.origin.hits[self.path] == 1:
            return self._reply(503, b"", f"Retry-After: {self._rest.partition('/')[0]}")
        return self._ok(self._data)

    def broken(self) -> None:
        """`/broken/2/name.jpg`: 500 the first two times, then the file."""
        if self.origin.hits[self.path] <= int(self._rest.partition("/")[0]):
            return self._reply(500)
        return self._ok(self._data)

    def slow(self) -> None:
        """`/slow/0.5/name.jpg`: the file after half a second."""
        self._pause(float(self._rest.partition("/")[0]))
        self._ok(self._data)

    def silent(self) -> None:
        self._pause(3600)

    def drip(self) -> None:
        data = self._data
        self._send(f"HTTP/1.1 200 OK\r\nContent-Length: {len(data)}\r\n\r\n".encode())
        for position in range(len(data)):
            self._send(data[position : position + 1])
            self._pause(_STEP_S)

    def page(self) -> None:
        self._reply(200, b"\n<!DOCTYPE html><html><body>sold out</body></html>", "Content-Type: image/jpeg")

    def empty(self) -> None:
        self._reply(200)

    def short(self) -> None:
        data = self._data
        self._send(f"HTTP/1.1 200 OK\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data[: len(data) // 2])
        raise Closed

    def endless(self) -> None:
        self._send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        while True:
            self._send(bytes(_MIB))

    def huge_length(self) -> None:
        self._send(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000000\r\n\r\n" + self._data)
        raise Closed

    def small_length(self) -> None:
        self._send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n" + self._data)

    def no_length(self) -> None:
        self._send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + self._data)
        raise Closed

    def no_end(self) -> None:
        self._send(b"HTTP/1.1 200 OK\r\n\r\n" + self._data)
        self._pause(3600)

    def chunked(self) -> None:
        self._send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in _pieces(self._data, 1000):
            self._send(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        self._send(b"0\r\n\r\n")

    def short_chunk(self) -> None:
        self._send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nabc")
        raise Closed

    def minus_chunk(self) -> None:
        """A chunk of -1 bytes, which some clients take for "until the end", and no end."""
        self._send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n")
        while True:
            self._send(bytes(_MIB))

    def redirect(self) -> None:
        """`/redirect/name.jpg`, or `/redirect/redirect/name.jpg` for two hops."""
        self._reply(302, b"elsewhere", f"Location: /{self._rest}")

    def loop(self) -> None:
        self._reply(302, b"", f"Location: {self.path}")

    def to(self) -> None:
        """`/to?http%3A%2F%2Fother.example%2F`."""
        self._reply(302, b"", f"Location: {unquote(self.path.partition('?')[2])}")

    def inside(self) -> None:
        self._reply(302, b"", "Location: http://169.254.169.254/latest/meta-data/")

    def gzipped(self) -> None:
        self._reply(200, gzip.compress(self._data), "Content-Encoding: gzip")

    def brotli(self) -> None:
        self._reply(200, b"\x0b\x02\x80abc\x03", "Content-Encoding: br")

    def bomb(self) -> None:
        self._reply(200, _bomb(), "Content-Encoding: gzip")

    def closed(self) -> None:
        raise Closed

    def reset(self) -> None:
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise Closed

    def garbage(self) -> None:
        self._send(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
        raise Closed

    def long_head(self) -> None:
        self._send(b"HTTP/1.1 200 OK\r\n")
        while True:
            self._send(b"X-More: " + bytes(60_000).replace(b"\0", b"x") + b"\r\n")

    def hangs_up(self) -> None:
        """Sends the file as if the connection were kept, and closes it."""
        self._ok(self._data)
        raise Closed


@cache
def _bomb() -> bytes:
    """32 MiB of zeros in 32 KiB."""
    return gzip.compress(bytes(32 * _MIB), 5)


def _pieces(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


_GIF = bytes.fromhex("47494638396101000100800000000000ffffff2c00000000010001000002024401003b")

_UNNAMED = {"answer", "missing", "tunnel"}
ROUTES: dict[str, Callable[[Exchange], None]] = {
    name.replace("_", "-"): route
    for name, route in vars(Exchange).items()
    if callable(route) and not name.startswith("_") and name not in _UNNAMED
}
"""First part of a path, to what it does; a file of the folder comes before."""
