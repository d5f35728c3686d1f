"""Into the inside: every spelling of an address, every redirect, and a DNS that lies. With a real DNS server."""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from imagemill.core.addresses import Policy, web_url
from imagemill.core.errors import ImageCode, ImageError, RequestError
from imagemill.fetch import Fetcher
from imagemill.outbound import Client, Guard
from imagemill.settings import CallbackSettings, FetchSettings
from imagemill.webhook import Caller
from tests.origin import Origin
from tests.outbound.calls import PICTURE, body, client_for, failure
from tests.outbound.hostile import TABLE, ZONE
from tests.outbound.nameserver import Nameserver

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def zone(**more: list[list[str]]) -> dict[str, list[list[str]]]:
    """Return the table's zone and more of .example; the server takes answers away from it."""
    given = {name: list(answers) for name, answers in ZONE.items()}
    return given | {f"{name}.example": answers for name, answers in more.items()}


@pytest.fixture(scope="module")
def dns() -> Iterator[Nameserver]:
    with Nameserver(zone()) as running:
        yield running


@pytest.fixture(scope="module")
def fetcher(dns: Nameserver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fetcher]:
    section = FetchSettings(connect_timeout_s=0.5, total_timeout_s=1, host_pause_s=0.001)
    made = Fetcher(section, tmp_path_factory.mktemp("spool"), resolve=dns.resolve)
    yield made
    made.close()


@pytest.fixture(scope="module")
def caller(dns: Nameserver) -> Iterator[Caller]:
    made = Caller(CallbackSettings(timeout_s=0.5), "imagemill", resolve=dns.resolve)
    yield made
    made.close()


def may_connect(policy: Policy, dns: Nameserver, url: str) -> str:
    """Say what the guard would do, without doing it: the addresses of the open rows are real ones."""
    parts = urllib.parse.urlsplit(web_url(url))
    try:
        return "open" if Guard(policy, dns.resolve).addresses(parts.hostname or "", 80) else "nowhere"
    except ImageError as error:
        return error.image_code


def test_the_table_is_long_enough() -> None:
    urls = {url for url, *_ in TABLE}
    assert len(urls) == len(TABLE)
    refused = [sum(row[place] != "open" for row in TABLE) for place in (1, 2)]
    opened = [sum(row[place] == "open" for row in TABLE) for place in (1, 2)]
    print(f"{len(TABLE)} addresses; refused as sources and callbacks: {refused}, open: {opened}")
    assert min(refused) >= 150
    assert min(opened) >= 20


@pytest.mark.parametrize(("url", "verdict", "_"), TABLE, ids=range(len(TABLE)))
def test_a_source_by_its_policy(url: str, verdict: str, _: str, fetcher: Fetcher, dns: Nameserver) -> None:
    if verdict == "bad":
        with pytest.raises(ValueError, match=r"."):
            web_url(url)
    elif verdict == "open":
        assert may_connect(Policy(), dns, url) == "open"
    else:
        with pytest.raises(ImageError) as failed:
            fetcher.fetch(web_url(url))
        assert failed.value.image_code is ImageCode.BLOCKED_ADDRESS, url
        with pytest.raises(ImageError, match="blocked address"):
            list(fetcher.pieces(web_url(url)))  # a sheet_url


@pytest.mark.parametrize(("url", "_", "verdict"), TABLE, ids=range(len(TABLE)))
def test_a_callback_by_its_policy(url: str, _: str, verdict: str, caller: Caller, dns: Nameserver) -> None:
    if verdict == "open":
        caller.check(url)
        assert may_connect(Policy(allow_lan=True), dns, url) == "open"
        return
    with pytest.raises(RequestError) as refused:
        caller.check(url)
    assert refused.value.errors[0][0] == "callback_url"
    attempt = caller.post(url, "secret", "msg_1", b"{}", NOW)
    assert (attempt.status, attempt.answer) == (None, "")
    assert verdict == "bad" or "blocked address" in (attempt.error or "")


REDIRECTS = {
    ImageCode.BLOCKED_ADDRESS: """
        http://127.0.0.2/ http://2852039166/ http://0x7f.2/ http://[::1]/ http://[::ffff:169.254.169.254]/ //127.0.0.2/
        http://meta.example/ http://mixed-v6.example/ http://10.0.0.1/ https://127.0.0.2/ HTTPS:\\\\127.0.0.2/""",
    ImageCode.HTTP_STATUS: """
        file:///etc/passwd ftp://127.0.0.1/ gopher://127.0.0.1/ http://a:b@127.0.0.1/ data:,x https://""",
    ImageCode.TOO_MANY_REDIRECTS: "http:// ? /moved",
}
TARGETS = [(target, code) for code, targets in REDIRECTS.items() for target in targets.split()]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(("target", "code"), TARGETS)
def test_no_redirect_leads_inside(
    status: int, target: str, code: ImageCode, origin: Origin, clients: list[Client], dns: Nameserver
) -> None:
    head = f"HTTP/1.1 {status} Moved\r\nContent-Length: 0\r\nLocation: {target}\r\n\r\n".encode()
    origin.answers["/moved"] = head
    origin.answers["/chain"] = head.replace(target.encode(), b"/moved")
    client = client_for(clients, resolve=dns.resolve)
    for path in ("/moved", "/chain"):
        assert failure(client, origin.url + path).image_code is code


