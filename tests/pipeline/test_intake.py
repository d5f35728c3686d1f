"""A sheet becomes a job that survives, or leaves nothing."""

from __future__ import annotations

import hashlib

import msgspec
import pytest

from imagemill.core.errors import NoRoomError, NotFoundError, RequestError
from imagemill.core.job import Submission
from imagemill.core.sheet import SheetError
from imagemill.core.states import JobState
from imagemill.db import JobFilter
from imagemill.pipeline import Room, Work
from imagemill.settings import CallbackSettings, SheetSettings
from tests.pipeline.seams import Mill
from tests.postgres_server import on_sqlite

SHEET = 'ID;Images\r\n1;"http://a/1.jpg, http://a/2.jpg"\r\n2;\r\n3;http://a/1.jpg\r\n'
FAULTY = "ID,Images\n1,http://a/1.jpg\n2,ftp://a/2.jpg\n1,C:\\3.jpg\n"
URL = "http://caller/end"


def nothing_is_left(mill: Mill) -> bool:
    jobs, _ = mill.store.jobs(JobFilter(), 10, None)
    return not (jobs or mill.asked or mill.files() or list(mill.folders.sheets.iterdir()))


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_a_sheet_in_pieces_becomes_a_job(mill: Mill, size: int) -> None:
    intake, data = mill.pipeline.intake(), SHEET.encode()
    for start in range(0, len(data), size):
        intake.feed(data[start : start + size])
    accepted = intake.accept(Submission(priority=4, name="spring"), owner="shop", filename="a/b.csv")
    job = accepted.job
    assert (job.state, job.owner, job.name, job.kind) == (JobState.PENDING, "shop", "spring", "sheet")
    assert (job.counts.rows, job.counts.images, job.counts.unique) == (3, 3, 2)
    assert [(fault.row, fault.code) for fault in accepted.warnings] == [(3, "no_images_in_row")]
    assert mill.pipeline.input_path(job).read_bytes() == data
    assert mill.store.sheet_filename(job.id) == "a/b.csv"
    assert mill.asked == [Work(mill.small_id(job), 4)]
    assert mill.files() == []


def test_all_faults_are_listed_and_nothing_is_left(mill: Mill) -> None:
    with pytest.raises(SheetError) as caught:
        mill.accept(FAULTY)
    assert sorted((fault.row, fault.code) for fault in caught.value.faults) == [
        (3, "bad_url"),
        (4, "bad_url"),
        (4, "duplicate_serial"),
    ]
    assert caught.value.total == 3
    assert nothing_is_left(mill)


def test_serials_may_repeat_where_the_settings_say_so(mill: Mill) -> None:
    mill.with_parts(msgspec.structs.replace(mill.parts.settings, sheet=SheetSettings(unique=())))
    assert mill.accept("ID,Images\n1,http://a/1\n1,http://a/2\n").counts.images == 2


def test_a_sheet_that_is_given_up_leaves_nothing(mill: Mill) -> None:
    intake = mill.pipeline.intake()
    intake.feed(SHEET.encode())
    assert mill.files()
    for _ in range(2):
        intake.discard()
    assert nothing_is_left(mill)


def test_no_sheet_is_begun_without_room(mill: Mill) -> None:
    mill.with_parts(room=Room((mill.folders.root,), 1 << 40))
    with pytest.raises(NoRoomError, match="disk_reserve_mb"):
        mill.pipeline.intake()
    assert nothing_is_left(mill)


def test_a_sheet_whose_rows_will_not_fit_is_refused(mill: Mill, monkeypatch: pytest.MonkeyPatch) -> None:
    intake = mill.pipeline.intake()
    intake.feed(SHEET.encode())
    monkeypatch.setattr(intake._reading.staging, "size_bytes", lambda: 1 << 60)
    with pytest.raises(NoRoomError, match="MiB are needed"):
        intake.accept(Submission(), owner="shop", filename="a.csv")
    assert nothing_is_left(mill)


