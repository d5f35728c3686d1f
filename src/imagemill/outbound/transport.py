"""Carries httpx's requests over guarded connections that are kept and used again.

http.client of the standard library speaks HTTP. Measured with 22-KB files from nginx on loopback, CPU ms a request, one
thread / 16 threads: `httpx.Client` 0.30 / 0.40, httpcore's pool alone 0.15 / 0.24, http.client alone 0.07 / 0.10; a
whole `Fetcher.fetch` over this transport, with guard, limits and SHA-256, 0.18 / 0.20.
"""

from __future__ import annotations

import base64
import http.client
import io
import socket
import ssl
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple, cast
from urllib.parse import unquote, urlsplit

import httpx

from imagemill.core.errors import ImageCode, ImageError, SettingError
from imagemill.outbound.guard import Guard

STEP_BYTES: Final = 1 << 18
"""Bytes asked of a body at a time."""

_BUFFER_BYTES: Final = 1 << 15
_HEAD_BYTES: Final = 1 << 18
# What http.client may take from the wire for one step: a chunk of one byte has five bytes of framing.
_STEP_WIRE_BYTES: Final = 8 * STEP_BYTES
_ADDRESSES_TRIED: Final = 4
_IDLE_S: Final = 30.0
_IDLE_CONNECTIONS: Final = 256
_PORTS: Final = {"http": 80, "https": 443}
_STALE: Final = (http.client.BadStatusLine, ConnectionError, ssl.SSLEOFError)


class Origin(NamedTuple):
    """Where a connection leads to, and what its certificate must name."""

    scheme: str
    host: str
    port: int


class Wire:
    """What http.client takes for its socket: no read lasts longer, or takes more, than what is left."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._timeout_s = -1.0
        self._pause_s = 0.0
        self._deadline = 0.0
        self._bytes_left = 0

    def arm(self, pause_s: float, deadline: float) -> None:
        """Begin an exchange: at most `pause_s` between bytes, and its end not after `deadline` (monotonic)."""
        self._pause_s = pause_s
        self._deadline = deadline
        self._bytes_left = _HEAD_BYTES

    def allow(self, wire_bytes: int) -> None:
        """Say how much the next step may take, so that broken framing (a chunk of -1 bytes) cannot fill the memory."""
        self._bytes_left = wire_bytes

    def took(self, wire_bytes: int) -> None:
        """Count what was read."""
        self._bytes_left -= wire_bytes
        if self._bytes_left < 0:
            where = "head or framing"
            raise http.client.LineTooLong(where)

    def wait(self) -> None:
        """Set the time the next call on the socket has. That is a system call, so only when it changes."""
        left_s = min(self._pause_s, self._deadline - time.monotonic())
        if left_s <= 0:
            raise TimeoutError
        if left_s != self._timeout_s:
            self._timeout_s = left_s
            self.sock.settimeout(left_s)

    def sendall(self, data: bytes) -> None:
        """Send all of `data`."""
        self.wait()
        self.sock.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return what http.client reads an answer from."""
        return io.BufferedReader(_Reader(self), _BUFFER_BYTES)

    def close(self) -> None:
        """Close the socket, once nobody reads from it any more."""
        self.sock.close()


class _Reader(io.RawIOBase):
    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._raw = wire.sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        self._wire.wait()
        count = self._raw.readinto(buffer) or 0
        self._wire.took(count)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class Connection(http.client.HTTPConnection):
    """http.client's connection over a socket that is open already, and is never opened again."""

    auto_open = 0

    def __init__(self, origin: Origin, wire: Wire) -> None:
        super().__init__(origin.host, origin.port)
        self.origin = origin
        self.wire = wire
        self.sock = wire
        self.idle_since = 0.0

    def close(self) -> None:
        """Close the socket too: http.client forgets it after an answer that ends with the connection."""
        super().close()
        self.wire.close()


