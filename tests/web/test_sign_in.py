"""Signing in to the page: links that work once and soon, sessions that end, and cookies that only our page uses."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import httpx
import pytest

from imagemill.settings import Settings
from tests.api.conftest import READER, Site, running
from tests.web.conftest import COOKIE, PAGE, link


def sees_jobs(client: httpx.Client) -> bool:
    return client.get("/api/v1/jobs").status_code == 200


def test_a_link_signs_in_once(site: Site, nobody: httpx.Client) -> None:
    url = link(site)
    answer = nobody.get(url)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert nobody.get("/").status_code == 200
    nobody.cookies.clear()
    again = nobody.get(url)
    assert again.status_code == 401
    assert "used already" in again.text
    assert not nobody.cookies


def test_the_cookie_is_for_our_page_alone(site: Site, nobody: httpx.Client) -> None:
    words = nobody.get(link(site)).headers["set-cookie"].lower().split("; ")
    assert {"httponly", "samesite=strict", "path=/"} <= set(words)
    assert "secure" not in words, "this site has no TLS"


def test_behind_tls_the_cookie_is_secure(tmp_path: Path) -> None:
    settings = Settings(allowed_hosts=("pictures.example",))
    with running(tmp_path / "data", settings, public_url="https://pictures.example") as site:
        with site.client() as admin:
            given = admin.post("/api/v1/sign-in-links", headers={"Host": "pictures.example"}).json()["url"]
        assert given.startswith("https://pictures.example/sign-in?code=")
        answer = httpx.get(
            f"{site.url}/sign-in?{httpx.URL(given).query.decode()}", headers={"Host": "pictures.example"}
        )
        assert "secure" in answer.headers["set-cookie"].lower().split("; ")


def test_what_changes_something_comes_from_our_page(member: httpx.Client) -> None:
    """The browser brings the cookie along whoever asks: the Origin says who does."""
    pause = "/api/v1/system/pause"
    own = str(member.base_url).rstrip("/")
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
    ):
        assert member.post(pause, headers=headers).status_code == 403, headers
    member.headers.pop("Sec-Fetch-Site")
    assert member.post(pause).status_code == 403, "a program has a token"
    assert member.post("/api/v1/system/resume", headers={"Origin": own}).status_code == 200
    assert member.post("/api/v1/system/resume", headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200


def test_a_session_is_its_token(site: Site, nobody: httpx.Client) -> None:
    """It may do what the token may, and ends with it; a new token of the same name is another."""
    with site.client() as admin:
        for _ in range(2):
            token = admin.post("/api/v1/tokens", json={"name": "clerk", "scopes": ["read"]}).json()["token"]
            assert not sees_jobs(nobody)
            nobody.get(link(site, token))
            assert sees_jobs(nobody)
            assert nobody.post("/api/v1/system/pause").status_code == 403
            pending = link(site, token)
            assert admin.delete("/api/v1/tokens/clerk").status_code == 204
            assert not sees_jobs(nobody)
            assert nobody.get(pending).status_code == 401


def test_a_session_cannot_make_itself_another(member: httpx.Client) -> None:
    for said in (
        {},
        {"Authorization": "x"},
        {"Authorization": "Basic eA=="},
    ):  # what is no token leaves the cookie to speak
        assert member.post("/api/v1/sign-in-links", headers=said).status_code == 403


def test_signing_out_ends_the_session_and_not_only_the_cookie(member: httpx.Client) -> None:
    kept = member.cookies[COOKIE]
    answer = member.post("/sign-out")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    member.cookies.set(COOKIE, kept, domain="127.0.0.1")
    assert not sees_jobs(member)


def test_a_token_signs_in(nobody: httpx.Client) -> None:
    wrong = nobody.post("/sign-in", data={"token": "im_wrong", "next": "/jobs"})
    assert wrong.status_code == 401
    assert not nobody.cookies
    right = nobody.post("/sign-in", data={"token": f" {READER}\n", "next": "/jobs"})
    assert (right.status_code, right.headers["location"]) == (303, "/jobs")
    assert sees_jobs(nobody)


@pytest.mark.parametrize(
    "path", ["//evil.example", "https://evil.example", "/\\evil.example", "/a\nb", "", "javascript:"]
)
def test_signing_in_leads_nowhere_else(nobody: httpx.Client, path: str) -> None:
    answer = nobody.post("/sign-in", data={"token": READER, "next": path})
    assert answer.headers["location"] == "/"


def test_secrets_are_kept_as_hashes(site: Site, member: httpx.Client) -> None:
    code = httpx.URL(link(site)).params["code"]
    kept = b"".join(path.read_bytes() for path in site.folders.root.glob("imagemill.db*"))
    assert code.encode() not in kept
    assert member.cookies[COOKIE].encode() not in kept


def test_a_page_asks_to_sign_in_and_leads_back(nobody: httpx.Client) -> None:
    answer = nobody.get("/jobs", params={"state": "failed"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=%2Fjobs%3Fstate%3Dfailed")
    assert nobody.get("/").headers["location"] == "/sign-in"


def test_from_a_link_elsewhere_the_browser_asks_again_with_its_cookie(nobody: httpx.Client) -> None:
    """A strict cookie is not sent there; from the page in between it is."""
    answer = nobody.get("/jobs?a=%22b", headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 200
    assert 'content="0; url=/jobs?a=%22b"' in answer.text


def test_no_address_of_ours_leads_elsewhere(nobody: httpx.Client) -> None:
    """`//jobs` is our page Jobs here, and in an answer a host of that name."""
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {}):
        answer = nobody.get(f"{nobody.base_url}//jobs", headers=headers)
        assert "//jobs" not in answer.headers.get("location", "")
        assert 'url=//jobs"' not in answer.text


def test_htmx_is_sent_to_sign_in(site: Site, nobody: httpx.Client) -> None:
    """And from there back to the page it was on, which is always one of ours."""
    headers = {"Accept": "*/*", "HX-Request": "true"}
    answer = nobody.get("/system/state", headers=headers)
    assert (answer.status_code, answer.headers["hx-redirect"]) == (401, "/sign-in")
    for url, path in (
        (f"{site.url}/jobs?q=a b", "/sign-in?next=%2Fjobs%3Fq%3Da%20b"),
        ("https://evil.example/jobs", "/sign-in?next=%2Fjobs"),
        ("https://evil.example", "/sign-in"),
    ):
        answer = nobody.get("/system/state", headers={**headers, "HX-Current-URL": url})
        assert answer.headers["hx-redirect"] == path


def test_without_tokens_nobody_signs_in(tmp_path: Path) -> None:
    with running(tmp_path / "data", Settings(auth="none")) as site, site.client(None) as client:
        assert client.get("/", headers=PAGE).status_code == 200
        assert client.get("/sign-in").headers["location"] == "/"
        given = client.post("/api/v1/sign-in-links").json()
        assert given == {"url": f"{site.url}/", "expires_at": None}


def test_pages_forbid_all_but_their_own_files(member: httpx.Client) -> None:
    headers = member.get("/").headers
    assert headers["x-frame-options"] == "DENY"
    assert headers["cache-control"] == "no-store"
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert (policy["script-src"], policy["style-src"], policy["connect-src"]) == ("'self'",) * 3
    assert "unsafe" not in headers["content-security-policy"]


def test_a_session_outlives_a_restart_and_ends_in_time(tmp_path: Path) -> None:
    with running(tmp_path / "data", Settings()) as site, site.client(None) as client:
        client.get(link(site), headers=PAGE)
        session = client.cookies[COOKIE]
    with running(tmp_path / "data", Settings()) as again, again.client(None) as client:
        client.cookies.set(COOKIE, session, domain="127.0.0.1")
        assert sees_jobs(client)
        with contextlib.closing(sqlite3.connect(again.folders.database)) as database, database:
            database.execute("UPDATE session SET ends_at = 1")
        assert not sees_jobs(client)
        assert client.get("/jobs", headers=PAGE).headers["location"] == "/sign-in?next=%2Fjobs"


def test_a_link_that_is_too_old_signs_nobody_in(site: Site, nobody: httpx.Client) -> None:
    url = link(site)
    with contextlib.closing(sqlite3.connect(site.folders.database)) as database, database:
        database.execute("UPDATE sign_in SET ends_at = 1")
    assert nobody.get(url).status_code == 401
    assert not sees_jobs(nobody)


def test_guesses_are_counted(tmp_path: Path) -> None:
    with running(tmp_path / "data", Settings(rate_limit_failures=0.1)) as site, site.client(None) as client:
        client.headers.update(PAGE)
        assert client.get("/sign-in?code=guess").status_code == 401
        refused = client.post("/sign-in", data={"token": "im_guess"})
        assert refused.status_code == 429
        assert "That was too fast" in refused.text
        assert client.get(link(site)).status_code == 303, "who has a link comes in"


def test_from_a_page_elsewhere_a_link_signs_nobody_in_unasked(site: Site, nobody: httpx.Client) -> None:
    url = httpx.URL(link(site))
    asked = nobody.get(url, headers={"Sec-Fetch-Site": "cross-site"})
    assert asked.status_code == 200
    assert "Sign in to imagemill?" in asked.text
    assert not sees_jobs(nobody)
    answer = nobody.post("/sign-in", data={"code": url.params["code"]})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert sees_jobs(nobody)