def test_the_disk_is_looked_at_while_a_sheet_comes_in(mill: Mill, monkeypatch: pytest.MonkeyPatch) -> None:
    intake = mill.pipeline.intake()
    intake.feed(SHEET.encode())
    mill.parts.room.note_full()
    with pytest.raises(NoRoomError, match="could not be written"):
        intake.feed(b"4;" + b"x" * (4 << 20))
    intake.discard()
    assert nothing_is_left(mill)


def test_images_that_wait_keep_out_a_new_job_but_not_one_that_goes_on(mill: Mill) -> None:
    job = mill.accept(SHEET)
    mill.with_parts(msgspec.structs.replace(mill.parts.settings, max_open_images=2))
    assert "2 images" in str(mill.pipeline.pressure())
    with pytest.raises(NoRoomError, match="max_open_images is 2"):
        mill.pipeline.intake()
    mill.pipeline.intake(is_new=False).discard()
    mill.work(job)
    assert mill.pipeline.pressure() is None


def test_a_place_is_given_back_however_an_intake_ends(mill: Mill) -> None:
    mill.with_parts(msgspec.structs.replace(mill.parts.settings, max_uploads=1))
    mill.accept(SHEET)
    with pytest.raises(SheetError):
        mill.accept(FAULTY)
    mill.folders.spool.rmdir()
    with pytest.raises(FileNotFoundError):
        mill.pipeline.intake()
    mill.folders.make()
    intake = mill.pipeline.intake()
    assert "max_uploads" in str(mill.pipeline.pressure())
    with pytest.raises(NoRoomError, match="1 sheets"):
        mill.pipeline.intake()
    for _ in range(2):
        intake.discard()
    assert mill.pipeline.pressure() is None


def test_a_callback_that_may_not_be_made_refuses_the_job(mill: Mill) -> None:
    mill.receiver.refused = {URL}
    with pytest.raises(RequestError) as caught:
        mill.accept(SHEET, Submission(callback_url=URL))
    assert caught.value.errors[0][0] == "callback_url"
    assert nothing_is_left(mill)


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ((None, None), ("http://global", "ours")),
        ((URL, None), (URL, "ours")),
        ((URL, "mine"), (URL, "mine")),
        ((None, "mine"), ("http://global", "mine")),
    ],
)
def test_the_callback_is_the_job_s_or_everybody_s(
    mill: Mill, own: tuple[str | None, str | None], expected: tuple[str, str]
) -> None:
    section = CallbackSettings(url="http://global", secret="ours")
    mill.with_parts(msgspec.structs.replace(mill.parts.settings, callback=section))
    job = mill.accept(SHEET, Submission(callback_url=own[0], callback_secret=own[1]))
    kept = mill.store.submission(job.id)
    assert (kept.callback_url, kept.callback_secret) == expected


def test_the_same_sheet_and_wishes_continue_the_job(mill: Mill) -> None:
    first = mill.accept(SHEET)
    mill.asked.clear()
    assert mill.accept(SHEET, again=True).id == first.id
    assert (mill.asked, mill.files()) == ([], [])
    others = [mill.accept(SHEET), mill.accept(SHEET, Submission(name="x"), again=True), mill.accept(SHEET[:-1] + "\n")]
    assert len({first.id, *(job.id for job in others)}) == 4
    assert len(mill.asked) == 3


def test_a_sheet_without_its_job_is_removed_at_the_start(mill: Mill) -> None:
    job = mill.accept(SHEET)
    (mill.folders.sheets / "stray").write_bytes(b"of a crash")
    (mill.folders.spool / "intake-1").mkdir()
    mill.pipeline.recover()
    assert (len(list(mill.folders.sheets.iterdir())), mill.files()) == (2, ["intake-1"])
    mill.pipeline.recover(at_start=True)
    assert [path.name for path in mill.folders.sheets.iterdir()] == [job.id]
    assert mill.files() == []


@on_sqlite
def test_a_sheet_that_is_gone_is_said_to_be(mill: Mill) -> None:
    job = mill.accept(SHEET)
    digest = hashlib.sha256(SHEET.encode()).hexdigest()
    assert mill.store._rows("SELECT sheet_sha256 FROM job") == [(digest,)]
    mill.pipeline.input_path(job).unlink()
    with pytest.raises(NotFoundError):
        mill.pipeline.input_path(job)
