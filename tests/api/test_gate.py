import socket
from pathlib import Path

import httpx
import pytest

from imagemill.api.gate import Hosts
from imagemill.settings import Settings
from tests.api.conftest import Site, running

OURS = Settings(public_url="https://Shop.example:8443/pictures", allowed_hosts=("mill.lan", "[fd00::1]"))


@pytest.mark.parametrize(
    "header",
    [
        "localhost",
        "LOCALHOST:8750",
        "127.0.0.1",
        "127.0.0.1:1",
        "[::1]",
        "[::1]:8750",
        "shop.example",
        "mill.lan.:80",
        "[fd00::1]:80",
    ],
)
def test_our_names(header: str) -> None:
    assert Hosts(OURS).allow(header)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example:8750",
        "localhost:x",
        "192.168.1.9",
        "a@localhost",
        "::",
    ],
)
def test_other_names(header: str) -> None:
    assert not Hosts(OURS).allow(header)


def test_bound_to_every_address_any_address_is_ours_but_no_name() -> None:
    hosts = Hosts(Settings(host="0.0.0.0"))
    assert hosts.allow("192.168.1.9:8750")
    assert hosts.allow("[fe80::1]")
    assert not hosts.allow("evil.example")
    assert not Hosts(Settings(host="192.168.1.9")).allow("192.168.1.8")


def say(site: Site, text: str) -> bytes:
    """Send a request as it is, return the answer."""
    url = httpx.URL(site.url)
    with socket.create_connection((url.host, url.port or 0), timeout=5) as line:
        line.sendall(text.replace("\n", "\r\n").encode())
        answer = b""
        while b"\r\n\r\n" not in answer and (more := line.recv(65536)):
            answer += more
        return answer


@pytest.mark.parametrize("path", ["/healthz", "/images/x", "/docs", "/nothing"])
@pytest.mark.parametrize("hosts", ["Host: evil.example\n", "", "Host: localhost\nHost: evil.example\n"])
def test_a_strange_host_is_refused_everywhere(site: Site, path: str, hosts: str) -> None:
    answer = say(site, f"GET {path} HTTP/1.1\n{hosts}\n")
    assert answer.startswith(b"HTTP/1.1 421"), answer
    assert b"nosniff" in answer


def test_a_host_of_the_settings_is_answered(tmp_path: Path) -> None:
    with running(tmp_path / "data", OURS) as site:
        for _ in range(2):
            assert say(site, "GET /healthz HTTP/1.1\nHost: mill.lan\n\n").startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "path", ["/healthz", "/api/v1/jobs", "/nothing", "/openapi.json", "/docs", "/images/" + "0" * 40 + ".jpg"]
)
def test_security_headers_are_on_every_answer(client: httpx.Client, path: str) -> None:
    headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe-inline" not in policy.partition("script-src")[2].partition(";")[0]
    assert "cache-control" in headers


@pytest.mark.parametrize(
    "path",
    ["/..%2f..%2fetc/passwd", "/%00", "/%ff", "//healthz/..", "/api/v1/jobs/%2e%2e", "/docs/assets/..%2f..%2fapp.py"],
)
def test_odd_paths_do_no_harm(site: Site, path: str) -> None:
    answer = say(site, f"GET {path} HTTP/1.1\nHost: localhost\nAuthorization: Bearer im_admin\n\n")
    assert answer.startswith(b"HTTP/1.1 40"), answer
    assert b"root:" not in answer
