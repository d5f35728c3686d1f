from collections.abc import Iterator

import httpx
import pytest

from tests.api.conftest import READER, SUBMITTER, Site


@pytest.fixture
def own(fresh: Site) -> Iterator[httpx.Client]:
    with fresh.client() as found:
        yield found


def test_a_job_is_told_once_and_then_only_when_it_changes(site: Site, client: httpx.Client) -> None:
    path = site.submit()["links"]["self"]
    first = client.get(path)
    assert first.headers["etag"].startswith('"')
    assert 1 <= int(first.headers["retry-after"]) <= 30
    again = client.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    site.finish()
    changed = client.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert changed.json()["state"] == "completed"
    assert changed.json()["bytes"] == {"source": 3000, "output": 1500, "saved_percent": 50.0}
    assert "retry-after" not in changed.headers


def test_the_list_is_newest_first_and_pages(fresh: Site, own: httpx.Client) -> None:
    ids = [fresh.submit(name=f"job {n}")["id"] for n in range(5)]
    seen, cursor = [], None
    for _ in range(3):
        page = own.get("/api/v1/jobs", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        seen += [job["id"] for job in page["jobs"]]
        cursor = page["next_cursor"]
    assert seen == ids[::-1]
    assert cursor is None
    assert own.get("/api/v1/jobs?limit=500").status_code == 200


def test_the_list_is_filtered(fresh: Site, own: httpx.Client) -> None:
    old = fresh.submit(name="old")
    fresh.finish()
    new = fresh.submit(SUBMITTER, name="new")

    def found(**query: str) -> list[str]:
        return [job["name"] for job in own.get("/api/v1/jobs", params=query).json()["jobs"]]

    assert found(state="completed") == ["old"]
    assert found(state="pending") == ["new"]
    assert found(owner="shop") == ["new"]
    assert found(name="old") == ["old"]
    assert found(created_before="2000-01-01T00:00:00Z") == []
    assert found(created_after="2000-01-01T00:00:00") == ["new", "old"]
    assert found(created_after="2999-01-01T00:00:00+02:00") == []
    assert old["links"]["self"] != new["links"]["self"]


def test_images_are_in_the_order_of_the_sheet(site: Site, client: httpx.Client) -> None:
    job = site.submit()
    site.finish(failed=(2,))
    images = client.get(job["links"]["images"]).json()["images"]
    assert [(image["row"], image["position"], image["source_url"][-5:]) for image in images] == [
        (2, 1, "a.jpg"),
        (3, 1, "b.jpg"),
        (3, 2, "a.jpg"),
    ]
    assert [image["state"] for image in images] == ["done", "failed", "done"]
    assert images[0]["outputs"][0]["url"] == f"{site.url}/images/{images[0]['outputs'][0]['key']}.jpg"
    assert images[1]["error"] == {"code": "http_status", "message": "the origin answered 404"}
    assert images[1]["outputs"] == []
    assert [image["ssim"] for image in images] == [0.99, None, 0.99]
    worst = client.get(job["links"]["self"]).json()["worst_ssim"]
    assert worst == {"ssim": 0.99, "image_id": images[0]["id"]}


def test_images_page_and_filter(site: Site, client: httpx.Client) -> None:
    path = site.submit()["links"]["images"]
    first = client.get(path, params={"limit": 2}).json()
    rest = client.get(path, params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [len(first["images"]), len(rest["images"]), rest["next_cursor"]] == [2, 1, None]
    site.finish(failed=(2,))
    assert len(client.get(path, params={"state": "failed"}).json()["images"]) == 1


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "state=lost", "cursor=x"])
def test_bad_parameters_are_named(site: Site, client: httpx.Client, query: str) -> None:
    answer = client.get(f"{site.submit()['links']['images']}?{query}")
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [query.partition("=")[0]]


def test_a_reader_may_read(site: Site) -> None:
    job = site.submit(SUBMITTER)
    with site.client(READER) as client:
        assert client.get(job["links"]["self"]).json()["id"] == job["id"]


def test_images_come_in_the_order_asked_for(site: Site) -> None:
    job = site.submit()
    site.finish()
    with site.client() as client:

        def found(**params: str) -> list[str]:
            answer = client.get(job["links"]["images"], params=params)
            assert answer.status_code == 200, answer.text
            return [image["source_url"][-5:] for image in answer.json()["images"]]

        assert found() == found(sort="position") == ["a.jpg", "b.jpg", "a.jpg"]
        assert found(sort="worst_ssim", state="done") == found(sort="worst_ssim") == ["b.jpg", "a.jpg"]
        assert found(sort="worst_ssim", state="failed") == []
        first = client.get(job["links"]["images"], params={"sort": "largest", "limit": 1}).json()
        assert found(sort="largest", cursor=first["next_cursor"]) != [first["images"][0]["source_url"][-5:]]
        for wrong in ({"sort": "colour"}, {"sort": "largest", "cursor": "1"}):
            assert client.get(job["links"]["images"], params=wrong).status_code == 422


def test_a_job_at_work_has_a_pace(fresh: Site) -> None:
    job = fresh.submit()
    fresh.finish(most=1)
    fresh.meters.paces.add(job["id"], 4)
    with fresh.client() as client:
        seen = client.get(job["links"]["self"]).json()
        assert (seen["state"], seen["counts"]["pending"]) == ("processing", 1)
        assert 0 < seen["images_per_s"] <= 4
        # Of a sheet with 3 places of 2 images, 4 images a second are 6 places.
        assert seen["eta_s"] == pytest.approx(1 / (seen["images_per_s"] * 1.5), abs=0.06)
        assert client.post(f"{job['links']['self']}/pause").json()["images_per_s"] is None
