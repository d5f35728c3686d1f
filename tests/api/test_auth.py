from pathlib import Path

import httpx
import pytest

from imagemill.settings import Settings
from tests.api.conftest import ADMIN, READER, SHEET, SUBMITTER, Site, running

PROTECTED = [
    "/api/v1/jobs",
    "/api/v1/jobs/018f0000-0000-7000-8000-000000000000",
    "/api/v1/jobs/018f0000-0000-7000-8000-000000000000/output.csv",
]


@pytest.mark.parametrize("path", PROTECTED)
@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer wrong", "Basic aW06eA==", f"bearer{ADMIN}", "Bearer \xff"]
)
def test_without_a_known_token_nothing_is_shown(site: Site, path: str, header: str | None) -> None:
    headers = {} if header is None else {b"Authorization": header.encode("latin-1")}
    with site.client(token=None) as client:
        answer = client.get(path, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.json()["code"] == "unauthorized"


def test_the_scheme_may_be_written_in_any_case(site: Site) -> None:
    with site.client(token=None) as client:
        assert client.get("/api/v1/jobs", headers={"Authorization": f"bEARER {ADMIN}"}).status_code == 200


@pytest.mark.parametrize(("token", "may_submit"), [(ADMIN, True), (SUBMITTER, True), (READER, False)])
def test_scopes(site: Site, token: str, may_submit: bool) -> None:
    with site.client(token) as client:
        assert client.get("/api/v1/jobs").status_code == 200
        answer = client.post("/api/v1/jobs", files={"file": ("a.csv", SHEET)})
    assert answer.status_code == (202 if may_submit else 403)
    if not may_submit:
        assert answer.json()["code"] == "forbidden"
        assert site.leftovers() == []


def test_an_owner_sees_only_its_own_jobs(fresh: Site) -> None:
    admins, shops = fresh.submit(ADMIN), fresh.submit(SUBMITTER)
    assert (admins["owner"], shops["owner"]) == ("admin", "shop")
    with fresh.client(READER) as client:
        assert [job["id"] for job in client.get("/api/v1/jobs").json()["jobs"]] == [shops["id"]]
        assert client.get("/api/v1/jobs?owner=admin").json()["jobs"] == []
        assert client.get(shops["links"]["self"]).status_code == 200
        for link in admins["links"].values():
            assert client.get(link).status_code == 404
    with fresh.client(ADMIN) as client:
        assert len(client.get("/api/v1/jobs").json()["jobs"]) == 2
        assert [job["id"] for job in client.get("/api/v1/jobs?owner=shop").json()["jobs"]] == [shops["id"]]
        for link in (shops["links"]["self"], shops["links"]["images"], shops["links"]["input"]):
            assert client.get(link).status_code == 200


def test_without_authentication_anybody_is_admin(tmp_path: Path) -> None:
    with running(tmp_path / "data", Settings(auth="none")) as site, site.client(token=None) as client:
        assert client.post("/api/v1/jobs", files={"file": ("a.csv", SHEET)}).json()["owner"] == "admin"
        assert len(client.get("/api/v1/jobs").json()["jobs"]) == 1


def test_a_large_upload_without_a_token_still_gets_its_answer(site: Site) -> None:
    with site.client(token=None) as client:
        answer = client.post("/api/v1/jobs", files={"file": ("a.csv", b"x" * 3_000_000)})
    assert answer.status_code == 401


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/openapi.json", "/docs"])
def test_what_is_open_to_all(site: Site, path: str) -> None:
    with site.client(token=None) as client:
        assert client.get(path).status_code == 200


def test_httpx_is_told_where_the_token_is_missing(site: Site) -> None:
    assert "Authorization: Bearer" in httpx.get(f"{site.url}/api/v1/jobs", trust_env=False).json()["detail"]
