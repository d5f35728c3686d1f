"""Jobs that are refused for want of room, before they cost anything, and let in again by themselves."""

import errno
from pathlib import Path

import pytest

from imagemill.settings import Settings
from tests.api.conftest import SHEET, Site, eventually, running
from tests.api.test_uploads import JOBS, half_an_upload

FILES = {"file": ("a.csv", SHEET)}


def test_so_many_sheets_come_in_at_a_time(tmp_path: Path) -> None:
    with running(tmp_path / "data", Settings(max_uploads=2)) as site, site.client() as client:
        with half_an_upload(site), half_an_upload(site):
            eventually(lambda: len(site.leftovers()) == 2)
            answer = client.post(JOBS, files=FILES)
            assert (answer.status_code, answer.json()["code"]) == (503, "no_room")
            assert "max_uploads" in answer.json()["detail"]
            assert 1 <= int(answer.headers["retry-after"]) <= 10
            assert len(site.leftovers()) == 2
        eventually(lambda: client.post(JOBS, files=FILES).status_code == 202)
        for _ in range(3):
            assert client.post(JOBS, files={"file": ("a.csv", b"no\nsheet")}).status_code == 422
        assert client.post(JOBS, files=FILES).status_code == 202


def test_so_many_images_wait(tmp_path: Path) -> None:
    with running(tmp_path / "data", Settings(max_open_images=3)) as site, site.client() as client:
        site.submit()
        site.submit()
        answer = client.post(JOBS, files=FILES)
        assert (answer.status_code, answer.json()["code"]) == (503, "no_room")
        assert "max_open_images is 3" in answer.json()["detail"]
        assert int(answer.headers["retry-after"]) > 0
        site.finish()
        assert client.post(JOBS, files=FILES).status_code == 202
        assert site.leftovers() == []


def test_a_disk_that_fills_up_while_a_sheet_comes_in_refuses_it(fresh: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("imagemill.pipeline.intake.flush_folder", fail)
    with fresh.client() as client:
        answer = client.post(JOBS, files=FILES)
        assert (answer.status_code, answer.json()["code"]) == (503, "no_room")
        assert "could not be written" in answer.json()["detail"]
        assert (fresh.leftovers(), fresh.steps) == ([], [])
        assert client.post(JOBS, files=FILES).status_code == 503
        monkeypatch.undo()
        eventually(lambda: client.post(JOBS, files=FILES).status_code == 202, within_s=20)
