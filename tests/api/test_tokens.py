"""Making, listing and revoking tokens over HTTP."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.api.conftest import ADMIN, READER, SUBMITTER, Site


def made(client: httpx.Client, **wanted: object) -> dict[str, Any]:
    answer = client.post("/api/v1/tokens", json=wanted)
    assert answer.status_code == 201, answer.text
    assert answer.headers["cache-control"] == "no-store"
    token: dict[str, Any] = answer.json()
    return token


def test_a_token_opens_what_its_scope_allows_until_it_is_revoked(site: Site, client: httpx.Client) -> None:
    token = made(client, name="studio", scopes=["submit"])
    assert token["token"].startswith("im_")
    assert (token["owner"], token["scopes"]) == ("studio", ["submit"])
    assert site.submit(token["token"])["owner"] == "studio"
    with site.client(token["token"]) as studio:
        assert len(studio.get("/api/v1/jobs").json()["jobs"]) == 1
        assert studio.get("/api/v1/tokens").status_code == 403
        assert client.delete("/api/v1/tokens/studio").status_code == 204
        assert studio.get("/api/v1/jobs").status_code == 401
    assert client.delete("/api/v1/tokens/studio").status_code == 404


def test_tokens_of_one_owner_see_the_same_jobs(site: Site, client: httpx.Client) -> None:
    first = made(client, name="desk-1", scopes=["submit"], owner="agency")
    second = made(client, name="desk-2", scopes=["read"], owner="agency")
    job = site.submit(first["token"])
    with site.client(second["token"]) as desk:
        assert [each["id"] for each in desk.get("/api/v1/jobs").json()["jobs"]] == [job["id"]]
        assert desk.post("/api/v1/tokens", json={"name": "more"}).status_code == 403


def test_the_list_names_tokens_and_shows_none(client: httpx.Client) -> None:
    token = made(client, name="listed")
    answer = client.get("/api/v1/tokens")
    assert {"listed", ADMIN, READER, SUBMITTER} <= {each["name"] for each in answer.json()["tokens"]}
    assert token["token"] not in answer.text
    assert set(answer.json()["tokens"][0]) == {"name", "scopes", "owner", "created_at"}


def test_a_name_is_given_once(client: httpx.Client) -> None:
    made(client, name="once")
    answer = client.post("/api/v1/tokens", json={"name": "once"})
    assert (answer.status_code, answer.json()["code"]) == (409, "name_taken")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"name": "../etc"}, 422),
        ({"name": "a\nb"}, 422),
        ({"name": "x" * 65}, 422),
        ({"name": "fine", "scopes": []}, 422),
        ({"name": "fine", "scopes": ["root"]}, 422),
        ({"name": "fine", "scope": ["read"]}, 422),
        ({"name": "fine", "owner": "a b"}, 422),
        ([], 422),
        (b"{", 400),
    ],
)
def test_what_is_no_token_is_refused(client: httpx.Client, body: object, status: int) -> None:
    headers = {"Content-Type": "application/json"}
    answer = (
        client.post("/api/v1/tokens", content=body, headers=headers)
        if isinstance(body, bytes)
        else client.post("/api/v1/tokens", json=body)
    )
    assert answer.status_code == status, answer.text
    assert answer.json()["code"] == ("invalid_request" if status == 422 else "bad_request")


def test_the_appliance_keeps_its_own_token(fresh: Site) -> None:
    fresh.store.add_token("first", "im_first", scopes=frozenset({"admin"}), owner="admin")
    with fresh.client() as client:
        assert client.delete("/api/v1/tokens/first").status_code == 404
    assert fresh.store.caller("im_first") is not None
