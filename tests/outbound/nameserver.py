"""A small real DNS server: UDP on loopback, A and AAAA, and answers that change from one question to the next."""

from __future__ import annotations

import itertools
import socket
import struct
import threading
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, Self

_A, _AAAA = 1, 28
_NO_SUCH_NAME: Final = 3
_HEAD: Final = struct.Struct("!6H")


class Nameserver:
    """Answers for `zone`: each name has a list of answers, one for each time it is asked; the last one stays.

    `resolve` is a `Resolve` of the product's that really asks this server, for both kinds of addresses.
    """

    def __init__(self, zone: dict[str, list[list[str]]]) -> None:
        self.zone = zone
        self.questions: list[tuple[str, int]] = []
        self._ids = itertools.count(1)
        self._socket = socket.socket(type=socket.SOCK_DGRAM)
        self._thread = threading.Thread(target=self._serve, name="nameserver", daemon=True)

    def __enter__(self) -> Self:
        self._socket.bind(("127.0.0.1", 0))
        self._address = self._socket.getsockname()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with socket.socket(type=socket.SOCK_DGRAM) as last:
            last.sendto(b"", self._address)
        self._thread.join(60)
        self._socket.close()

    def resolve(self, host: str, port: int) -> list[str]:
        """Ask for A, then for AAAA; OSError when there is no such name."""
        assert port
        return [*self._asked(host, _A), *self._asked(host, _AAAA)]

    def _asked(self, host: str, kind: int) -> list[str]:
        number = next(self._ids) & 0xFFFF
        labels = b"".join(bytes([len(label)]) + label for label in host.encode("ascii").split(b"."))
        question = _HEAD.pack(number, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", kind, 1)
        with socket.socket(type=socket.SOCK_DGRAM) as asking:
            asking.settimeout(60)
            asking.sendto(question, self._address)
            answer = asking.recv(4096)
        got, flags, _, count, _, _ = _HEAD.unpack_from(answer)
        assert got == number
        if flags & 0xF:
            raise OSError(-2, "Name or service not known")
        size = 4 if kind == _A else 16
        # Each record: a pointer to the name, kind, class, TTL, length, address.
        records = answer[len(question) :]
        assert len(records) == count * (12 + size)
        return [str(ip_address(records[at + 12 : at + 12 + size])) for at in range(0, len(records), 12 + size)]

    def _serve(self) -> None:
        while True:
            question, client = self._socket.recvfrom(4096)
            if not question:
                return
            with suppress(OSError):
                self._socket.sendto(self._answer(question), client)

    def _answer(self, question: bytes) -> bytes:
        (number,) = struct.unpack_from("!H", question)
        labels, at = [], _HEAD.size
        while length := question[at]:
            labels.append(question[at + 1 : at + 1 + length].decode())
            at += length + 1
        name, (kind,) = ".".join(labels), struct.unpack_from("!H", question, at + 1)
        self.questions.append((name, kind))
        if name not in self.zone:
            return _HEAD.pack(number, 0x8180 | _NO_SUCH_NAME, 1, 0, 0, 0) + question[_HEAD.size :]
        wanted = IPv4Address if kind == _A else IPv6Address
        found = [address for address in map(ip_address, self._current(name, kind)) if isinstance(address, wanted)]
        records = b"".join(
            b"\xc0\x0c" + struct.pack("!2HIH", kind, 1, 0, len(each.packed)) + each.packed for each in found
        )
        return _HEAD.pack(number, 0x8180, 1, len(found), 0, 0) + question[_HEAD.size :] + records

    def _current(self, name: str, kind: int) -> list[str]:
        """Return what the name leads to now; it changes when both kinds were told."""
        answers = self.zone[name]
        current = answers[0]
        if kind == _AAAA and len(answers) > 1:
            answers.pop(0)
        return current
