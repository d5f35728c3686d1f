"""What holds for every route, asked of the OpenAPI document: a new route cannot be forgotten."""

import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from imagemill.settings import Settings
from tests.api.conftest import ADMIN, READER, SHEET, SUBMITTER, Site, running, say

TRICKS = [
    "..",
    "%2e%2e",
    ".%2e%2f",
    "..%2f..%2f..%2f..%2fetc%2fpasswd",
    "..%5c..%5cetc%5cpasswd",
    "%252e%252e%252fetc%252fpasswd",
    "%2fetc%2fpasswd",
    "%00",
    "a%00.jpg",
    "%ff%fe",
    "%c0%ae%c0%ae",
    "%0d%0aX-Evil:%201",
    "%0aX-Evil:%201",
    "'%20OR%20'1'='1",
    "%25s%7b%7d$(id)",
    "%ef%bc%8e%ef%bc%8e",
    "a" * 3000,
    "*",
]
SAFE = {"get", "head"}
NOBODYS = "018f0000-0000-7000-8000-000000000000"
UNFETCHED = ("/original", "/pictures/{number}", "/pictures/{number}/output")
"""Nobody fetches a source here."""
OWNED = {"job_id", "image_id", "draft_id"}
LOOKS = "/api/v1/sign-in-links"
"""Who may read may look at the page."""


@dataclass(frozen=True)
class Route:
    method: str
    path: str
    needs_token: bool

    def at(self, **values: str) -> str:
        return self.path.format(**values)

    @property
    def parameters(self) -> list[str]:
        return [part.partition("}")[0] for part in self.path.split("{")[1:]]


@dataclass(frozen=True)
class Shop:
    """A site with one finished job of the admin's, and how its paths are filled in."""

    site: Site
    routes: list[Route]
    values: dict[str, str]


def routes_of(document: dict[str, Any]) -> list[Route]:
    """Return the routes, those that remove things last."""
    found = [
        Route(method, path, operation.get("security") != [])
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]
    return sorted(found, key=lambda route: (route.method == "delete", route.method))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with running(tmp_path_factory.mktemp("routes") / "data", Settings(rate_limit_failures=0)) as site:
        job = site.submit(ADMIN, keep_original="true")
        site.finish()
        with site.client() as client:
            images = client.get(job["links"]["images"]).json()["images"]
            document = client.get("/openapi.json").json()
            draft = client.post("/api/v1/drafts", files={"file": ("shop.csv", SHEET)}).json()
        # `name` is a token's, an output's or a published image's; `number` a picture's of the draft.
        ids = {"job_id": job["id"], "image_id": images[0]["id"], "draft_id": draft["id"]}
        values = ids | {"number": "0", "name": "image"}
        yield Shop(site, routes_of(document), values)


def asked(client: httpx.Client, route: Route, values: dict[str, str]) -> httpx.Response:
    return client.request(route.method, route.at(**values), follow_redirects=False)


def test_the_document_names_all_routes(shop: Shop) -> None:
    assert len(shop.routes) > 25
    assert {name for route in shop.routes for name in route.parameters} == set(shop.values)


def test_without_a_token_no_route_answers(shop: Shop) -> None:
    with shop.site.client(None) as client:
        for route in shop.routes:
            if route.needs_token:
                assert asked(client, route, shop.values).status_code == 401, route
            else:
                assert not route.path.startswith("/api/"), route


def test_who_may_only_read_changes_nothing(shop: Shop) -> None:
    with shop.site.client(READER) as client:
        for route in shop.routes:
            if route.method not in SAFE and route.path != LOOKS:
                assert asked(client, route, shop.values).status_code == 403, route


def test_one_owner_never_sees_another_s(shop: Shop) -> None:
    """Each route with an id, with the token of another owner, and then with the right one: the address was right."""
    job = f"/api/v1/jobs/{shop.values['job_id']}"
    with shop.site.client(SUBMITTER) as other, shop.site.client() as owner:
        before = owner.get(job).headers["etag"]
        owned = [route for route in shop.routes if OWNED & set(route.parameters)]
        assert len(owned) > 12
        for route in owned:
            refused = asked(other, route, shop.values)
            assert (refused.status_code, refused.json()["code"]) == (404, "not_found"), route
        assert owner.get(job).headers["etag"] == before
        assert shop.values["job_id"] not in other.get("/api/v1/jobs").text
        for route in owned:
            if route.method in SAFE and not route.path.endswith(UNFETCHED):
                assert asked(owner, route, shop.values).status_code in {200, 307}, route


def test_a_list_of_ids_cannot_reach_into_another_s_job(shop: Shop) -> None:
    with shop.site.client(SUBMITTER) as other:
        own = shop.site.submit(SUBMITTER)
        answer = other.post(f"/api/v1/jobs/{own['id']}/retry", json={"images": [shop.values["image_id"]]})
        assert answer.status_code in {404, 409, 422}, answer.text


def test_every_answer_is_nosniff_and_in_no_frame(shop: Shop) -> None:
    with shop.site.client() as admin, shop.site.client(None) as nobody:
        for route in shop.routes:
            # Nothing is removed here: the id is nobody's.
            values = shop.values | ({} if route.method in SAFE else dict.fromkeys(OWNED, NOBODYS))
            for client in (admin, nobody):
                headers = asked(client, route, values).headers
                assert headers["x-content-type-options"] == "nosniff", route
                assert headers["x-frame-options"] == "DENY", route
                assert "frame-ancestors 'none'" in headers["content-security-policy"], route
                assert headers["referrer-policy"] == "no-referrer", route
                assert "cache-control" in headers, route
                assert "set-cookie" not in headers, route
                assert "access-control-allow-origin" not in headers, route


@pytest.mark.parametrize("trick", TRICKS, ids=[urllib.parse.quote(trick[:20]) for trick in TRICKS])
def test_no_path_parameter_leads_astray(shop: Shop, trick: str) -> None:
    for route in shop.routes:
        for name in route.parameters:
            target = route.at(**shop.values | {name: trick})
            answer = say(
                shop.site,
                f"{route.method.upper()} {target} HTTP/1.1\nHost: localhost\nAuthorization: Bearer {ADMIN}\n"
                "Content-Length: 0\n\n",
            )
            assert answer.startswith(b"HTTP/1.1 4"), (route, trick, answer)
            assert b"root:" not in answer
            assert b"\nX-Evil" not in answer
    with shop.site.client() as owner:
        assert owner.get(f"/api/v1/jobs/{shop.values['job_id']}").status_code == 200


@pytest.mark.parametrize("path", ["/docs/assets/", "/images/", "/docs/", "/"])
@pytest.mark.parametrize("trick", TRICKS[2:], ids=[urllib.parse.quote(trick[:20]) for trick in TRICKS[2:]])
def test_no_file_of_the_machine_is_served(shop: Shop, path: str, trick: str) -> None:
    answer = say(shop.site, f"GET {path}{trick} HTTP/1.1\nHost: localhost\n\n")
    assert answer.startswith(b"HTTP/1.1 4"), answer
    assert b"root:" not in answer


def test_the_data_folder_is_nobody_else_s(shop: Shop) -> None:
    root: Path = shop.site.folders.root
    for place in (root, *root.iterdir()):
        assert place.stat().st_mode & 0o077 == 0, place
