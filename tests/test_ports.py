"""Which ports are free, asked of real sockets."""

from __future__ import annotations

import socket

import pytest

from imagemill.ports import bound, free_port, port_near


def test_a_port_that_is_taken_has_a_neighbour() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            bound("127.0.0.1", port)
        assert port < port_near("127.0.0.1", port) <= port + 9
    assert port_near("127.0.0.1", port) == port


def test_a_free_port_can_be_taken() -> None:
    with bound("127.0.0.1", free_port("127.0.0.1")) as taken:
        assert taken.getsockname()[1] > 0


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1"])
def test_where_nobody_may_listen_the_port_is_as_it_was(host: str) -> None:
    assert port_near(host, 8750) == 8750
