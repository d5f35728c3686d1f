"""Many clients at once, in a process of their own: `python -m tests.bench.crowd ORDERS` prints what it saw.

Each client has one connection, asks for a job and then for a published image, and rests, as `Retry-After` asks.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Sequence
from statistics import quantiles

import msgspec


class Orders(msgspec.Struct, frozen=True):
    """Where to go and how long. Paths of one turn are asked one after another, `pace_s` after the turn before."""

    port: int
    token: str
    turn: tuple[str, ...]
    clients: int = 200
    pace_s: float = 1.0
    for_s: float = 10.0


class Kind(msgspec.Struct, frozen=True):
    """What came of one kind of call; times in milliseconds."""

    path: str
    calls: int
    per_s: float
    p50_ms: float
    p99_ms: float
    max_ms: float


class Seen(msgspec.Struct, frozen=True):
    kinds: list[Kind]
    errors: list[str]


async def crowd(orders: Orders) -> Seen:
    times: dict[str, list[float]] = {path: [] for path in orders.turn}
    errors: list[str] = []
    started = time.monotonic()
    ends_at = started + orders.for_s
    await asyncio.gather(*(_client(orders, n, ends_at, times, errors) for n in range(orders.clients)))
    return Seen([_kind(path, found, orders.for_s) for path, found in times.items()], errors[:20])


async def _client(orders: Orders, n: int, ends_at: float, times: dict[str, list[float]], errors: list[str]) -> None:
    """Come in at a moment of one's own: clients are not in step."""
    await asyncio.sleep(orders.pace_s * n / orders.clients)
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", orders.port)
        while (begun := time.monotonic()) < ends_at:
            for path in orders.turn:
                times[path].append(await _ask(reader, writer, path, orders.token))
            await asyncio.sleep(max(0.0, begun + orders.pace_s - time.monotonic()))
        writer.close()
    except (OSError, EOFError, ValueError) as error:
        errors.append(f"{type(error).__name__}: {error}")


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, token: str) -> float:
    """Return the seconds until the whole answer was there; ValueError when it is not 200."""
    begun = time.perf_counter()
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
    await reader.readexactly(int(length))
    took_s = time.perf_counter() - begun
    if not head.startswith(b"HTTP/1.1 200"):
        raise ValueError(head[:60].decode())
    return took_s


def _kind(path: str, times: Sequence[float], for_s: float) -> Kind:
    cuts = [1000 * cut for cut in quantiles(times, n=100)] if len(times) > 1 else [0.0] * 99
    return Kind(path, len(times), len(times) / for_s, cuts[49], cuts[98], 1000 * max(times, default=0.0))


def sent(orders: Orders) -> subprocess.Popen[str]:
    """Send a crowd off; `came_back` waits for it."""
    command = [sys.executable, "-m", "tests.bench.crowd", msgspec.json.encode(orders).decode()]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def came_back(process: subprocess.Popen[str]) -> Seen:
    printed, _ = process.communicate(timeout=120)
    return msgspec.json.decode(printed, type=Seen)


if __name__ == "__main__":
    print(msgspec.json.encode(asyncio.run(crowd(msgspec.json.decode(sys.argv[1], type=Orders)))).decode())