class Idle:
    """Connections that wait for a next request to their origin: the latest is used first, the oldest given up first."""

    def __init__(self) -> None:
        self._stacks: OrderedDict[Origin, list[Connection]] = OrderedDict()
        self._count = 0
        self._lock = threading.Lock()

    def take(self, origin: Origin) -> Connection | None:
        """Return a connection to `origin` that was used not long ago."""
        with self._lock:
            stack = self._stacks.get(origin)
            if not stack:
                return None
            connection = stack.pop()
            self._count -= 1
        if time.monotonic() - connection.idle_since < _IDLE_S:
            return connection
        connection.close()
        return None

    def give(self, connection: Connection) -> None:
        """Keep `connection` for later; when there are too many, close one that waits for long."""
        connection.idle_since = time.monotonic()
        with self._lock:
            self._stacks.setdefault(connection.origin, []).append(connection)
            self._stacks.move_to_end(connection.origin)
            self._count += 1
            surplus = self._oldest() if self._count > _IDLE_CONNECTIONS else None
        if surplus is not None:
            surplus.close()

    def _oldest(self) -> Connection:
        while not (stack := next(iter(self._stacks.values()))):
            self._stacks.popitem(last=False)
        self._count -= 1
        return stack.pop(0)

    def close(self) -> None:
        """Close them all."""
        with self._lock:
            stacks, self._stacks, self._count = self._stacks, OrderedDict(), 0
        for stack in stacks.values():
            for connection in stack:
                connection.close()


class _Body(httpx.SyncByteStream):
    """An answer's body as it comes; once it is read whole, its connection goes to `idle` (None: is closed)."""

    def __init__(self, answer: http.client.HTTPResponse, connection: Connection, idle: Idle | None) -> None:
        self._answer = answer
        self._connection = connection
        self._idle = idle
        self._is_open = True

    def __iter__(self) -> Iterator[bytes]:
        answer = self._answer
        while not answer.isclosed():
            self._connection.wire.allow(_STEP_WIRE_BYTES)
            if piece := answer.read(min(STEP_BYTES, answer.length or STEP_BYTES)):
                yield piece
        if answer.length:
            # http.client says so only where the body is asked for in one piece.
            raise http.client.IncompleteRead(b"", answer.length)

    def close(self) -> None:
        if not self._is_open:
            return
        self._is_open = False
        answer = self._answer
        is_whole = answer.isclosed() and not answer.length and not answer.will_close
        answer.close()
        if is_whole and self._idle is not None:
            self._idle.give(self._connection)
        else:
            self._connection.close()


class _Proxy(NamedTuple):
    host: str
    port: int
    headers: dict[str, str]


