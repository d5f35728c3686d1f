"""A site as the API's tests have it; `works` has a pool, and records what it makes as the queue would."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from imagemill.settings import FetchSettings, Settings
from tests.api.conftest import SUBMITTER, Site, running

SHEET = b'S. No.,Product Name,Input Image Urls\r\n1,Cup,http://o.example/a.jpg\r\n2,Pot,"http://o.example/b.jpg,http://o.example/a.jpg"\r\n'


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    settings = Settings(max_upload_bytes=60_000, fetch=FetchSettings(max_bytes=20_000_000))
    with running(tmp_path_factory.mktemp("site") / "data", settings) as found:
        yield found


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Site]:
    with running(tmp_path / "data", Settings(), works=True) as found:
        yield found


def asking(site: Site, profile: str, token: str | None = SUBMITTER) -> httpx.Client:
    """Return a client of an old service: it knows its base URL, and a token."""
    client = site.client(token)
    client.base_url = httpx.URL(f"{site.url}/compat/{profile}")
    return client


def post_sheet(client: httpx.Client, path: str, sheet: bytes = SHEET, field: str = "file", **fields: str) -> Any:  # noqa: ANN401 - an answer
    return client.post(path, files={field: ("products.csv", sheet, "text/csv")}, data=fields)
