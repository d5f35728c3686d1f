"""The ledger after a run: what was asked for is there, once, in place and whole; and nothing else is."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from typing import Final

from imagemill.core import keys
from tests.appliance_process import ENDED, until
from tests.kill_matrix.stage import FINISH_S, Scene, file_name
from tests.story.ledger import pairs
from tests.story.receiver import assert_signed

EMPTY: Final = {
    "leased images": "SELECT count(*) FROM image WHERE lease IS NOT NULL OR lease_until IS NOT NULL",
    "unfinished images": "SELECT count(*) FROM image WHERE state IN ('pending', 'running')",
    "unfinished jobs": "SELECT count(*) FROM job WHERE finished_at IS NULL",
    "undelivered or leased callbacks": (
        "SELECT count(*) FROM delivery WHERE state != 'delivered' OR lease_until IS NOT NULL"
    ),
    "outputs that no image has": (
        "SELECT count(*) FROM output WHERE NOT EXISTS"
        " (SELECT 1 FROM image WHERE image.source_sha256 = output.source_sha256)"
    ),
    "done images without an output": (
        "SELECT count(*) FROM image WHERE state = 'done' AND NOT EXISTS"
        " (SELECT 1 FROM output WHERE image.output LIKE output.key || '.%')"
    ),
}
"""What the database of an appliance that has stopped must not hold."""


_SOURCES: Final = "SELECT sha256, format FROM source WHERE sha256 IN (SELECT source_sha256 FROM image)"


def complaints(scene: Scene) -> list[str]:
    """Wait for the end of every job, stop the appliance, and return what is wrong."""
    appliance = scene.appliance
    listed = [job["id"] for job in appliance.ask("/jobs", limit=500)["jobs"]]
    for job in listed:
        appliance.finished(job, FINISH_S)
        until(partial(_is_told, scene, job), FINISH_S, "the callback is delivered")
    found = [f"job {job} was answered with 202 and is gone" for job in scene.jobs if job not in listed]
    for job in listed:
        found += [*_of_sheet(scene, job), *_of_callbacks(scene, job)]
    if (status := appliance.stop()) != 0:
        found.append(f"SIGTERM ended with {status}")
    appliance.all_gone()
    return [*found, *_of_databases(scene), *_of_files(scene, set(listed))]


def _is_told(scene: Scene, job: str) -> bool:
    return bool(scene.appliance.job(job)["callback"]["state"] == "delivered")


def _of_sheet(scene: Scene, job: str) -> Iterator[str]:
    """Each cell once, in place: its undisturbed files, byte for byte, or its undisturbed error."""
    appliance, base = scene.appliance, scene.origin.url
    images = appliance.images(job)
    placed = pairs(scene.sheet, appliance.output(job))
    if [image["source_url"] for image in images] != [given for given, _ in placed]:
        yield f"the images of {job} are not those of its sheet"
    checked: set[str] = set()
    for (given, output), image in zip(placed, images, strict=False):
        answer = scene.stage.answers[given.removeprefix(base)]
        error = image["error"] and image["error"]["code"]
        files = {file_name(made["url"]): made["url"] for made in image["outputs"]}
        stands = given if answer.error else next(iter(answer.files))
        if error != answer.error or files.keys() != answer.files.keys() or stands not in {output, file_name(output)}:
            yield f"{given}: {output}, {error}, {sorted(files)}; undisturbed: {answer}"
        for name in files.keys() - checked:
            data = appliance.get(files[name]).content
            if hashlib.sha256(data).hexdigest() != answer.files.get(name):
                yield f"{given}: {name} is not what it is undisturbed ({len(data)} bytes)"
        checked |= files.keys()


def _of_callbacks(scene: Scene, job: str) -> Iterator[str]:
    """At least once, each time with the same id and event."""
    calls = [call for call in scene.receiver.calls if json.loads(call[1])["data"]["job"]["id"] == job]
    told = {(headers["webhook-id"], json.loads(body)["type"]) for headers, body in calls}
    for headers, body in calls:
        assert_signed(headers, body)
    state = scene.appliance.job(job)["state"]
    if {event for _, event in told} != {f"job.{state}"} or len(told) != 1 or state not in ENDED:
        yield f"{state} job {job} was told by {sorted(told)}"


def _of_databases(scene: Scene) -> Iterator[str]:
    for name in ("queue.db",) if scene.stage.postgres else ("imagemill.db", "queue.db"):
        with closing(sqlite3.connect(scene.appliance.data_dir / name)) as database:
            if (answer := database.execute("PRAGMA integrity_check").fetchall()) != [("ok",)]:
                yield f"{name}: {answer}"
    for what, sql in EMPTY.items():
        if (count := scene.ask(sql)) != [("0",)]:
            yield f"{count} {what}"


def _of_files(scene: Scene, jobs: set[str]) -> Iterator[str]:
    """A file for each row, a row for each file."""
    data = scene.appliance.data_dir
    recorded = {keys.file_name(*row) for row in scene.ask("SELECT key, format FROM output")}
    sources = {keys.source_name(*row) for row in scene.ask(_SOURCES)} if scene.keeps_sources else set()
    if scene.s3 is not None and scene.stage.postgres is not None:
        recorded, sources = recorded | sources, set()  # where several machines would find them
    expected = {"outputs": recorded, "spool": set(), "sources/sheets": jobs, "sources/images": sources}
    for folder, names in expected.items():
        files = {path.name for path in (data / folder).rglob("*") if path.is_file()}
        there = scene.stored() if folder == "outputs" else files
        if orphans := there - names:
            yield f"{folder}: nobody's: {sorted(orphans)[:5]} ({len(orphans)})"
        if missing := names - there:
            yield f"{folder}: missing: {sorted(missing)[:5]} ({len(missing)})"
