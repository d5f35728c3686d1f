"""A Redis server that carries messages: what is noticed of its going and coming."""

from __future__ import annotations

import pytest

from imagemill.core.errors import StartError
from imagemill.pipeline.steps import Notify
from imagemill.queue import Queue
from imagemill.queue.carriers import OnServer
from tests.ports import free_port
from tests.redis_server import RedisServer, needs_redis


@needs_redis
def test_an_outage_that_falls_between_two_looks_for_messages_is_noticed_all_the_same() -> None:
    with RedisServer() as own:
        carrier = OnServer(own.url, "m")
        queue = Queue(carrier, threads=1)
        with own.outage():
            queue.perform([Notify(3)])
        assert queue.depth() == 0
        carrier.dequeue()  # the first look after the outage, and none during it
        assert queue.depth() == 1, "recover is asked for"
        carrier.dequeue()
        carrier.dequeue()
        assert queue.depth() == 0, "once"
        carrier.hang_up()


@needs_redis
def test_an_outage_is_met_once_not_once_for_each_line() -> None:
    with RedisServer() as own:
        carrier = OnServer(own.url, "m")
        lines = [carrier.storage.pool.get_connection() for _ in range(5)]
        for line in lines:
            carrier.storage.pool.release(line)
        assert all(line.is_connected for line in lines)
        with own.outage():
            Queue(carrier, threads=1).perform([Notify(1)])
            assert not any(line.is_connected for line in lines), "a line that was broken in silence is missed later"
        carrier.hang_up()


@needs_redis
def test_a_server_that_is_not_there_is_named_at_the_start() -> None:
    with pytest.raises(StartError, match=r"queue\.url cannot be reached"):
        OnServer(f"redis://127.0.0.1:{free_port()}/0", "m")
