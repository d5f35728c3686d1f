"""Callbacks over real sockets: signed as Standard Webhooks has it, and only to where the policy lets them."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from imagemill.core.errors import RequestError
from imagemill.core.job import Attempt
from imagemill.settings import CallbackSettings
from imagemill.webhook import ANSWER_BYTES, Caller, sign
from tests.origin import Origin
from tests.outbound.calls import Names

AT = datetime(2026, 11, 22, 12, 0, 0, 250_000, tzinfo=UTC)
BODY = b'{"type":"job.completed"}'
NAMES = Names(
    lan_example=[["192.168.7.7"]],
    public_example=[["93.184.216.34"]],
    meta_example=[["169.254.169.254"]],
    local_example=[["127.0.0.1"]],
    mixed_example=[["93.184.216.34", "127.0.0.1"]],
    hook_example=[["127.0.0.1"]],
)


@pytest.fixture
def receiver() -> Iterator[Origin]:
    with Origin() as running:
        yield running


@pytest.fixture(params=[20.0])
def caller(request: pytest.FixtureRequest) -> Iterator[Caller]:
    """Patient, where a test does not ask for another one."""
    section = CallbackSettings(allow=("127.0.0.1", "hook.example"), timeout_s=request.param)
    made = Caller(section, "imagemill/1", resolve=NAMES)
    yield made
    made.close()


def post(caller: Caller, url: str, secret: str | None = None) -> Attempt:
    return caller.post(url, secret, "msg_1", BODY, AT)


def test_the_signature_is_the_specifications() -> None:
    # The example of the Standard Webhooks reference libraries.
    secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'
    expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body) == expected


@pytest.mark.parametrize(
    ("secret", "key"),
    [("plain text", b"plain text"), ("whsec_" + base64.b64encode(b"k").decode(), b"k"), ("whsec_%%", b"whsec_%%")],
)
def test_a_secret_is_base64_or_text(secret: str, key: bytes) -> None:
    mac = hmac.digest(key, b"id.1." + BODY, hashlib.sha256)
    assert sign(secret, "id", 1, BODY) == "v1," + base64.b64encode(mac).decode()


def test_a_callback_is_posted_and_signed(receiver: Origin, caller: Caller) -> None:
    attempt = post(caller, f"{receiver.url}/status/202", "whsec_c2VjcmV0")
    assert attempt == Attempt(at=AT, status=202, answer="so be it", error=None)
    path, headers, body = receiver.received[0]
    assert (path, body) == ("/status/202", BODY)
    assert headers["content-type"] == "application/json"
    assert headers["user-agent"] == "imagemill/1"
    assert headers["webhook-id"] == "msg_1"
    assert headers["webhook-timestamp"] == str(int(AT.timestamp()))
    assert headers["webhook-signature"] == sign("whsec_c2VjcmV0", "msg_1", int(AT.timestamp()), BODY)


def test_without_a_secret_nothing_is_signed(receiver: Origin, caller: Caller) -> None:
    post(caller, f"{receiver.url}/status/200")
    assert "webhook-signature" not in receiver.received[0].headers


def test_a_redirect_is_not_followed(receiver: Origin, caller: Caller) -> None:
    assert post(caller, f"{receiver.url}/redirect/status/200").status == 302
    assert set(receiver.hits) == {"/redirect/status/200"}


def test_the_answer_is_read_to_a_kibibyte(receiver: Origin, caller: Caller) -> None:
    attempt = post(caller, f"{receiver.url}/endless")
    assert attempt.status == 200
    assert attempt.answer == "\0" * ANSWER_BYTES
    receiver.answers["/bytes"] = b"HTTP/1.1 500 No\r\nContent-Length: 3\r\n\r\na\xffb"
    assert post(caller, f"{receiver.url}/bytes").answer == "a\ufffdb"


def test_the_wait_that_is_asked_for_is_returned(receiver: Origin, caller: Caller) -> None:
    attempt = post(caller, f"{receiver.url}/busy/77/x")
    assert (attempt.status, attempt.retry_after_s) == (503, 77.0)


@pytest.mark.parametrize(
    ("path", "caller"), [("/silent", 0.5), ("/closed", 20.0), ("/garbage", 20.0)], indirect=["caller"]
)
def test_no_answer_is_an_attempt_too(path: str, receiver: Origin, caller: Caller) -> None:
    attempt = post(caller, receiver.url + path)
    assert attempt.status is None
    assert attempt.error
    assert receiver.hits[path] == 1


def test_each_connection_is_checked_again(receiver: Origin) -> None:
    caller = Caller(CallbackSettings(), "imagemill/1", resolve=NAMES)
    for url in (receiver.url, f"http://local.example:{receiver.port}/", "http://meta.example/", "not a url"):
        attempt = post(caller, url)
        assert attempt.status is None
        assert attempt.error
    assert receiver.connections == 0
    caller.close()


@pytest.mark.parametrize(
    ("url", "is_accepted"),
    [
        ("https://public.example/hook", True),
        ("http://lan.example:8080/hook", True),
        ("http://10.1.2.3/hook", True),
        ("http://hook.example/", True),
        ("https://not-in-dns-yet.example/", True),
        ("http://127.0.0.2/", False),
        ("http://[::1]/", False),
        ("http://2130706434/", False),
        ("http://local.example/", True),
        ("http://meta.example/", False),
        ("http://169.254.169.254/", False),
        ("http://[fd00:ec2::254]/", False),
        ("http://0.0.0.0/", False),
        ("ftp://public.example/", False),
        ("https://user:word@public.example/", False),
        ("", False),
    ],
)
def test_what_may_be_called(url: str, is_accepted: bool, caller: Caller) -> None:
    if is_accepted:
        return caller.check(url)
    with pytest.raises(RequestError) as refused:
        caller.check(url)
    assert [field for field, _ in refused.value.errors] == ["callback_url"]
    return None


def test_the_lan_can_be_shut_off() -> None:
    caller = Caller(CallbackSettings(allow_lan=False), "imagemill/1", resolve=NAMES)
    for url in ("http://10.1.2.3/hook", "http://mixed.example/"):
        with pytest.raises(RequestError):
            caller.check(url)
    caller.close()


def test_a_bare_get_says_nothing_and_follows_nothing(caller: Caller, receiver: Origin) -> None:
    attempt = caller.get(f"{receiver.url}/status/200", "quiet", "msg_1", AT)
    assert attempt.status == 200
    assert receiver.received == []  # it keeps what is posted
    assert caller.get(f"{receiver.url}/redirect/status/200", None, "msg_1", AT).status is None
    assert set(receiver.hits) == {"/status/200", "/redirect/status/200"}
