from pathlib import Path
from typing import Literal

import httpx
import pytest

from imagemill.api.gate import Hosts
from imagemill.settings import Settings
from tests.api.conftest import SHEET, Site, running, say

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


ORIGINS = [
    ("http://localhost:1", "localhost:1", True),
    ("https://LOCALHOST:1", "localhost:1", True),
    ("https://shop.example:8443", "localhost:1", True),
    ("https://mill.lan", "localhost:1", True),
    ("http://localhost:3000", "localhost:1", False),
    ("http://evil.example", "localhost:1", False),
    ("http://mill.lan.evil.example", "localhost:1", False),
    ("null", "localhost:1", False),
    ("", "localhost:1", False),
    ("localhost:1", "localhost:1", False),
    ("http://", "", False),
]


@pytest.mark.parametrize(("origin", "host", "is_ours"), ORIGINS)
def test_whose_pages_may_send(origin: str, host: str, is_ours: bool) -> None:
    assert Hosts(OURS).is_origin(origin, host) == is_ours


@pytest.mark.parametrize("auth", ["none", "token"])
def test_another_site_s_page_cannot_send_forms(tmp_path: Path, auth: Literal["none", "token"]) -> None:
    """With `auth = "none"` nothing else would stand between any page of the web and this machine's disk."""
    with running(tmp_path / "data", Settings(auth=auth)) as site, site.client() as client:
        own = site.url
        foreign: list[dict[str, str]] = [
            {"Origin": "http://evil.example"},
            {"Origin": "null"},
            {"Origin": "http://127.0.0.1:1"},
            {"Sec-Fetch-Site": "cross-site"},
        ]
        for headers in foreign:
            refused = client.post("/api/v1/jobs", files={"file": ("a.csv", SHEET)}, headers=headers)
            assert (refused.status_code, refused.json()["code"]) == (403, "forbidden"), headers
            assert refused.headers["x-frame-options"] == "DENY"
            assert client.request("DELETE", "/images/x", headers=headers).status_code == 405
            assert client.get("/api/v1/jobs", headers=headers).json()["jobs"] == []
        for headers in ({"Origin": own}, {"Origin": own, "Sec-Fetch-Site": "same-origin"}, {}):
            assert client.post("/api/v1/jobs", files={"file": ("a.csv", SHEET)}, headers=headers).status_code == 202
