"""`imagemill serve` from outside: what it prints, what it refuses, and its two ends."""

from __future__ import annotations

import signal
import socket
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from imagemill import __version__
from tests.cli.children import ended, imagemill, read_line, started
from tests.ports import free_port


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_it_prints_address_and_token_and_ends_in_order(tmp_path: Path, number: signal.Signals, code: int) -> None:
    with started(tmp_path, "serve", "--port", str(free_port())) as process:
        address = read_line(process)[-1]
        link = read_line(process)[-1]
        _, token, place = read_line(process)
        assert httpx.get(link, trust_env=False).headers["location"] == "/"
        assert httpx.get(link, trust_env=False).status_code == 401, "it works once"
        assert httpx.get(f"{address}/healthz", trust_env=False).is_success
        answer = httpx.get(f"{address}/api/v1/jobs", headers={"Authorization": f"Bearer {token}"}, trust_env=False)
        assert answer.is_success
        assert imagemill(tmp_path, "token", "show") == (0, f"{token}\n", "")
        assert place == f"({tmp_path / 'data' / 'token'})"
        process.send_signal(number)
        ending, _, err = ended(process)
    assert ending == code
    kept = (tmp_path / "data/logs/imagemill.log").read_text().splitlines()
    told = [line.partition("imagemill.appliance: ")[2] for line in kept if "imagemill.appliance: " in line]
    assert told == [f"{word}: imagemill {__version__} at {address}" for word in ("started", "stopping")]
    assert "A second signal ends it at once" in err


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="needs IPv6")
def test_wherever_it_listens_its_own_machine_reaches_it(tmp_path: Path) -> None:
    near = {"::": "[::1]", "[::1]": "[::1]", "0.0.0.0": "127.0.0.1", "localhost": "localhost"}
    with ExitStack() as stack:
        folders = [Path(tmp_path, str(number)) for number in range(len(near))]
        for folder in folders:
            folder.mkdir()
        command = ("serve", "--port", "0", "--workers", "1", "--host")
        running = [
            stack.enter_context(started(folder, *command, host)) for folder, host in zip(folders, near, strict=True)
        ]
        for process, folder, name in zip(running, folders, near.values(), strict=True):
            address, link = read_line(process)[-1], read_line(process)[-1]
            assert address.rpartition(":")[0] == f"http://{name}"
            assert httpx.get(link, trust_env=False).headers["location"] == "/"
            assert imagemill(folder, "jobs")[0] == 0, address


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, out, err = imagemill(tmp_path, "serve", "--port", str(taken.getsockname()[1]))
    assert (code, out) == (1, "")
    assert "Error: cannot listen on 127.0.0.1:" in err
    assert "--port" in err
    assert "Traceback" not in err


def test_wrong_settings_are_told_before_anything_starts(tmp_path: Path) -> None:
    code, _, err = imagemill(tmp_path, "serve", "--host", "0.0.0.0", auth="none")
    assert code == 2
    assert "IMAGEMILL_AUTH" in err
    assert not (tmp_path / "data").exists()


def test_without_tokens_none_is_printed(tmp_path: Path) -> None:
    """On a port that no setting names: the verbs find it by what it has written into the data folder."""
    with started(tmp_path, "serve", "--port", "0", auth="none") as process:
        address = read_line(process)[-1]
        assert imagemill(tmp_path, "jobs", "--json", auth="none") == (0, '{"jobs":[],"next_cursor":null}\n', "")
        assert read_line(process)[-1] == f"{address}/"
        assert httpx.get(f"{address}/api/v1/jobs", trust_env=False).is_success
        process.send_signal(signal.SIGTERM)
        code, out, _ = ended(process)
    assert (code, out) == (0, "")
