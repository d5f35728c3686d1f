"""Whatever the old services allowed: each of these routes wants a token, and shows nobody another owner's job."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote

import httpx

from imagemill import compat
from imagemill.settings import CompatSettings, Settings
from tests.api.conftest import ADMIN, SUBMITTER, Site, running

ROUTES = [
    (method, re.sub(r"\{(\w+)(:\w+)?\}", r"{\1}", route.path))
    for router in compat.routers(CompatSettings())
    for route in router.routes
    for method in route.methods
    if method != "OPTIONS"
]


# Greetings, where the documents are, and pictures, whose names are all there is to know.
PUBLIC = {
    f"/compat/{path}"
    for path in (
        "bip",
        "bip/health",
        "thumbnails/status",
        "thumbnails/api",
        "image-api/healthcheck",
        "image-api/api-docs",
        "csv-api/processed_images/{name}",
    )
}


def filled(path: str, value: str) -> str:
    return re.sub(r"\{\w+\}", quote(value), path)


def test_there_are_routes() -> None:
    assert len(ROUTES) > 10


def test_none_answers_without_a_token(site: Site) -> None:
    with site.client(None) as client:
        answers = {(method, path): client.request(method, filled(path, "1")) for method, path in ROUTES}
        for (method, path), answer in answers.items():
            assert (answer.status_code == 401) == (path not in PUBLIC), (method, path, answer.text)
            assert answer.headers["x-content-type-options"] == "nosniff"


def test_none_shows_another_owner_s_job(tmp_path: Path) -> None:
    with running(tmp_path / "data", Settings()) as site:
        job = site.submit(ADMIN)
        site.finish()
        with site.client(SUBMITTER) as other:
            for method, path in ROUTES:
                answers = [other.request(method, filled(path, value)) for value in (job["id"], "1", "image")]
                answers.append(
                    other.request(method, filled(path, ""), params={"jobid": job["id"], "job_id": job["id"]})
                )
                assert not any(shows(answer, job["id"]) for answer in answers), (method, path)


def shows(answer: httpx.Response, job_id: str) -> bool:
    """Say whether an answer tells of a job more than that it was asked for."""
    return answer.is_success and (job_id in answer.text or "origin.example" in answer.text)
