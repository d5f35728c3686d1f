"""Profiles are there unless they are switched off, and beside our own API, not in its document."""

from __future__ import annotations

from pathlib import Path

from imagemill.settings import CompatSettings, Settings
from tests.api.conftest import Site, running
from tests.compat.conftest import asking

PROBES = {"bip": "/health", "csv-api": "/api/status/x", "thumbnails": "/status", "image-api": "/healthcheck"}


def found(site: Site) -> list[str]:
    """The profiles that answer as such."""
    names = []
    for name, path in PROBES.items():
        with asking(site, name) as client:
            if client.get(path).headers["content-type"] != "application/problem+json":
                names.append(name)
    return names


def test_all_are_there_by_default(site: Site) -> None:
    assert found(site) == list(PROBES) == list(Settings().compat.profiles)


def test_the_others_are_unknown(tmp_path: Path) -> None:
    settings = Settings(compat=CompatSettings(profiles=("thumbnails", "thumbnails")))
    with running(tmp_path / "data", settings) as site:
        assert found(site) == ["thumbnails"]


def test_the_document_is_ours_alone(site: Site) -> None:
    with site.client() as client:
        assert "/compat" not in client.get("/openapi.json").text


def test_without_tokens_a_client_needs_none(tmp_path: Path) -> None:
    with running(tmp_path / "data", Settings(auth="none")) as site, asking(site, "image-api", token=None) as client:
        assert client.get("/jobs").json() == {"results": [], "count": 0}