@pytest.mark.parametrize("target", ["\\\\127.0.0.2\\", "HTTP:\\\\127.0.0.2/", "\\/127.0.0.2/"])
def test_what_a_browser_would_take_for_a_host_is_a_path_here(
    target: str, origin: Origin, clients: list[Client]
) -> None:
    origin.answers["/moved"] = f"HTTP/1.1 302 M\r\nContent-Length: 0\r\nLocation: {target}\r\n\r\n".encode()
    with client_for(clients).get(f"{origin.url}/moved") as answer:
        assert answer.url.startswith(f"{origin.url}/")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_callback_follows_no_redirect_at_all(status: int, origin: Origin) -> None:
    target = f"{origin.url}/a.jpg"
    origin.answers["/moved"] = f"HTTP/1.1 {status} M\r\nContent-Length: 0\r\nLocation: {target}\r\n\r\n".encode()
    caller = Caller(CallbackSettings(allow=("127.0.0.1",)), "imagemill")
    assert caller.post(f"{origin.url}/moved", None, "msg_1", b"{}", NOW).status == status
    assert origin.hits["/a.jpg"] == 0
    caller.close()


@pytest.mark.parametrize(
    "after", [["127.0.0.2"], ["169.254.169.254"], ["93.184.216.34", "::1"], ["::ffff:127.0.0.2"], []]
)
def test_dns_that_changes_between_check_and_connection(after: list[str], origin: Origin, clients: list[Client]) -> None:
    """Rebinding: the second answer is never asked for while the first is used, and checked when it is."""
    with Nameserver(zone(img=[["127.0.0.1"], after])) as server:
        client = client_for(clients, resolve=server.resolve)
        for _ in range(2):
            assert body(client, f"http://img.example:{origin.port}/a.jpg") == PICTURE
        assert server.questions == [("img.example", 1), ("img.example", 28)]
        client.guard.forget("img.example")
        code = ImageCode.BLOCKED_ADDRESS if after else ImageCode.DNS_FAILED
        client._transport._idle.close()
        assert failure(client, f"http://img.example:{origin.port}/a.jpg").image_code is code
    assert origin.connections == 1


def test_a_callback_is_checked_when_accepted_and_again_at_each_connection(origin: Origin) -> None:
    """First a good address, as long as the job is accepted; then, when it ends, the inside."""
    with Nameserver(zone(hook=[["127.0.0.1"], ["127.0.0.2"]])) as server:
        caller = Caller(CallbackSettings(allow=("127.0.0.1",), timeout_s=20), "imagemill", resolve=server.resolve)
        url = f"http://hook.example:{origin.port}/status/200"
        caller.check(url)
        assert caller.post(url, None, "msg_1", b"{}", NOW).status == 200
        caller._client.guard.forget("hook.example")
        attempt = caller.post(url, None, "msg_1", b"{}", NOW)
        assert attempt.status is None
        assert "blocked address" in (attempt.error or "")
        with pytest.raises(RequestError):
            caller.check(url)
        caller.close()
    assert len(origin.received) == 1


@pytest.mark.parametrize(
    "bad", ["127.0.0.2", "::1", "fe80::1", "::ffff:10.0.0.1", "64:ff9b::a9fe:a9fe", "2002:7f00:2::"]
)
def test_one_bad_answer_among_good_ones_shuts_the_host(bad: str, origin: Origin, clients: list[Client]) -> None:
    for answers in (["127.0.0.1", bad], [bad, "127.0.0.1"]):
        with Nameserver(zone(img=[answers])) as server:
            client = client_for(clients, resolve=server.resolve)
            assert failure(client, f"http://img.example:{origin.port}/a.jpg").image_code is ImageCode.BLOCKED_ADDRESS
    assert origin.connections == 0


def test_what_the_nameserver_does_not_know(dns: Nameserver, tmp_path: Path) -> None:
    fetcher = Fetcher(FetchSettings(), tmp_path, resolve=dns.resolve)
    with pytest.raises(ImageError, match="not known in DNS"):
        fetcher.fetch("http://nowhere.example/")
    fetcher.close()
