"""Watching a job: events as they come, resumed where they broke off, ended with the job or the appliance."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import httpx
import pytest

from imagemill.api import events
from imagemill.core.job import Job
from imagemill.db import Store
from tests.api.conftest import READER, SUBMITTER, Site, eventually


class Event(NamedTuple):
    kind: str
    id: str
    data: dict[str, Any]


class Stream:
    """Reads events one by one; `comments` counts the heartbeats that came between them."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self.comments = 0
        self._lines = answer.iter_lines()

    def __iter__(self) -> Iterator[Event]:
        fields: dict[str, str] = {}
        for line in self._lines:
            name, _, value = line.partition(": ")
            if line.startswith(":"):
                self.comments += 1
            elif line:
                fields[name] = value
            elif "event" in fields:
                yield Event(fields["event"], fields["id"], json.loads(fields["data"]))
                fields = {}

    def until(self, kind: str) -> Event:
        """Return the next event of a kind."""
        return next(event for event in self if event.kind == kind)


@contextmanager
def watching(site: Site, job: dict[str, Any], query: str = "", last: str | None = None) -> Iterator[Stream]:
    headers = {"Last-Event-ID": last} if last is not None else {}
    with (
        site.client(SUBMITTER) as client,
        client.stream("GET", f"/api/v1/jobs/{job['id']}/events{query}", headers=headers) as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield Stream(answer)


def test_a_job_is_shown_at_once_as_it_goes_on_and_at_its_end(fresh: Site) -> None:
    job = fresh.submit(SUBMITTER)
    with watching(fresh, job) as stream:
        assert stream.until("progress").data["state"] == "pending"
        fresh.finish(most=1)
        while (counts := stream.until("progress").data["counts"])["done"] == 0:
            assert counts["running"] == 2  # it was looked at between the claim and the record
        assert counts["done"] == 2  # one picture at two places
        fresh.finish(failed=(2,))
        last = stream.until("finished")
        assert (last.data["state"], last.data["links"]["self"]) == ("partial", job["links"]["self"])
        assert list(stream) == []


def test_nothing_new_is_not_told_again(fresh: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "LOOK_S", 0.02)
    monkeypatch.setattr(events, "HEARTBEAT_S", 0.1)
    with watching(fresh, fresh.submit(SUBMITTER)) as stream:
        first = stream.until("progress")
        threshold = 3
        for line in stream._lines:
            stream.comments += line.startswith(":")
            assert not line.startswith("data")
            if stream.comments == threshold:
                break
        assert first.data["state"] == "pending"


def test_images_are_told_as_they_end_and_a_broken_stream_goes_on(fresh: Site) -> None:
    job = fresh.submit(SUBMITTER)
    with watching(fresh, job, "?images=1") as stream:
        stream.until("progress")
        fresh.finish(most=1)
        first = stream.until("image")
        assert (first.data["source_url"], first.data["state"], first.data["row"]) == (
            "http://origin.example/a.jpg",
            "done",
            2,
        )
        assert first.data["outputs"][0]["url"].startswith(f"{fresh.url}/images/")
    fresh.finish(failed=(2,))
    with watching(fresh, job, "?images=1", last=first.id) as stream:
        told = list(stream)
    assert [(event.kind, event.data.get("source_url", "")) for event in told] == [
        ("image", "http://origin.example/b.jpg"),
        ("finished", ""),
    ]
    assert told[0].data["error"]["code"] == "http_status"
    assert int(told[1].id) == int(told[0].id) > int(first.id)


@pytest.mark.parametrize("last", ["0", "junk", "9" * 40, "", "-1"])
def test_a_finished_job_tells_its_end_whatever_came_before(fresh: Site, last: str) -> None:
    job = fresh.submit(SUBMITTER)
    fresh.finish()
    with watching(fresh, job, "?images=1", last=last) as stream:
        kinds = [event.kind for event in stream]
    assert kinds == (["image", "image", "finished"] if last == "0" else ["finished"])


def test_more_images_than_a_page_are_all_told_once(fresh: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_PAGE", 3)
    monkeypatch.setattr(events, "LOOK_S", 0.01)
    sheet = b"images\n" + b"".join(b"http://origin.example/%d.jpg\n" % n for n in range(10))
    job = fresh.submit(SUBMITTER, sheet=sheet)
    fresh.finish()
    with watching(fresh, job, "?images=1", last="0") as stream:
        told = [event.data["source_url"] for event in stream if event.kind == "image"]
    assert told == [f"http://origin.example/{n}.jpg" for n in range(10)]


def test_a_deleted_job_ends_its_stream(fresh: Site) -> None:
    job = fresh.submit(SUBMITTER)
    with watching(fresh, job) as stream:
        stream.until("progress")
        with fresh.client(SUBMITTER) as client:
            assert client.delete(f"/api/v1/jobs/{job['id']}").status_code == 204
        assert [event.kind for event in stream if event.kind == "finished"] == []


def test_a_stopping_appliance_ends_its_streams(fresh: Site) -> None:
    with watching(fresh, fresh.submit(SUBMITTER)) as stream:
        stream.until("progress")
        fresh.closing.set()
        assert list(stream) == []


def test_who_leaves_is_forgotten(fresh: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "LOOK_S", 0.02)
    monkeypatch.setattr(events, "HEARTBEAT_S", 0.05)
    looks: list[str] = []
    seen = fresh.store.job

    def look(_: Store, uid: str, owner: str | None = None) -> Job:
        looks.append(uid)
        return seen(uid, owner)

    monkeypatch.setattr(Store, "job", look)
    with watching(fresh, fresh.submit(SUBMITTER)) as stream:
        stream.until("progress")

    def is_silent() -> bool:
        before = len(looks)
        fresh.closing.wait(0.2)
        return len(looks) == before

    eventually(is_silent)


def test_events_are_for_who_may_see_the_job(fresh: Site) -> None:
    mine, others = fresh.submit(SUBMITTER), fresh.submit()
    with fresh.client(READER) as client:
        assert client.get(f"/api/v1/jobs/{others['id']}/events").status_code == 404
        assert client.get(f"/api/v1/jobs/{mine['id']}/events?images=perhaps").status_code == 422
