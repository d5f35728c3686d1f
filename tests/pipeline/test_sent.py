"""Two machines on one database and one storage: each finds what was sent to the other, and forgets it with its job."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from imagemill.core.errors import NotFoundError
from imagemill.core.job import Job, Submission
from imagemill.db import Store
from imagemill.pipeline import Sweep, sweep
from imagemill.pipeline.sent import _COPY_S
from imagemill.settings import Settings
from imagemill.storage import LocalStorage
from tests.pipeline.seams import Mill
from tests.pipeline.test_drafts import BILD, checked
from tests.postgres_server import needs_postgres
from tests.seeds import Clock

pytestmark = needs_postgres


@pytest.fixture
def on() -> str:
    return "postgres"


@pytest.fixture
def other(mill: Mill, store: Store, clock: Clock, tmp_path: Path) -> Mill:
    """Another machine with a data folder of its own, and the first one's storage."""
    other = Mill(tmp_path / "other", store, clock, mill.parts.settings)
    other.with_parts(storage=mill.storage, originals=LocalStorage(mill.folders.sources))
    return other


def files(mill: Mill) -> set[str]:
    folders = (mill.folders.sheets, mill.folders.uploads)
    return {path.name for folder in folders for path in folder.rglob("*") if path.is_file()}


def sent(mill: Mill, *pictures: bytes) -> Job:
    intake = mill.pipeline.image_intake()
    for picture in pictures:
        intake.begin("picture.jpg")
        intake.write(picture)
        intake.end()
    return intake.accept(Submission(), owner="shop", filename="").job


def test_a_sheet_is_given_back_by_a_machine_that_never_saw_it(mill: Mill, other: Mill) -> None:
    job = mill.accept(mill.sheet(*mill.urls(3)))
    other.work(job)
    assert b"".join(other.pipeline.output_sheet(other.job(job))) == b"".join(mill.pipeline.output_sheet(mill.job(job)))
    assert files(other) == {job.id}
    other.store.delete_job(job.id)
    other.with_parts(sweeps=True)
    assert other.pipeline.sweep() == []
    assert files(other) == set()
    assert list(other.store.sent(job.id, "")) == []


def test_a_draft_is_the_same_on_every_server(mill: Mill, other: Mill) -> None:
    draft = checked(mill, BILD)
    chosen = other.pipeline.look(draft.id, "shop", "Bild")
    assert (chosen.bytes, chosen.fault_count, chosen.pictures) == (len(BILD), 0, ["http://a/1.jpg"])
    found = mill.pipeline.drafts.find(draft.id, "shop")
    assert (found.about.column, found.about.pictures) == ("Bild", chosen.pictures)
    assert b"".join(mill.pipeline.drafts.pieces(found)).decode() == BILD
    assert other.pipeline.previews.output(draft.id, 0, Submission().recipe, "shop")[0].source.format == "jpeg"
    other.pipeline.drafts.delete(draft.id, "shop")
    with pytest.raises(NotFoundError):
        mill.pipeline.look(draft.id, "shop", None)
    mill.pipeline.recover()
    assert [list(each.folders.drafts.iterdir()) for each in (mill, other)] == [[], []]
    assert list(mill.store.sent(draft.id, "")) == []


def test_a_drafts_sheet_stays_as_long_as_the_draft(mill: Mill, other: Mill, clock: Clock) -> None:
    draft = checked(mill, BILD)
    for _ in range(3):
        clock.now += 3000
        mill.pipeline.drafts.find(draft.id, "shop")
        mill.pipeline.recover()
    assert other.pipeline.look(draft.id, "shop", "Bild").fault_count == 0
    clock.now += 3601
    other.pipeline.recover()
    mill.pipeline.recover()
    assert [list(each.folders.drafts.iterdir()) for each in (mill, other)] == [[], []]
    assert list(mill.store.sent(draft.id, "")) == []


def test_images_that_were_sent_are_compressed_by_another(mill: Mill, other: Mill) -> None:
    job = sent(mill, b"one" * 50, b"two" * 50)
    other.work(job)
    assert other.states(job) == ["done", "done"]
    image = other.images(job)[0]
    assert other.pipeline.sent_image(image) is not None
    other.pipeline.verbs.drop(image)
    mill_has, other_has = mill.pipeline.sent_image(image), other.pipeline.sent_image(image)
    assert mill_has is not None  # its own copy, until the job goes
    assert other_has is None


def test_a_source_that_is_kept_is_found_by_all(mill: Mill, other: Mill, monkeypatch: pytest.MonkeyPatch) -> None:
    job = mill.accept(mill.sheet("http://a/1.jpg"), Submission(keep_original=True))
    mill.work(job)
    (image,) = other.images(job)
    assert image.source is not None
    monkeypatch.setattr(other.parts.originals, "path", lambda _: None)  # as a storage elsewhere has none
    copy = other.pipeline.original(image.source)
    assert copy is not None
    assert copy.read_bytes() == b"http://a/1.jpg" * 20
    assert other.pipeline.original(type(image.source)(1, "jpeg", 1, 1, "0" * 64)) is None


def test_copies_go_an_hour_later_where_another_machine_has_removed_the_job(mill: Mill, other: Mill) -> None:
    job, kept = mill.accept(mill.sheet(*mill.urls(2))), mill.accept(mill.sheet("http://b/1.jpg"))
    other.pipeline.input_path(job)
    mill.pipeline.verbs.delete(job.id)
    other.pipeline.recover()
    assert files(other) == {job.id}
    for each in other.folders.sheets.iterdir():
        os.utime(each, (0, 0))
    for each in mill.folders.sheets.iterdir():
        os.utime(each, (_COPY_S, _COPY_S))
    other.pipeline.recover()
    mill.pipeline.recover()
    assert (files(other), files(mill)) == (set(), {kept.id})


def test_one_machine_sweeps(mill: Mill, other: Mill, clock: Clock) -> None:
    for each, name in ((mill, "a-"), (other, "b-")):
        each.with_parts(settings=Settings(retention_days=1, disk_reserve_mb=0), sweeps=True)
        each.parts.leases._node = name
    first = mill.accept(mill.sheet("http://a/1.jpg"))
    mill.work(first)
    mill.pipeline.sweep()
    clock.now += 2 * 86_400
    mill.pipeline.sweep()
    assert mill.store.unknown_jobs([first.id]) == {first.id}
    second = mill.accept(mill.sheet("http://a/2.jpg"))
    mill.work(second)
    mill.pipeline.verbs.delete(second.id)
    assert other.pipeline.sweep() == []
    assert mill.store._rows("SELECT count(*) FROM job") == [(1,)]
    clock.now += sweep.ALONE_S + 1
    assert Sweep() not in other.pipeline.sweep()
    assert mill.store._rows("SELECT count(*) FROM job") == [(0,)]
