"""A request that is sent again, as clients do that saw no answer."""

import contextlib
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from imagemill.db import JobFilter
from tests.api.conftest import ADMIN, SHEET, SUBMITTER, Site
from tests.appliance_process import ApplianceProcess, needs_proc, until

JOBS = "/api/v1/jobs"


def submit(site: Site, key: str, *, token: str = ADMIN, sheet: bytes = SHEET, **fields: str) -> httpx.Response:
    with site.client(token) as client:
        return client.post(JOBS, files={"file": ("a.csv", sheet)}, data=fields, headers={"Idempotency-Key": key})


def jobs(site: Site) -> int:
    return len(site.store.jobs(JobFilter(), 500, None)[0])


def test_the_same_request_is_answered_with_the_same_job(fresh: Site) -> None:
    first = submit(fresh, "k-1", quality="40", webhook="http://127.0.0.1:9/x", sheet=SHEET + b"3;Jug;\r\n")
    fresh.finish()
    again = submit(fresh, "k-1", callback_url="http://127.0.0.1:9/x", quality=" 40", sheet=SHEET + b"3;Jug;\r\n")
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.headers["location"] == first.headers["location"]
    assert (again.json()["state"], again.json()["warnings"]) == ("completed", first.json()["warnings"])
    assert first.json()["warnings"]
    assert (jobs(fresh), len(fresh.steps), fresh.leftovers()) == (1, 1, [])
    assert len(list(fresh.folders.sheets.iterdir())) == 1


def test_listed_images_have_keys_too(fresh: Site) -> None:
    def listed(*urls: str) -> httpx.Response:
        with fresh.client() as client:
            return client.post(JOBS, json={"images": urls}, headers={"Idempotency-Key": "k"})

    first, again = listed("http://a.example/1"), listed("http://a.example/1")
    assert (first.status_code, again.headers["location"]) == (202, first.headers["location"])
    assert listed("http://a.example/2").json()["code"] == "idempotency_key_reused"
    assert jobs(fresh) == 1


def test_without_a_key_or_with_another_it_is_another_job(fresh: Site) -> None:
    ids = {submit(fresh, key, token=token).json()["id"] for key in ("a", "b") for token in (ADMIN, SUBMITTER)}
    assert len({*ids, fresh.submit()["id"], fresh.submit()["id"]}) == 6


@pytest.mark.parametrize("other", [{"sheet": SHEET + b"9;Jug;http://a.example/9\r\n"}, {"quality": "41"}])
def test_the_key_of_another_request_is_refused(fresh: Site, other: dict[str, Any]) -> None:
    submit(fresh, "k")
    answer = submit(fresh, "k", **other)
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_key_reused")
    assert (jobs(fresh), fresh.leftovers(), len(list(fresh.folders.sheets.iterdir()))) == (1, [], 1)


def test_a_refused_request_leaves_its_key_free(fresh: Site) -> None:
    assert submit(fresh, "k", sheet=b"no\nsheet").status_code == 422
    assert submit(fresh, "k").status_code == 202


@pytest.mark.parametrize("key", ["", "x" * 256, "two words", "käse".encode().decode("latin-1")])
def test_a_key_that_cannot_be_kept_is_refused_unread(site: Site, key: str) -> None:
    headers = [(b"Idempotency-Key", key.encode("latin-1"))]
    with site.client() as client:
        answer = client.post(JOBS, files={"file": ("a.csv", SHEET)}, headers=headers)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "Idempotency-Key")


def test_two_keys_are_none(site: Site) -> None:
    headers = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    with site.client() as client:
        assert client.post(JOBS, files={"file": ("a.csv", SHEET)}, headers=headers).status_code == 422


def test_of_requests_at_once_one_makes_the_job(fresh: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """All have looked for the key before the first of them writes it."""
    together = threading.Barrier(4, timeout=60)
    accept_job = fresh.store.accept_job

    def accept(*arguments: Any) -> object:  # noqa: ANN401
        together.wait()
        return accept_job(*arguments)

    monkeypatch.setattr(fresh.store, "accept_job", accept)
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: submit(fresh, "race"), range(4)))
    assert [answer.status_code for answer in answers] == [202] * 4
    assert len({answer.headers["location"] for answer in answers}) == 1
    assert (jobs(fresh), len(fresh.steps), fresh.leftovers()) == (1, 1, [])
    assert len(list(fresh.folders.sheets.iterdir())) == 1


@needs_proc
def test_a_kill_between_accept_and_answer_is_made_good(tmp_path: Path) -> None:
    """The client saw no answer, asks again, and finds the job that its first request became."""
    database = tmp_path / "data" / "imagemill.db"

    def kept() -> list[tuple[str]]:
        with contextlib.closing(sqlite3.connect(database, 60)) as connection:
            return connection.execute("SELECT job_uid FROM request_key").fetchall()

    with ApplianceProcess(tmp_path / "data") as appliance, ThreadPoolExecutor(1) as threads:
        unanswered = threads.submit(appliance.post_sheet, SHEET, key="k")
        ((uid,),) = until(kept, 30, "the job is written", every_s=0.0)
        appliance.kill()
        unanswered.exception(60)  # or an answer that was faster than the kill: it makes no difference
        appliance.launch()
        appliance.ready()
        again = appliance.post_sheet(SHEET, key="k")
        assert (again.status_code, again.headers["location"]) == (202, f"{JOBS}/{uid}")
        assert len(appliance.ask("/jobs")["jobs"]) == 1
