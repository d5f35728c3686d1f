"""One image by its id."""

from __future__ import annotations

from typing import Any

import pytest

from imagemill.core import keys
from tests.api.conftest import READER, SUBMITTER, Site


def images(site: Site, job: dict[str, Any]) -> list[dict[str, Any]]:
    with site.client() as client:
        found: list[dict[str, Any]] = client.get(job["links"]["images"]).json()["images"]
    return found


def test_an_image_is_as_the_list_has_it(fresh: Site) -> None:
    job = fresh.submit()
    fresh.finish(failed=(2,))
    with fresh.client() as client:
        for image in images(fresh, job):
            assert client.get(f"/api/v1/images/{image['id']}").json() == image


def test_its_output_is_where_it_is_published(fresh: Site) -> None:
    job = fresh.submit()
    fresh.finish(failed=(2,))
    done, failed, _ = images(fresh, job)
    with fresh.client() as client:
        answer = client.get(f"/api/v1/images/{done['id']}/outputs/image")
        assert (answer.status_code, answer.headers["location"]) == (307, done["outputs"][0]["url"])
        for image, told in ((done, "it has: image"), (failed, "it has: none")):
            answer = client.get(f"/api/v1/images/{image['id']}/outputs/thumb-1x1")
            assert (answer.status_code, told in answer.json()["detail"]) == (404, True)


def test_a_kept_source_comes_back(fresh: Site) -> None:
    job = fresh.submit(keep_original="true")
    path = f"/api/v1/images/{images(fresh, job)[0]['id']}/original"
    with fresh.client() as client:
        early = client.get(path)
        assert (early.status_code, early.json()["code"]) == (409, "not_finished")
        fresh.finish(failed=(2,))
        done, failed, _ = images(fresh, job)
        assert client.get(path).status_code == 404  # nobody works here: its file is not there
        kept = fresh.folders.sources / done["source"]["sha256"][:2] / f"{done['source']['sha256']}.jpg"
        kept.parent.mkdir()
        kept.write_bytes(b"as it came")
        answer = client.get(path)
        assert (answer.content, answer.headers["content-type"]) == (b"as it came", "image/jpeg")
        assert 'filename="2-1.jpg"' in answer.headers["content-disposition"]
        assert client.get(path, headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
        assert client.get(f"/api/v1/images/{failed['id']}/original").status_code == 404


def test_a_source_that_was_not_to_be_kept_says_so(fresh: Site) -> None:
    job = fresh.submit()
    fresh.finish()
    with fresh.client() as client:
        answer = client.get(f"/api/v1/images/{images(fresh, job)[0]['id']}/original")
    assert (answer.status_code, "keep_original" in answer.json()["detail"]) == (404, True)


@pytest.mark.parametrize("part", ["", "/original", "/outputs/image"])
def test_who_may_see_it(fresh: Site, part: str) -> None:
    fresh.submit(SUBMITTER, keep_original="true")
    own = fresh.submit()
    image = images(fresh, own)[0]["id"]
    nowhere = (keys.image_id(own["id"], 99), own["id"], keys.image_id(keys.job_id(1, 1), 1))
    with fresh.client(READER) as client:
        assert client.get(f"/api/v1/images/{image}{part}").status_code == 404
    with fresh.client() as client:
        for unknown in nowhere:
            assert client.get(f"/api/v1/images/{unknown}{part}").status_code == 404
