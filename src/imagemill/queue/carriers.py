"""What carries Huey's messages: a file of the data folder, or a Redis server, by Huey's own storages.

On a server each machine has a queue of its own, under its own name: who gets which job a hand is decided by each
machine's `turns`, and a message that another machine took would leave its window closed. Other machines are told of new
work by a message in each of their queues.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from imagemill.core.errors import StartError, UnfitError
from imagemill.imports import hidden

with hidden():
    import huey.storage
    from huey import PriorityRedisHuey, SqliteHuey
    from huey.registry import Message
    from huey.serializer import Serializer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_NAME: Final = "imagemill"

log = logging.getLogger(__name__)

_AWAY_S: Final = 1.0

_TIMEOUT_S: Final = 5.0
"""A server that says nothing for so long is away; a read that waits for messages is shorter."""


class _Envelope(msgspec.Struct, array_like=True):
    id: str
    name: str
    eta: datetime | None
    priority: int | None
    args: tuple[int, ...]


class _JsonSerializer(Serializer):
    def _serialize(self, data: Message) -> bytes:
        return msgspec.json.encode(_Envelope(data.id, data.name, data.eta, data.priority, tuple(data.args)))

    def _deserialize(self, data: bytes) -> Message:
        envelope = msgspec.json.decode(data, type=_Envelope)
        return Message(
            id=envelope.id,
            name=envelope.name,
            eta=envelope.eta,
            retries=0,
            retry_delay=0,
            priority=envelope.priority,
            args=envelope.args,
            kwargs={},
        )


class _Steady:
    """Rings a bell with each message, so that idle workers need not be quick to look, only sure to.

    Its clock begins with the wall's and is never set: a message for in two seconds shall not wait for hours because the
    wall clock was put back. The queue is begun anew at each start, so no other clock's times are in it.
    """

    storage: Any
    on_return: Callable[[], object] = staticmethod(lambda: None)
    """Called when a server is there again."""

    def __init__(self, **chosen: Any) -> None:  # noqa: ANN401  huey is not typed
        self.bell = threading.Condition()
        self._began, self._began_s = datetime.now(UTC).replace(tzinfo=None), time.monotonic()
        super().__init__(results=False, serializer=_JsonSerializer(), **chosen)  # type: ignore[call-arg]

    def enqueue(self, task: Any) -> Any:  # noqa: ANN401
        result = super().enqueue(task)  # type: ignore[misc]
        with self.bell:
            self.bell.notify()
        return result

    def later(self, delay_s: float) -> datetime:
        """Return the moment in so many seconds."""
        return self._began + timedelta(seconds=time.monotonic() - self._began_s + delay_s)

    def _get_timestamp(self) -> datetime:
        return self.later(0)

    def is_revoked(self, *_: object) -> bool:
        """Say no, without a look: nobody revokes a message."""
        return False

    def delete(self, _: str) -> int:
        """Spare the search for a revocation after each message."""
        return 0

    def trouble(self) -> str | None:
        """Return why no message can be had, in words for an operator; None when they can."""
        return None

    def tell(self, machine: str, message: bytes) -> None:
        """Put a message into another machine's queue, where there is one."""

    def hang_up(self) -> None:
        """Leave no line open."""


class InFile(_Steady, SqliteHuey):
    """In a file of our own, which no other process reads."""

    errors: Final[tuple[type[Exception], ...]] = ()

    def __init__(self, path: Path) -> None:
        _forget(path)
        super().__init__(name=_NAME, filename=str(path), timeout=30, fsync=False)


