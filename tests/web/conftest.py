"""The page over HTTP, without a browser: a site as the API's tests have it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from imagemill.api.auth import session_name
from imagemill.settings import Settings
from tests.api.conftest import ADMIN, Site, running

PAGE = {"Accept": "text/html", "Sec-Fetch-Site": "same-origin"}
COOKIE = session_name(Settings())


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running(tmp_path_factory.mktemp("page") / "data", Settings(rate_limit_failures=0)) as found:
        yield found


@pytest.fixture
def nobody(site: Site) -> Iterator[httpx.Client]:
    """A browser as it comes."""
    with site.client(None) as client:
        client.headers.update(PAGE)
        yield client


@pytest.fixture
def member(site: Site, nobody: httpx.Client) -> httpx.Client:
    """A browser that is signed in as the admin."""
    assert nobody.get(link(site)).status_code == 303
    return nobody


def link(site: Site, token: str = ADMIN) -> str:
    with site.client(token) as client:
        answer = client.post("/api/v1/sign-in-links")
    assert answer.status_code == 201, answer.text
    return str(answer.json()["url"])


@contextmanager
def browser(site: Site, token: str) -> Iterator[httpx.Client]:
    """A browser that is signed in as the bearer of a token."""
    with site.client(None) as client:
        client.headers.update(PAGE)
        client.get(link(site, token))
        yield client
