"""The page System over HTTP: who sees what of it, and what its forms do."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from imagemill.settings import CallbackSettings, Settings, StorageSettings
from tests.api.conftest import ADMIN, READER, SUBMITTER, Site, running
from tests.origin import Origin
from tests.web.conftest import browser

SECRET = "a secret that nobody sees"


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Site]:
    with running(tmp_path / "data", Settings()) as found:
        yield found


@pytest.fixture
def admin(fresh: Site) -> Iterator[httpx.Client]:
    with browser(fresh, ADMIN) as found:
        yield found


def test_everything_is_paused_and_resumed(fresh: Site, admin: httpx.Client) -> None:
    assert admin.post("/system/pause").headers["location"] == "/system"
    assert fresh.store.paused_at()
    page = admin.get("/system").text
    assert "Everything is paused" in page
    assert "state-paused" in page
    admin.post("/system/resume")
    assert fresh.store.paused_at() is None
    assert "Pause everything" in admin.get("/system").text


def test_each_part_says_how_it_is(fresh: Site, admin: httpx.Client) -> None:
    fresh.ready["disk"] = "disk: 3 MiB free, <free some>"
    page = admin.get("/system/now").text
    assert "disk: 3 MiB free, &lt;free some&gt;" in page
    assert "state-problem" in admin.get("/system/state").text
    fresh.ready["disk"] = "ok"
    fresh.submit()
    assert "state-working" in admin.get("/system/state").text


def test_a_token_is_shown_once_and_revoked(fresh: Site, admin: httpx.Client) -> None:
    made = admin.post("/system/tokens", data={"name": " clerk ", "scope": "read", "owner": "shop"})
    found = re.search(r'id="made-token"[^>]*>(im_[\w-]+)<', made.text)
    assert found
    caller = fresh.store.caller(found[1])
    assert caller is not None
    assert (caller.name, caller.owner, caller.scopes) == ("clerk", "shop", frozenset({"read"}))
    assert found[1] not in admin.get("/system").text
    gone = admin.post("/system/tokens/clerk/revoke")
    assert "is refused from now on" in gone.text
    assert fresh.store.caller(found[1]) is None


def test_a_token_that_cannot_be_made_says_why(fresh: Site, admin: httpx.Client) -> None:
    admin.post("/system/tokens", data={"name": "clerk"})
    taken = admin.post("/system/tokens", data={"name": "clerk"})
    assert "There is a token named clerk" in html.unescape(taken.text)
    odd = admin.post("/system/tokens", data={"name": "<b>"})
    assert "This cannot be a name: must be a letter or digit" in html.unescape(odd.text)
    assert 'value="&lt;b&gt;"' in odd.text
    assert admin.post("/system/tokens", data={"name": "x", "scope": "emperor"}).status_code == 422
    assert admin.post("/system/tokens/nobody/revoke").status_code == 404


def test_a_callback_is_tried(fresh: Site, admin: httpx.Client) -> None:
    with Origin() as receiver:
        receiver.answers["/told"] = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<fine>"
        told = admin.post("/system/callback", data={"url": f"{receiver.url}/told"}).text
        refused = admin.post("/system/callback", data={"url": f"{receiver.url}/status/500"}).text
    assert "It answered 200" in told
    assert "Webhook-Id: msg_" in told
    assert "&lt;fine&gt;" in told
    assert "only 2xx counts" in refused
    silent = admin.post("/system/callback", data={"url": f"{receiver.url}/told"}).text
    assert "No answer" in silent
    forbidden = admin.post("/system/callback", data={"url": "http://169.254.169.254/"}).text
    assert "That address is not called" in forbidden


def test_callbacks_of_all_jobs_are_listed(fresh: Site, admin: httpx.Client) -> None:
    fresh.submit(SUBMITTER, name="Spring", callback_url="http://127.0.0.1:9/told?key=hidden")
    fresh.finish()
    page = admin.get("/system/deliveries").text
    assert "Spring" in page
    assert "http://127.0.0.1:9/told?***" in page
    assert "hidden" not in page


@pytest.mark.parametrize("token", [READER, SUBMITTER])
def test_who_is_no_admin_sees_neither_tokens_nor_settings(fresh: Site, token: str) -> None:
    with browser(fresh, token) as client:
        page = client.get("/system").text
        assert "Health" in page
        assert ("Try an address" in page) == (token == SUBMITTER)
        for absent in ("Settings in force", "A new token", "Pause everything", str(fresh.folders.root)):
            assert absent not in page
        assert client.post("/system/pause").status_code == 403
        assert client.post("/system/tokens", data={"name": "more", "scope": "admin"}).status_code == 403
        assert client.post("/system/tokens/first/revoke").status_code == 403


def test_secrets_among_the_settings_are_hidden(tmp_path: Path) -> None:
    storage = StorageSettings(access_key="id", secret_key=SECRET)
    settings = Settings(callback=CallbackSettings(secret=SECRET), storage=storage)
    with running(tmp_path / "data", settings) as site, browser(site, ADMIN) as client:
        page = client.get("/system").text
    assert "callback.secret" in page
    assert SECRET not in page
