"""What is on the wire: connections kept and given up, proxies, TLS."""

from __future__ import annotations

import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from imagemill.core.addresses import Policy
from imagemill.core.errors import ImageCode, ImageError, SettingError
from imagemill.outbound import Client, Guard, Transport
from imagemill.outbound import transport as transport_module
from tests.origin import Origin
from tests.outbound.calls import LIMITS, LOCAL, PICTURE, Names, body, client_for, failure


def test_connections_are_used_again(origin: Origin, clients: list[Client]) -> None:
    client = client_for(clients)
    for path in ["/a.jpg", "/status/404", "/chunked/a.jpg", "/missing", "/empty", "/gzipped/a.jpg"] * 3:
        body(client, origin.url + path)
    assert origin.connections == 1


def test_many_threads_share_them(origin: Origin, clients: list[Client]) -> None:
    client = client_for(clients)
    with ThreadPoolExecutor(16) as threads:
        bodies = list(threads.map(lambda _: body(client, f"{origin.url}/a.jpg"), range(400)))
    assert bodies == [PICTURE] * 400
    assert origin.connections <= 16


def test_a_kept_connection_that_was_closed_is_replaced(origin: Origin, clients: list[Client]) -> None:
    client = client_for(clients)
    for _ in range(3):
        assert body(client, f"{origin.url}/hangs-up/a.jpg") == PICTURE
    assert origin.connections == 3


def test_a_body_longer_than_said_spoils_only_its_connection(origin: Origin, clients: list[Client]) -> None:
    client = client_for(clients)
    assert body(client, f"{origin.url}/small-length/a.jpg") == PICTURE[:10]
    assert body(client, f"{origin.url}/a.jpg") == PICTURE


def test_what_is_not_read_whole_is_not_kept(origin: Origin, clients: list[Client]) -> None:
    client = client_for(clients)
    for _ in range(2):
        with client.get(f"{origin.url}/a.jpg") as answer:
            assert answer.status == 200
    assert origin.connections == 2


