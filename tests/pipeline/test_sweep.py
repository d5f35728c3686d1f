"""Sweeping: no file without a row, no row without a file, and nothing of what somebody needs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from imagemill.core import keys
from imagemill.core.errors import ImageCode
from imagemill.core.job import Job, Submission
from imagemill.pipeline import Sweep, Work
from imagemill.pipeline import batch as batch_module
from imagemill.pipeline import sweep as module
from tests.pipeline.seams import Mill

KEEP = Submission(keep_original=True)


@pytest.fixture
def swept(mill: Mill) -> Mill:
    mill.with_parts(sweeps=True)
    return mill


def files(mill: Mill) -> list[str]:
    return sorted([*mill.storage.names(), *mill.originals.names()])


def sweep_all(mill: Mill) -> list[object]:
    """Sweep until there is nothing more to do; return what follows."""
    for _ in range(100):
        steps = mill.pipeline.sweep()
        if Sweep() not in steps:
            return [*steps]
    raise AssertionError("no end")


def made(mill: Mill, *urls: str, asked: Submission | None = None) -> Job:
    job = mill.accept(mill.sheet(*urls), asked)
    mill.work(job)
    assert set(mill.states(job)) == {"done"}
    return job


def test_a_deleted_job_takes_its_files_with_it(swept: Mill) -> None:
    first, second = made(swept, "http://a/1", "http://a/2", asked=KEEP), made(swept, "http://a/2", "http://a/3")
    assert len(files(swept)) == 5
    swept.asked.clear()
    swept.pipeline.verbs.delete(first.id)
    assert swept.asked == [Sweep()]
    assert sweep_all(swept) == []
    assert [path.name for path in swept.folders.sheets.iterdir()] == [second.id]
    assert set(files(swept)) == set(swept.store.done_outputs(second.id))
    swept.pipeline.verbs.delete(second.id)
    sweep_all(swept)
    assert files(swept) == []
    assert swept.store._rows("SELECT count(*) FROM source") == [(0,)]


@pytest.mark.parametrize("turn_s", [-1.0, 0.0])
def test_a_sweep_ends_its_turn_and_asks_to_go_on(swept: Mill, monkeypatch: pytest.MonkeyPatch, turn_s: float) -> None:
    job = made(swept, "http://a/1")
    swept.pipeline.verbs.delete(job.id)
    monkeypatch.setattr(module, "TURN_S", turn_s)
    assert swept.pipeline.sweep() == [Sweep()]
    assert swept.store._rows("SELECT count(*) FROM job") == [(1,)]
    swept.parts.stopping.set()
    assert swept.pipeline.sweep() == [Sweep()]


def test_a_run_s_pictures_are_never_swept(mill: Mill) -> None:
    job = made(mill, "http://a/1")
    mill.pipeline.verbs.delete(job.id)
    (mill.folders.outputs / "ff").mkdir()
    (mill.folders.outputs / "ff" / f"{'f' * 40}.jpg").write_bytes(b"of an earlier run")
    for _ in range(3):
        mill.clock.now += 7200
        assert mill.pipeline.sweep() == []
    assert len(files(mill)) == 2


def test_what_is_decided_goes_also_after_a_crash(swept: Mill) -> None:
    job = made(swept, "http://a/1")
    swept.store.delete_job(job.id)
    while swept.store.remove_rows():
        pass
    assert swept.store.doom_leftovers(10)  # and here the power went
    assert len(files(swept)) == 1
    sweep_all(swept)
    assert files(swept) == []
    assert swept.store.going_leftovers() == []
    assert sweep_all(swept) == []


def test_a_storage_that_is_away_puts_the_sweep_off(swept: Mill, caplog: pytest.LogCaptureFixture) -> None:
    job = made(swept, "http://a/1")
    swept.pipeline.verbs.delete(job.id)
    shards = [*swept.folders.outputs.iterdir()]
    swept.folders.outputs.rename(swept.folders.root / "away")
    swept.folders.outputs.write_bytes(b"in the way")
    assert swept.pipeline.sweep() == []
    assert "put off" in caplog.text
    swept.folders.outputs.unlink()
    (swept.folders.root / "away").rename(swept.folders.outputs)
    assert [*swept.folders.outputs.iterdir()] == shards
    sweep_all(swept)
    assert files(swept) == []
    assert swept.store.going_leftovers() == []


def test_a_file_without_a_row_goes_after_an_hour(swept: Mill) -> None:
    job = made(swept, "http://a/1", asked=KEEP)
    kept = files(swept)
    for storage, digits in ((swept.storage, 40), (swept.originals, 64)):
        storage.put(f"{'f' * digits}.jpg", b"of a worker that lost its lease")
    (swept.folders.outputs / "ff" / "notes.txt").write_text("somebody else's")
    swept.clock.now += 60
    assert sweep_all(swept) == []
    swept.clock.now += 3700
    sweep_all(swept)
    assert files(swept) == sorted([*kept, "notes.txt"])
    assert swept.states(job) == ["done"]


def test_a_row_without_a_file_is_made_again(swept: Mill) -> None:
    job = made(swept, "http://a/1", "http://a/2")
    (first, _) = swept.store.done_outputs(job.id)
    swept.storage.delete(first)
    swept.clock.now += 60
    assert sweep_all(swept) == [Work(swept.small_id(job), 0)]
    assert swept.states(job) == ["pending", "done"]
    swept.work(job)
    assert swept.storage.has(first)
    swept.clock.now += 10
    swept.storage.delete(first)
    assert sweep_all(swept) == []  # not looked for again within the minute
    swept.clock.now += 60
    assert sweep_all(swept) != []


def test_the_look_goes_on_where_it_was(swept: Mill, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LOOKS", 2)
    job = made(swept, *(f"http://a/{n}" for n in range(5)))
    names = [*swept.store.done_outputs(job.id)]
    swept.storage.delete(names[4])
    for expected in ([], [], [Work(swept.small_id(job), 0)]):
        swept.clock.now += 60
        assert sweep_all(swept) == expected


def test_what_lies_in_the_spool_for_a_day_goes(swept: Mill) -> None:
    old, new = swept.folders.spool / "made-image-1", swept.folders.spool / "made-image-2"
    for path, age_s in ((old, 90_000), (new, 60)):
        path.write_bytes(b"a child's")
        os.utime(path, (swept.clock.now - age_s,) * 2)
    intake = swept.pipeline.intake()
    sweep_all(swept)
    assert not old.exists()
    assert new.exists()
    intake.discard()


def test_expired_and_old_jobs_are_deleted(swept: Mill) -> None:
    soon = made(swept, "http://a/1", asked=Submission(expires_in_s=100))
    made(swept, "http://a/2")
    swept.clock.now += 101
    sweep_all(swept)
    assert soon.id not in swept.store.known_uids()
    assert len(files(swept)) == 1


def test_sources_are_kept_once_and_only_where_that_was_asked(swept: Mill, tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(b"large" * 9)
    swept.origin.answers["http://a/2"] = [large]
    made(swept, "http://a/1", "http://a/2", asked=KEEP)
    assert sorted(path.read_bytes() for path in swept.folders.sources.rglob("*.jpg")) == [
        b"http://a/1" * 20,
        b"large" * 9,
    ]
    made(swept, "http://a/3")
    assert len([*swept.originals.names()]) == 2


def test_a_source_that_cannot_be_kept_is_tried_again(swept: Mill) -> None:
    swept.folders.sources.rmdir()
    swept.folders.sources.write_bytes(b"in the way")
    job = swept.accept(swept.sheet("http://a/1"), KEEP)
    swept.work(job)
    (image,) = swept.images(job)
    assert image.error is not None
    assert (image.state, image.error.code) == ("pending", ImageCode.STORAGE_FAILED)


@pytest.mark.parametrize("ends", [True, False])
def test_a_file_waits_for_the_removal_of_its_name(swept: Mill, monkeypatch: pytest.MonkeyPatch, ends: bool) -> None:
    gone = made(swept, "http://a/1")
    (name,) = swept.store.done_outputs(gone.id)
    swept.store.delete_job(gone.id)
    while swept.store.remove_rows():
        pass
    doomed = swept.store.doom_leftovers(10)
    assert doomed is not None
    monkeypatch.setattr(batch_module, "_REMOVAL_S", 5.0 if ends else 0.0)
    job = swept.accept(swept.sheet("http://a/1"))

    def look(shelf: str, name: str) -> bool:
        """Stand where a slow storage's answer would come: after the first look."""
        looks.append(name)
        if ends and len(looks) == 2:
            swept.storage.delete(name)
            swept.store.forget_leftovers(doomed)
        return bool(swept.store._rows("SELECT 1 FROM leftover WHERE name = ? AND is_going", (name,)))

    looks: list[str] = []
    monkeypatch.setattr(swept.store, "is_going", look)
    swept.work(job)
    assert swept.states(job) == (["done"] if ends else ["pending"])
    assert swept.storage.has(name)
    assert looks[0] == name == keys.file_name(name[:40], "jpeg")


def test_a_dropped_image_takes_only_what_nobody_else_uses(swept: Mill) -> None:
    job = made(swept, "http://a/1", "http://a/2", asked=KEEP)
    other = made(swept, "http://a/2")
    one, two = swept.images(job)
    before = set(files(swept))
    for image in (one, two):
        swept.pipeline.verbs.drop(image)
        sweep_all(swept)
    gone = before - set(files(swept))
    assert len(gone) == 3  # both kept sources, and the output of the first: the other job has the second's
    assert set(files(swept)) == set(swept.store.done_outputs(other.id))
    assert swept.job(job).state == "failed"
    assert swept.job(job).bytes.source == 0
    swept.pipeline.verbs.retry(job.id)
    swept.work(job)
    assert (swept.states(job), set(files(swept))) == (["done", "done"], before)
