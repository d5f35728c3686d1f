"""Which ports are free, asked of real sockets."""

from __future__ import annotations

import socket

import pytest

from imagemill.appliance.web import check_port
from imagemill.core.errors import StartError
from imagemill.ports import address_of, bound, free_port, listened, port_near


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


@pytest.mark.parametrize(
    ("host", "address", "near"),
    [
        ("127.0.0.1", "127.0.0.1", "http://127.0.0.1:1"),
        ("0.0.0.0", "0.0.0.0", "http://127.0.0.1:1"),
        ("::", "::", "http://[::1]:1"),
        ("[::]", "::", "http://[::1]:1"),
        ("::1", "::1", "http://[::1]:1"),
        ("[::1]", "::1", "http://[::1]:1"),
        ("localhost", "127.0.0.1", "http://localhost:1"),
        ("192.0.2.1", "192.0.2.1", "http://192.0.2.1:1"),
    ],
)
def test_where_a_host_listens_and_is_reached(host: str, address: str, near: str) -> None:
    assert (listened(host), address_of("http", host, 1)) == (address, near)


@pytest.mark.parametrize(
    ("host", "port", "step"),
    [("host.invalid", 8750, "--host 127.0.0.1"), ("192.0.2.1", 8750, "--host 127.0.0.1"), ("taken", 0, "Try --port")],
)
def test_what_to_do_where_nobody_can_listen(host: str, port: int, step: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = ("127.0.0.1", taken.getsockname()[1]) if host == "taken" else (host, port)
        with pytest.raises(StartError, match=step):
            check_port(*where)