class Transport(httpx.BaseTransport):
    """The carrier. Raises what the guard, sockets, ssl and http.client raise: `client` puts that into our words.

    `tls` is asked when there is need of it. The request's extension `timeout` holds `connect` and `read` in seconds,
    and `deadline` on the monotonic clock; `breaker`, where there is one, may end it.
    """

    def __init__(self, guard: Guard, *, tls: Callable[[], ssl.SSLContext], proxy: str | None = None) -> None:
        self._guard = guard
        self._tls = tls
        self._proxy = _parse_proxy(proxy) if proxy else None
        self._idle = Idle()

    def carry(self, request: httpx.Request) -> httpx.Response:
        """Send `request` and return its answer, the body still on the wire.

        A kept connection may have been closed by the other side: then, and only then, a fresh one is tried at once.
        """
        url = request.url
        origin = Origin(url.scheme, url.host, url.port or _PORTS[url.scheme])
        if self._proxy is not None:
            self._check_behind_proxy(origin)
        kept = self._idle.take(origin) if request.method == "GET" else None
        if kept is not None:
            try:
                return self._exchange(kept, request)
            except _STALE:
                kept.close()
        if breaker := request.extensions.get("breaker"):
            breaker.check()
        return self._exchange(self._connect(origin, request.extensions["timeout"]), request)

    # httpx's name for it.
    handle_request = carry

    def close(self) -> None:
        """Close what is idle; what is in use closes at its end."""
        self._idle.close()

    def _exchange(self, connection: Connection, request: httpx.Request) -> httpx.Response:
        timeout = request.extensions["timeout"]
        headers = {name.decode(): value.decode() for name, value in request.headers.raw}
        target = request.url.raw_path.decode()
        if self._proxy is not None and connection.origin.scheme == "http":
            target = str(request.url)
            headers |= self._proxy.headers
        try:
            if breaker := request.extensions.get("breaker"):
                breaker.attach(connection.wire.sock)
            connection.wire.arm(timeout["read"], timeout["deadline"])
            connection.request(request.method, target, request.content or None, headers)
            answer = connection.getresponse()
        except BaseException:
            connection.close()
            raise
        body = _Body(answer, connection, self._idle if request.method == "GET" else None)
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers.raw_items()]
        return httpx.Response(answer.status, headers=raw, stream=body)

    def _connect(self, origin: Origin, timeout: dict[str, float]) -> Connection:
        ends_at = min(time.monotonic() + timeout["connect"], timeout["deadline"])
        sock = self._open(origin, ends_at)
        try:
            if self._proxy is not None and origin.scheme == "https":
                _tunnel(sock, origin, self._proxy.headers, ends_at)
            if origin.scheme == "https":
                sock.settimeout(_left_s(ends_at))
                sock = self._tls().wrap_socket(sock, server_hostname=origin.host)
        except BaseException:
            sock.close()
            raise
        return Connection(origin, Wire(sock))

    def _open(self, origin: Origin, ends_at: float) -> socket.socket:
        if self._proxy is not None:
            return _connected(self._proxy.host, self._proxy.port, _left_s(ends_at))
        *others, last = self._guard.addresses(origin.host, origin.port)[:_ADDRESSES_TRIED]
        for tried, address in enumerate(others):
            try:
                # Each has its share of the time left: a dead first address does not cost the second its turn.
                return _connected(address, origin.port, _left_s(ends_at) / (len(others) + 1 - tried))
            except OSError:
                continue
        try:
            return _connected(last, origin.port, _left_s(ends_at))
        except OSError:
            self._guard.forget(origin.host)
            raise

    def _check_behind_proxy(self, origin: Origin) -> None:
        """Check the host as we see it; a name that only the proxy can resolve is the proxy's to judge."""
        try:
            self._guard.addresses(origin.host, origin.port)
        except ImageError as error:
            if error.image_code is not ImageCode.DNS_FAILED:
                raise


def _left_s(ends_at: float) -> float:
    left_s = ends_at - time.monotonic()
    if left_s <= 0:
        raise TimeoutError
    return left_s


def _connected(address: str, port: int, timeout_s: float) -> socket.socket:
    sock = socket.create_connection((address, port), timeout_s)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _parse_proxy(text: str) -> _Proxy:
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port or 80
    except ValueError:
        host, port = None, 0
    if host is None or parts.scheme != "http":
        message = "the setting fetch.proxy must be the address of an HTTP proxy: write http://host:port"
        raise SettingError(message)
    user = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else ""
    headers = {"Proxy-Authorization": f"Basic {base64.b64encode(user.encode()).decode()}"} if user else {}
    return _Proxy(host, port, headers)


def _tunnel(sock: socket.socket, origin: Origin, headers: dict[str, str], ends_at: float) -> None:
    """Ask the proxy for a connection to `origin` (RFC 9110, 9.3.6)."""
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    wire = Wire(sock)
    wire.arm(_left_s(ends_at), ends_at)
    lines = [f"CONNECT {host}:{origin.port} HTTP/1.1", f"Host: {host}:{origin.port}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    wire.sendall("\r\n".join([*lines, "", ""]).encode())
    with http.client.HTTPResponse(cast("socket.socket", wire), method="CONNECT") as answer:
        answer.begin()
        if answer.status != http.HTTPStatus.OK:
            message = f"the proxy answered {answer.status}"
            raise ConnectionRefusedError(message)