class OnServer(_Steady, PriorityRedisHuey):
    """On a Redis server, whose loss loses no work: `recover` tells again what is to be done."""

    def __init__(self, url: str, machine: str) -> None:
        self._redis = _driver()
        self.errors = (self._redis.RedisError,)
        self._url = url
        self._lock = threading.Lock()
        self._is_missed = False
        super().__init__(name=_NAME + machine, connection_pool=self._pool(), read_timeout=1)
        try:
            self.storage.flush_queue()
            self.storage.flush_schedule()
        except self._redis.RedisError as error:
            message = f"queue.url cannot be reached: see that its server runs and lets us in; it says: {error}"
            raise StartError(message, cause=repr(error)) from error

    def dequeue(self) -> Any:  # noqa: ANN401
        """Return the next task, None where there is none; while the server is away there is none for a while."""
        try:
            task = super().dequeue()
        except self._redis.RedisError as error:
            self._miss(error)
            time.sleep(_AWAY_S)
            return None
        self._greet()
        return task

    def read_schedule(self, timestamp: Any = None) -> Any:  # noqa: ANN401
        """Return the tasks whose time has come; while the server is away there are none."""
        try:
            return super().read_schedule(timestamp)
        except self._redis.RedisError as error:
            self._miss(error)
            return []

    def enqueue(self, task: Any) -> Any:  # noqa: ANN401
        """Put a message, or remember that one is missing."""
        try:
            return super().enqueue(task)
        except self._redis.RedisError as error:
            self._miss(error)
            raise

    def add_schedule(self, task: Any) -> None:  # noqa: ANN401
        """Put a message that is for later, or remember that one is missing."""
        try:
            super().add_schedule(task)
        except self._redis.RedisError as error:
            self._miss(error)

    def _miss(self, error: Exception) -> None:
        """Remember that the server was away, whoever saw it: an outage may fall between two looks for messages."""
        with self._lock:
            was_missed, self._is_missed = self._is_missed, True
        # The idle lines are as broken, and would be met one by one, each with a message lost.
        self.storage.pool.disconnect(inuse_connections=False)
        if not was_missed:
            log.warning("the queue is away, what waits in it waits: %s", error)

    def _greet(self) -> None:
        """Have all told again if the server was away. Whoever misses it from here on is answered by the next look."""
        with self._lock:
            was_missed, self._is_missed = self._is_missed, False
        if was_missed:
            with contextlib.suppress(self._redis.RedisError):  # missed again
                self.on_return()
                log.warning("the queue is there again")

    def trouble(self) -> str | None:
        """Ask the server."""
        try:
            self.storage.conn.ping()
        except self._redis.RedisError as error:
            return f"Redis is away: {error}"
        return None

    def tell(self, machine: str, message: bytes) -> None:
        """Put a message into another machine's queue."""
        self._queue_of(machine).enqueue(message, 0)

    def hang_up(self) -> None:
        """Close the lines; who asks again gets a new one."""
        self.storage.pool.disconnect()

    @functools.cache  # noqa: B019  it lives as long as the process
    def _queue_of(self, machine: str) -> Any:  # noqa: ANN401
        return self.storage_class(name=_NAME + machine, connection_pool=self.storage.pool)

    def _pool(self) -> Any:  # noqa: ANN401
        times = {"socket_timeout": _TIMEOUT_S, "socket_connect_timeout": _TIMEOUT_S, "health_check_interval": 30}
        return self._redis.ConnectionPool.from_url(self._url, **times)


def _forget(path: Path) -> None:
    """Begin with an empty file: `recover` tells again what an earlier process left, and a torn file does no harm."""
    for leftover in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        leftover.unlink(missing_ok=True)
    path.touch(mode=0o600)


@functools.cache
def _driver() -> Any:  # noqa: ANN401  a module
    """Load redis, and show it to Huey, from which it was hidden (imports.py)."""
    try:
        import redis  # noqa: PLC0415  only where a server is asked for
    except ImportError as error:
        message = "Redis needs a driver that is not installed: pip install 'imagemill[shared]'"
        raise UnfitError(message) from error
    for name in ("ConnectionPool", "Redis", "ConnectionError", "TimeoutError"):
        setattr(huey.storage, name, getattr(redis, name))
    huey.storage.RedisStorage.redis_client = redis.Redis
    return redis