def test_idle_connections_are_few_and_end(
    origin: Origin, clients: list[Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport_module, "_IDLE_CONNECTIONS", 1)
    client = client_for(clients, resolve=Names(a=[["127.0.0.1"]], b=[["127.0.0.1"]]))
    for host in "abab":
        body(client, f"http://{host}:{origin.port}/a.jpg")
    assert origin.connections == 4, "the other host's connection made room each time"
    monkeypatch.setattr(transport_module, "_IDLE_S", -1.0)
    body(client, f"http://b:{origin.port}/a.jpg")
    assert origin.connections == 5


def test_a_post_has_its_own_connection_and_is_never_repeated(origin: Origin, clients: list[Client]) -> None:
    client = client_for(clients)
    body(client, f"{origin.url}/a.jpg")
    with client.post(f"{origin.url}/status/200", b"hello", {"X-More": "1"}) as answer:
        assert (answer.status, answer.head(5)) == (200, b"so be")
    with pytest.raises(ImageError, match="could not be reached"), client.post(f"{origin.url}/closed", b"", {}):
        pass
    assert origin.received[0].body == b"hello"
    assert origin.received[0].headers["connection"] == "close"
    assert origin.hits["/closed"] == 1
    assert origin.connections == 3


def test_ipv6_is_named_in_brackets(folder: Path, clients: list[Client]) -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener, ThreadPoolExecutor(1) as threads:
        port = listener.getsockname()[1]
        asked = threads.submit(body, client_for(clients, Policy(allow=("::1",))), f"http://[::1]:{port}/a.jpg")
        sock, _ = listener.accept()
        with sock:
            assert f"\r\nHost: [::1]:{port}\r\n".encode() in sock.recv(4096)
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            assert asked.result(60) == b"ok"


def test_the_transport_is_one_of_httpx(origin: Origin) -> None:
    transport = Transport(Guard(LOCAL), tls=ssl.create_default_context)
    request = httpx.Request("GET", f"{origin.url}/a.jpg")
    request.extensions["timeout"] = {"connect": 20.0, "read": 20.0, "deadline": 1e12}
    response = transport.handle_request(request)
    assert response.read() == PICTURE
    response.close()
    transport.close()


def test_the_environments_proxy_is_ignored(
    origin: Origin, clients: list[Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.9:9")
    assert body(client_for(clients), f"{origin.url}/a.jpg") == PICTURE


def test_a_proxy_of_the_settings_is_used_and_guarded(clients: list[Client]) -> None:
    with Origin() as proxy:
        address = f"http://me:s%20t@127.0.0.1:{proxy.port}"
        client = client_for(clients, Policy(), proxy=address, resolve=Names(inner_example=[["10.0.0.1"]]))
        proxy.answers["http://far.example/a.jpg"] = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"
        assert body(client, "http://far.example/a.jpg") == b"abc"
        assert proxy.headers["http://far.example/a.jpg"]["proxy-authorization"] == "Basic bWU6cyB0"
        for url in ("http://169.254.169.254/", "http://inner.example/", "https://inner.example/"):
            assert failure(client, url).image_code is ImageCode.BLOCKED_ADDRESS
        assert failure(client, "https://far.example/").image_code is ImageCode.CONNECT_FAILED
        assert proxy.hits["far.example:443"] == 1


@pytest.mark.parametrize("proxy", ["https://proxy:1", "socks5://proxy:1", "proxy:8080", "http://", "http://a:b:c"])
def test_a_proxy_that_cannot_be_used_is_refused(proxy: str) -> None:
    with pytest.raises(SettingError, match="the setting fetch"):
        Client(LOCAL, LIMITS, user_agent="x", proxy=proxy)


def trusting(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate))


def serving(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def test_tls_names_the_host_though_an_address_is_connected_to(
    folder: Path, certificate: Path, clients: list[Client]
) -> None:
    names = Names(img_example=[["127.0.0.1"]], other_example=[["127.0.0.1"]])
    client = client_for(clients, tls=trusting(certificate), resolve=names)
    with Origin(folder, tls=serving(certificate)) as origin:
        for _ in range(3):
            assert body(client, f"https://img.example:{origin.port}/a.jpg") == PICTURE
        assert origin.connections == 1
        failed = failure(client, f"https://other.example:{origin.port}/a.jpg")
        assert failed.image_code is ImageCode.TLS_FAILED
        assert "other.example has no valid certificate (Hostname mismatch" in failed.detail


def test_a_stranger_is_not_trusted(folder: Path, certificate: Path, clients: list[Client]) -> None:
    client = client_for(clients, resolve=Names(img_example=[["127.0.0.1"]]))
    with Origin(folder, tls=serving(certificate)) as secure:
        failed = failure(client, f"https://img.example:{secure.port}/a.jpg")
    assert failed.image_code is ImageCode.TLS_FAILED
    assert "self-signed certificate" in failed.detail


def test_a_server_without_tls_is_told_so(clients: list[Client]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as threads:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/"
        failed = threads.submit(failure, client_for(clients), url)
        sock, _ = listener.accept()
        with sock:
            sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            assert failed.result(60).image_code is ImageCode.TLS_FAILED


def test_tls_through_a_proxy_is_with_the_host(folder: Path, certificate: Path, clients: list[Client]) -> None:
    with Origin(folder, tls=serving(certificate)) as origin, Origin() as proxy:
        proxy.tunnel_to = ("127.0.0.1", origin.port)
        client = client_for(clients, Policy(), tls=trusting(certificate), proxy=proxy.url, resolve=Names())
        assert body(client, "https://img.example/a.jpg") == PICTURE
        assert body(client, "https://img.example/a.jpg") == PICTURE
        assert proxy.hits == {"img.example:443": 1}
        client.close()
