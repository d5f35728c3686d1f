"""A line that fails when it is told to: a TCP proxy between a client and a server on loopback."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections import Counter
from typing import Final, Self

_PIECE_BYTES: Final = 64 * 1024
_RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER on, for no time: closing sends RST, as a line does that breaks."""

_PROBLEM: Final = """<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code></Error>"""


class TcpProxy:
    """Passes bytes on while entered, `delay_s` after a client's; then as `refuse`, `hang`, `cut_after`, `answer` say.

    A fault holds for connections that are open and for further ones, until `mend`. All but `hang` begin by breaking
    what is open, so that a client that keeps connections may see one failure more. `connections` counts all there were,
    `requests` those of HTTP by method, where none is sent before the answer to the last; `trips` how often a client
    said something after the server had: waits for an answer, however many pieces each question is sent in;
    `passed_bytes` those of both ways.
    """

    def __init__(self, port: int, *, delay_s: float = 0.0) -> None:
        """The server listens on `port` of the loopback interface."""
        self._server = ("127.0.0.1", port)
        self._delay_s = delay_s
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = int(self._listener.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self.connections = 0
        self.requests: Counter[str] = Counter()
        self.trips = 0
        self.passed_bytes = 0
        self._is_hung = threading.Event()
        self._answer = b""
        self._left: int | None = None
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._is_refusing = False

    def __enter__(self) -> Self:
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self._break_all()

    def refuse(self) -> None:
        """Break what is open and each further connection at once."""
        self._is_refusing = True
        self._break_all()

    def hang(self) -> None:
        """Pass nothing on any more, and break nothing."""
        self._is_hung.set()

    def cut_after(self, count: int) -> None:
        """Break all connections when so many bytes more have passed, both ways together; then each at once."""
        self._break_all()
        self._left = count

    def answer(self, status: int, code: str) -> None:
        """Answer each request with an error of S3's, in place of the server."""
        body = _PROBLEM.format(code=code)
        head = f"HTTP/1.1 {status} Error\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        self._break_all()
        self._answer = (head + body).encode()

    def mend(self) -> None:
        """Pass everything on again."""
        self._is_refusing, self._answer, self._left = False, b"", None
        self._is_hung.clear()
        self._break_all()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):  # the listener is closed at the end
            while True:
                client, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        if self._is_refusing:
            _break(client)
            return
        if self._answer:
            self._refuse_politely(client)
            return
        try:
            server = socket.create_connection(self._server)
        except OSError:  # it is down
            _break(client)
            return
        with self._lock:
            is_broken = self._has_fault()  # since we looked; what was open then is broken already
            self._open |= set() if is_broken else {client, server}
        if is_broken:
            _break(client)
            _close(server)
            return
        is_asked = threading.Event()
        threading.Thread(target=self._pass_on, args=(server, client, is_asked), daemon=True).start()
        self._pass_on(client, server, is_asked, is_request=True)

    def _has_fault(self) -> bool:
        return self._is_refusing or bool(self._answer)

    def _refuse_politely(self, client: socket.socket) -> None:
        """Take the request's head and what comes with it, answer, and let the client read that before the end."""
        with contextlib.suppress(OSError), client:
            client.settimeout(5)
            client.recv(_PIECE_BYTES)
            client.sendall(self._answer)
            client.shutdown(socket.SHUT_WR)
            while client.recv(_PIECE_BYTES):
                pass

    def _pass_on(
        self, source: socket.socket, target: socket.socket, is_asked: threading.Event, *, is_request: bool = False
    ) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_PIECE_BYTES):
                if is_request:
                    self._count(data, is_asked)
                    time.sleep(self._delay_s)
                else:
                    is_asked.clear()
                while self._is_hung.is_set():
                    time.sleep(0.01)
                target.sendall(self._allowed(data))
                if self._left == 0:
                    break
        self._part(source, target)

    def _count(self, data: bytes, is_asked: threading.Event) -> None:
        with self._lock:
            self.requests[data.partition(b" ")[0].decode("latin-1")] += 1
            self.trips += not is_asked.is_set()
        is_asked.set()

    def _allowed(self, data: bytes) -> bytes:
        with self._lock:
            self.passed_bytes += len(data)
            if self._left is not None:
                data = data[: self._left]
                self._left -= len(data)
        return data

    def _part(self, *ends: socket.socket) -> None:
        with self._lock:
            self._open -= set(ends)
        for end in ends:
            _break(end) if self._left == 0 else _close(end)

    def _break_all(self) -> None:
        with self._lock:
            ends, self._open = self._open, set()
        for end in ends:
            _break(end)


def _break(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    _close(end)


def _close(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads
    end.close()
