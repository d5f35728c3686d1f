"""Drafts over HTTP: a real sheet is checked, its pictures are really compressed, and it becomes a job by its id."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import httpx
import pytest
from PIL import Image

from imagemill.settings import FetchSettings, Settings
from tests.api.conftest import READER, SUBMITTER, Site, eventually, running
from tests.api.test_uploads import half_an_upload
from tests.origin import Origin

DRAFTS, PREVIEWS = "/api/v1/drafts", "/api/v1/previews"


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Origin]:
    folder = tmp_path_factory.mktemp("origin")
    Image.effect_noise((320, 240), 40).convert("RGB").save(folder / "0.jpg", quality=95)
    with Origin(folder) as found:
        yield found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    settings = Settings(workers=1, fetch=FetchSettings(allow=("127.0.0.0/8",)))
    with running(tmp_path_factory.mktemp("site") / "data", settings, works=True) as found:
        yield found


def draft_of(client: httpx.Client, sheet: bytes, **fields: str) -> dict[str, Any]:
    answer = client.post(DRAFTS, files={"file": ("spring.csv", sheet)}, data=fields)
    assert answer.status_code == 201, answer.text
    draft: dict[str, Any] = answer.json()
    return draft


def sheet(origin: Origin, *paths: str) -> bytes:
    return ("Nr,Bild\n" + "".join(f"{n},{origin.url}{path}\n" for n, path in enumerate(paths))).encode()


def test_a_sheet_is_checked_shown_and_sent_once(site: Site, origin: Origin) -> None:
    with site.client(SUBMITTER) as client:
        draft = draft_of(client, sheet(origin, "/0.jpg", "/0.jpg"))
        assert [fault["code"] for fault in draft["faults"]] == ["missing_column"]
        own = f"{DRAFTS}/{draft['id']}"
        chosen = client.get(own, params={"image_column": "Bild"}).json()
        assert (chosen["counts"], chosen["faults"]) == ({"rows": 2, "images": 2, "unique": 1}, [])
        before = client.get(f"{own}/pictures/0")
        assert (before.headers["content-type"], before.content) == ("image/jpeg", origin.file("/0.jpg"))
        seen = []
        for quality in ("20", "80"):
            after = client.get(f"{own}/pictures/0/output", params={"quality": quality, "max_width": "160"})
            assert after.status_code == 200, after.text
            told = json.loads(after.headers["x-preview"])
            with Image.open(BytesIO(after.content)) as picture:
                assert (picture.format, picture.size) == ("JPEG", (160, 120))
            assert told["source"] == {"bytes": len(before.content), "format": "jpeg", "width": 320, "height": 240}
            assert told["output"] == {"bytes": len(after.content), "format": "jpeg", "width": 160, "height": 120}
            seen.append((told["ssim"], len(after.content)))
        assert seen == sorted(seen)
        asked = {"draft": draft["id"], "image_column": "Bild", "quality": 30}
        estimate = client.post("/api/v1/estimate", json=asked).json()
        assert (estimate["unique_images"], estimate["sampled"]) == (1, 1)
        jobs = [client.post("/api/v1/jobs", json=asked, headers={"Idempotency-Key": draft["id"]}) for _ in range(2)]
        assert [job.status_code for job in jobs] == [202, 202]
        job = jobs[0].json()
        assert (job["id"], job["kind"], job["counts"]["images"]) == (jobs[1].json()["id"], "sheet", 2)
        assert "spring" in client.get(f"{job['links']['input']}").headers["content-disposition"]
        assert client.delete(own).status_code == 204
        gone = client.post("/api/v1/jobs", json=asked)
        assert (gone.status_code, gone.json()["errors"][0]["field"]) == (422, "draft")
    assert list(site.folders.drafts.iterdir()) == site.leftovers() == []


def test_links_without_a_sheet_are_checked_too(site: Site, origin: Origin) -> None:
    with site.client() as client:
        draft = client.post(DRAFTS, json={"images": [f"{origin.url}/0.jpg", "ftp://x/y"]}).json()
        assert (draft["kind"], draft["fault_count"], draft["faults"][0]["row"]) == ("images", 1, 3)
        good = client.post(DRAFTS, json={"images": [f"{origin.url}/0.jpg"]}).json()
        job = client.post("/api/v1/jobs", json={"draft": good["id"]}).json()
    assert (job["kind"], job["counts"]["images"]) == ("images", 1)


def test_what_is_refused(site: Site, origin: Origin) -> None:
    with site.client(READER) as reader:
        assert reader.post(DRAFTS, files={"file": ("a.csv", b"x")}).status_code == 403
    with site.client() as admin, site.client(SUBMITTER) as client:
        draft = draft_of(admin, sheet(origin, "/gone.jpg"), image_column="#2")
        own = f"{DRAFTS}/{draft['id']}"
        failed = admin.get(f"{own}/pictures/0/output")
        assert (failed.status_code, failed.json()["code"]) == (422, "http_status")
        assert admin.get(f"{own}/pictures/1").json()["code"] == "not_found"
        inside = draft_of(admin, b"Images\nhttp://169.254.169.254/latest/meta-data\n")["id"]
        assert admin.get(f"{DRAFTS}/{inside}/pictures/0").json()["code"] == "blocked_address"
        wrong = admin.get(f"{own}/pictures/0/output", params={"quality": "900", "colour": "red"}).json()
        assert [error["field"] for error in wrong["errors"]] == ["colour", "quality"]
        for refused in (client.get(own), client.get(f"{own}/pictures/0"), client.delete(own)):
            assert (refused.status_code, refused.json()["code"]) == (404, "not_found")
        answer = client.post("/api/v1/jobs", json={"draft": draft["id"], "image_column": "#2"})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "draft")
        for body in ({"draft": "../../x"}, {"draft": draft["id"], "images": ["http://a/b"]}):
            refused = admin.post("/api/v1/jobs", json=body)
            assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "draft")
        faulty = draft_of(admin, b"Images\nftp://a/b\n")
        assert admin.post("/api/v1/jobs", json={"draft": faulty["id"]}).json()["code"] == "invalid_sheet"
    assert site.leftovers() == []


def test_a_recipe_is_tried_on_a_picture_that_is_sent(site: Site, origin: Origin) -> None:
    given = origin.file("/0.jpg") or b""
    with site.client(SUBMITTER) as client:
        for quality, most in (("90", len(given)), ("5", len(given) // 4)):
            answer = client.post(PREVIEWS, files={"image": ("a.jpg", given)}, data={"quality": quality, "name": "x"})
            assert answer.status_code == 200, answer.text
            told = json.loads(answer.headers["x-preview"])
            assert (told["source"]["bytes"], told["output"]["bytes"]) == (len(given), len(answer.content))
            assert len(answer.content) < most
        refused = [
            (client.post(PREVIEWS, files={"image": ("a.jpg", b"<svg>")}), 422, "unsupported_format"),
            (client.post(PREVIEWS, files=[("image", ("a.jpg", given))] * 2), 413, "too_large"),
            (client.post(PREVIEWS, data={"quality": "5"}), 415, "unsupported_media_type"),
            (client.post(PREVIEWS, files={"image": ("a.jpg", given)}, data={"quality": "x"}), 422, "invalid_request"),
            (client.post(PREVIEWS, files={"other": (None, b"x")}), 422, "invalid_request"),
        ]
    assert [(answer.status_code, answer.json()["code"]) for answer, *_ in refused] == [
        tuple(rest) for _, *rest in refused
    ]
    assert site.leftovers() == []


def test_an_upload_that_is_given_up_leaves_no_draft(site: Site) -> None:
    before = set(site.folders.drafts.iterdir())
    with half_an_upload(site, path=DRAFTS):
        eventually(site.leftovers)
    eventually(lambda: not site.leftovers())
    assert set(site.folders.drafts.iterdir()) == before
