"""The guard: what DNS says is checked, and only what was checked is connected to. Real sockets, fake names."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from imagemill.core.addresses import Policy
from imagemill.core.errors import ImageCode, ImageError
from imagemill.outbound import Client, Guard, Resolve, resolve
from imagemill.outbound import guard as guard_module
from tests.appliance_process import until
from tests.origin import Origin
from tests.outbound.calls import LOCAL, PICTURE, Names, body, client_for, failure


@pytest.mark.parametrize("resolver", [resolve, Names(localhost=[["127.0.0.1", "::1"]])])
def test_a_resolver_gives_addresses_or_an_os_error(resolver: Resolve) -> None:
    found = resolver("localhost", 80)
    assert set(found) <= {"127.0.0.1", "::1"}
    assert len(found) == len(set(found))
    for unknown in ("name.invalid", "a" * 64 + ".invalid"):
        with pytest.raises(OSError, match=r"."):
            resolver(unknown, 80)


def test_the_address_that_was_checked_is_connected_to(origin: Origin, clients: list[Client]) -> None:
    """DNS rebinding: the second answer would be another machine, and nobody asks for it."""
    names = Names(img_example=[["127.0.0.1"], ["127.0.0.2"]])
    client = client_for(clients, resolve=names)
    assert body(client, f"http://img.example:{origin.port}/a.jpg") == PICTURE
    assert body(client, f"http://img.example:{origin.port}/hangs-up/a.jpg") == PICTURE
    assert body(client, f"http://img.example:{origin.port}/a.jpg") == PICTURE
    assert names.asked == ["img.example"]
    assert origin.headers["/a.jpg"]["host"] == f"img.example:{origin.port}"


@pytest.mark.parametrize("bad", ["169.254.169.254", "127.0.0.2", "::1", "10.0.0.1", "64:ff9b::a00:1"])
def test_one_bad_answer_blocks_the_host(bad: str, origin: Origin, clients: list[Client]) -> None:
    for answers in (["127.0.0.1", bad], [bad, "127.0.0.1"]):
        client = client_for(clients, resolve=Names(img_example=[answers]))
        failed = failure(client, f"http://img.example:{origin.port}/a.jpg")
        assert failed.image_code is ImageCode.BLOCKED_ADDRESS
        assert "img.example leads to a blocked address" in failed.detail
        assert failed.cause == bad
        assert bad not in failed.detail
    assert origin.connections == 0


@pytest.mark.parametrize("host", ["127.0.0.2", "[::1]", "169.254.169.254", "[::ffff:10.0.0.1]", "192.168.1.1"])
def test_a_literal_is_checked_too(host: str, clients: list[Client]) -> None:
    names = Names()
    failed = failure(client_for(clients, resolve=names), f"http://{host}/")
    assert failed.image_code is ImageCode.BLOCKED_ADDRESS
    assert names.asked == []


def test_an_allowed_name_may_lead_anywhere(origin: Origin, clients: list[Client]) -> None:
    client = client_for(clients, Policy(allow=("img.example",)), resolve=Names(img_example=[["127.0.0.1"]]))
    assert body(client, f"http://img.example:{origin.port}/a.jpg") == PICTURE


def test_a_dead_address_is_passed_over(origin: Origin, clients: list[Client]) -> None:
    policy = Policy(allow=("127.0.0.0/8",))
    client = client_for(clients, policy, resolve=Names(img_example=[["127.0.0.3", "127.0.0.1"]]))
    assert body(client, f"http://img.example:{origin.port}/a.jpg") == PICTURE


def test_dns_is_asked_again_after_its_answer_did_not_answer(origin: Origin, clients: list[Client]) -> None:
    names = Names(img_example=[["127.0.0.3"], ["127.0.0.1"]])
    client = client_for(clients, Policy(allow=("127.0.0.0/8",)), resolve=names)
    url = f"http://img.example:{origin.port}/a.jpg"
    assert failure(client, url).image_code is ImageCode.CONNECT_FAILED
    assert body(client, url) == PICTURE


def test_an_unknown_name_is_not_asked_for_a_thousand_times(clients: list[Client]) -> None:
    names = Names(empty_example=[[]])
    client = client_for(clients, resolve=names)
    for _ in range(3):
        assert failure(client, "http://nowhere.example/").image_code is ImageCode.DNS_FAILED
        assert failure(client, "http://empty.example/").image_code is ImageCode.DNS_FAILED
    assert names.asked == ["nowhere.example", "empty.example"]


def test_what_the_guard_remembers_ends() -> None:
    names = Names(img_example=[["127.0.0.1"], ["127.0.0.2"]])
    guard = Guard(LOCAL, names, ttl_s=-1.0)
    assert guard.addresses("img.example", 80) == ["127.0.0.1"]
    with pytest.raises(ImageError, match="blocked address"):
        guard.addresses("img.example", 80)


def test_the_guard_remembers_so_many_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard_module, "_HOSTS", 2)
    names = Names(a=[["127.0.0.1"]], b=[["127.0.0.1"]], c=[["127.0.0.1"]])
    guard = Guard(LOCAL, names)
    for name in "abca":
        guard.addresses(name, 80)
    assert names.asked == ["a", "b", "c", "a"]


def test_a_host_is_resolved_once_for_all_who_ask_at_the_same_time() -> None:
    everybody, asked = threading.Event(), []

    def slow(host: str, port: int) -> list[str]:
        asked.append((host, port))
        assert everybody.wait(60)
        return ["127.0.0.1"]

    guard = Guard(LOCAL, slow)
    with ThreadPoolExecutor(8) as threads:
        answers = [threads.submit(guard.addresses, "img.example", port) for port in range(80, 88)]
        until(lambda: len(asked) == 1, 10, "somebody asks")
        everybody.set()
        assert [answer.result(60) for answer in answers] == [["127.0.0.1"]] * 8
    assert len(asked) == 1


def test_a_resolver_that_breaks_keeps_nobody_waiting() -> None:
    answers: list[Exception | str] = [ZeroDivisionError(), "127.0.0.1"]

    def breaking(host: str, port: int) -> list[str]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return [answer]

    guard = Guard(LOCAL, breaking)
    with pytest.raises(ZeroDivisionError):
        guard.addresses("img.example", 80)
    with pytest.raises(ImageError, match="DNS does not answer"):
        guard.addresses("img.example", 80)
    guard.forget("img.example")
    assert guard.addresses("img.example", 80) == ["127.0.0.1"]
