"""What a client may hold: bytes of a head, seconds, connections. On Granian, as the appliance runs it."""

import contextlib
import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from imagemill.imaging import sandbox
from imagemill.settings import Settings
from tests.api.conftest import Site, connected, heard, running, say

HEAD = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
SLOW = [
    pytest.param(b"", b"", id="silent"),
    pytest.param(b"G", b"", id="one byte"),
    pytest.param(b"PRI * HTTP/2.0\r\n", b"", id="half of HTTP/2"),
    pytest.param(HEAD, b"", id="half a head"),
    pytest.param(HEAD, b"a: b\r\n", id="a head that never ends"),
    pytest.param(HEAD + b"a", b"a", id="a name that never ends"),
    pytest.param(HEAD + b"\r\n", b"", id="idle after an answer"),
]


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site with little patience."""
    with running(tmp_path_factory.mktemp("hasty") / "data", Settings(head_timeout_s=1, max_connections=64)) as found:
        yield found


@pytest.mark.parametrize(("first", "drip"), SLOW)
def test_a_head_that_never_comes_ends_the_connection(hasty: Site, first: bytes, drip: bytes) -> None:
    with connected(hasty) as line:
        line.sendall(first)
        line.settimeout(0.2)
        assert has_ended(line, drip)


def has_ended(line: socket.socket, drip: bytes) -> bool:
    """Say whether the other side closes within a minute, though something may come now and then."""
    for _ in range(300):
        try:
            if not line.recv(65536):
                return True
            continue
        except TimeoutError:
            pass
        except ConnectionError:
            return True
        try:
            line.sendall(drip)
        except OSError:
            return True
    return False


def test_silent_connections_shut_nobody_out_for_long(hasty: Site) -> None:
    """More of them than `max_connections`: those that wait are answered when the silent ones are closed."""
    with ExitStack() as held, ThreadPoolExecutor(80) as threads:
        for line in threads.map(lambda _: connected(hasty), range(80)):
            held.enter_context(line)
        assert say(hasty, HEAD.decode().replace("\r", "") + "\n").startswith(b"HTTP/1.1 200")


def test_two_hundred_idle_connections_are_nothing(tmp_path: Path) -> None:
    with running(tmp_path / "data", Settings()) as site, ExitStack() as held:
        for _ in range(200):
            line = held.enter_context(connected(site))
            line.sendall(HEAD + b"\r\n")
            assert heard(line).startswith(b"HTTP/1.1 200")


BOMBS = [
    (b"".join(b"h%d: 1\r\n" % n for n in range(200)), 431),
    (b"a: " + b"x" * 600_000 + b"\r\n", 431),
    (b"a" * 600_000 + b": x\r\n", 431),
    (b"Cookie: " + b"a=b; " * 120_000 + b"\r\n", 431),
    (b"a: b\x00c\r\n", 400),
    (b"a : b\r\n", 400),
    (b"a\r\n", 400),
    (b" folded: x\r\n", 400),
    (b"Content-Length: -1\r\n", 400),
    (b"Content-Length: 1\r\nContent-Length: 2\r\n", 400),
    (b"Transfer-Encoding: gzip\r\n", 400),
]


@pytest.mark.parametrize(("lines", "status"), BOMBS, ids=range(len(BOMBS)))
def test_a_head_that_is_too_much_or_broken(site: Site, lines: bytes, status: int) -> None:
    # A large one is cut off while it is still being sent: then the answer may be lost on the way.
    cut_off = contextlib.suppress(ConnectionError) if len(lines) > 100_000 else contextlib.nullcontext()
    with connected(site) as line, cut_off:
        line.sendall(HEAD + lines + b"\r\n")
        assert heard(line).startswith(b"HTTP/1.1 %d" % status)
    assert say(site, HEAD.decode().replace("\r", "") + "\n").startswith(b"HTTP/1.1 200")


def test_an_address_that_is_too_long(site: Site) -> None:
    with connected(site) as line:
        line.sendall(b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert heard(line).startswith(b"HTTP/1.1 414")


def test_two_lengths_of_a_body_are_not_two_requests(site: Site) -> None:
    """Request smuggling: what follows the body of the first is not taken for a request of a second one's."""
    inner = b"GET /api/v1/tokens HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with connected(site) as line:
        line.sendall(
            b"POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"0\r\n\r\n" + inner
        )
        answer = heard(line)
        while more := line.recv(65536):
            answer += more
    assert answer.count(b"HTTP/1.1 ") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="rlimits")
def test_the_limit_on_open_files_goes_with_the_connections() -> None:
    import resource  # not on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard, 2048) if hard != resource.RLIM_INFINITY else 2048
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
        sandbox.allow_descriptors(wanted)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (wanted, hard)
        sandbox.allow_descriptors(1024)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == wanted, "it is never lowered"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
