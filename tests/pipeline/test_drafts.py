"""Drafts: a sheet is checked and kept for a while, for its owner alone, and becomes a job without being sent again."""

from __future__ import annotations

import msgspec
import pytest

from imagemill.core.errors import NoRoomError, NotFoundError, RequestError
from imagemill.core.job import Submission
from imagemill.core.sheet import Fault, ShownRow
from imagemill.pipeline import Draft
from imagemill.settings import DraftSettings
from tests.pipeline.seams import Mill
from tests.pipeline.test_intake import FAULTY, SHEET, URL

BILD = "Nr;Bild\n1;http://a/1.jpg\n2;http://a/1.jpg\n3;\n"


def checked(mill: Mill, sheet: str, column: str | None = None, owner: str = "shop") -> Draft:
    intake = mill.pipeline.checking()
    intake.feed(sheet.encode())
    return intake.draft(mill.pipeline.drafts, column, owner=owner, filename="spring.csv")


def kept(mill: Mill) -> set[str]:
    return {folder.name for folder in mill.folders.drafts.iterdir()}


def with_settings(mill: Mill, **draft: float) -> None:
    section = msgspec.convert(draft, DraftSettings)
    mill.with_parts(msgspec.structs.replace(mill.parts.settings, draft=section))


def test_a_sheet_is_checked_and_kept(mill: Mill) -> None:
    draft = checked(mill, SHEET)
    assert (draft.kind, draft.filename, draft.bytes, draft.fault_count) == ("sheet", "spring.csv", len(SHEET), 0)
    assert (draft.counts.rows, draft.counts.images, draft.counts.unique) == (3, 3, 2)
    assert sorted(draft.pictures) == ["http://a/1.jpg", "http://a/2.jpg"]
    assert [(column.name, column.role, column.addresses) for column in draft.table.columns] == [
        ("ID", "serial", 0),
        ("Images", "input", 2),
    ]
    assert [(fault.row, fault.code) for fault in draft.warnings] == [(3, "no_images_in_row")]
    assert draft.warning_count == 1
    assert (draft.expires_at.timestamp() - mill.clock(), kept(mill)) == (3600, {draft.id})
    assert (mill.files(), mill.asked, list(mill.folders.sheets.iterdir())) == ([], [], [])


def test_faults_are_told_with_their_rows_and_the_draft_is_kept(mill: Mill) -> None:
    draft = checked(mill, FAULTY)
    assert sorted((fault.row, fault.code) for fault in draft.faults) == [
        (3, "bad_url"),
        (4, "bad_url"),
        (4, "duplicate_serial"),
    ]
    assert draft.table.rows[1] == ShownRow(3, ["2", "ftp://a/2.jpg"])
    assert (draft.counts.images, kept(mill)) == (1, {draft.id})


def test_a_column_is_chosen_afterwards(mill: Mill) -> None:
    draft = checked(mill, BILD)
    assert [fault.code for fault in draft.faults] == ["missing_column"]
    assert [(column.name, column.role, column.addresses) for column in draft.table.columns] == [
        ("Nr", None, 0),
        ("Bild", None, 2),
    ]
    assert draft.pictures == []
    chosen = mill.pipeline.drafts.look(draft.id, "shop", "Bild")
    assert (chosen.id, chosen.fault_count, chosen.counts.unique) == (draft.id, 0, 1)
    assert chosen.table.columns[1].role == "input"
    assert chosen.pictures == ["http://a/1.jpg"]
    assert mill.files() == []
    assert checked(mill, BILD, "#2").fault_count == 0


def test_what_is_no_table_is_told_so(mill: Mill) -> None:
    draft = checked(mill, "%PDF-1.4")
    assert draft.faults == [Fault(1, 1, "", "not_a_table", "this is a PDF document: save its table as CSV")]
    assert (draft.table.columns, draft.table.rows) == ([], [])


def test_a_draft_is_its_owners_alone(mill: Mill) -> None:
    draft = checked(mill, SHEET)
    drafts = mill.pipeline.drafts
    assert drafts.find(draft.id, None).about.owner == "shop"
    for refused in (drafts.look, drafts.find, drafts.delete):
        with pytest.raises(NotFoundError, match="send the sheet again"):
            refused(draft.id, "rival")
    drafts.delete(draft.id, "shop")
    assert kept(mill) == set()
    with pytest.raises(NotFoundError):
        drafts.find(draft.id, "shop")


def test_it_becomes_a_job_and_stays_until_its_end(mill: Mill) -> None:
    """So that a button pressed twice, or an answer that was lost, costs nothing."""
    draft = checked(mill, BILD)
    for _ in range(2):
        intake = mill.pipeline.intake()
        for piece in mill.pipeline.drafts.pieces(mill.pipeline.drafts.find(draft.id, "shop")):
            intake.feed(piece)
        job = intake.accept(Submission(image_column="Bild"), owner="shop", filename=draft.filename).job
        assert job.counts.images == 2
        assert mill.pipeline.input_path(job).read_bytes() == BILD.encode()


def test_pieces_of_one_that_has_gone_meanwhile(mill: Mill) -> None:
    found = mill.pipeline.drafts.find(checked(mill, SHEET).id, "shop")
    mill.pipeline.drafts.delete(found.id, "shop")
    with pytest.raises(NotFoundError):
        list(mill.pipeline.drafts.pieces(found))


def test_images_without_a_sheet_have_no_columns(mill: Mill) -> None:
    intake = mill.pipeline.checking("images")
    intake.feed(b'Input Image Urls\r\n"http://a/1.jpg"\r\n')
    draft = intake.draft(mill.pipeline.drafts, None, owner="shop", filename="")
    assert (draft.kind, draft.counts.images) == ("images", 1)
    with pytest.raises(RequestError):
        mill.pipeline.drafts.look(draft.id, "shop", "#1")


def test_of_many_the_oldest_goes_but_no_other_owners(mill: Mill) -> None:
    with_settings(mill, per_owner=2)
    other = checked(mill, SHEET, owner="rival")
    ids = []
    for _ in range(4):
        mill.clock.now += 1
        ids.append(checked(mill, SHEET).id)
    assert kept(mill) == {other.id, *ids[-2:]}


def test_the_end_comes_some_time_after_the_last_use(mill: Mill) -> None:
    with_settings(mill, keep_s=100)
    used, forgotten = checked(mill, SHEET), checked(mill, SHEET)
    mill.clock.now += 60
    mill.pipeline.drafts.find(used.id, "shop")
    mill.clock.now += 60
    mill.pipeline.recover()
    assert kept(mill) == {used.id}
    assert forgotten.id != used.id


def test_a_draft_outlives_a_restart(mill: Mill) -> None:
    draft = checked(mill, SHEET)
    mill.with_parts()
    mill.pipeline.recover(at_start=True)
    assert mill.pipeline.drafts.look(draft.id, "shop").counts.images == 3


def test_an_estimate_needs_no_second_reading(mill: Mill) -> None:
    draft = checked(mill, mill.sheet(*mill.urls(30), *mill.urls(30)))
    kept = mill.pipeline.drafts.find(draft.id, "shop")
    mill.pipeline.drafts.sheet(kept).unlink()
    found = mill.pipeline.estimate_draft(kept, Submission(), lambda: False)
    assert found is not None
    assert (found.images, found.unique_images, found.sampled, len(draft.pictures)) == (60, 30, 8, 12)
    assert found.bytes_out_estimate
    assert mill.files() == []
    mill.receiver.refused = {URL}
    with pytest.raises(RequestError):
        mill.pipeline.estimate_draft(kept, Submission(callback_url=URL), lambda: False)


def test_what_a_draft_was_not_checked_for_is_not_known(mill: Mill) -> None:
    drafts, other = mill.pipeline.drafts, Submission(image_column="Images")
    good, faulty = (drafts.find(checked(mill, sheet).id, "shop") for sheet in (SHEET, FAULTY))
    assert mill.pipeline.estimate_draft(good, other, lambda: False) is None
    assert mill.pipeline.estimate_draft(faulty, Submission(), lambda: False) is None
    mill.pipeline.look(good.id, "shop", "Images")
    again = drafts.find(good.id, "shop")
    assert mill.pipeline.estimate_draft(again, other, lambda: False) is not None


def test_a_draft_is_checked_again_as_one_of_so_many_uploads(mill: Mill) -> None:
    draft = checked(mill, SHEET)
    mill.with_parts(msgspec.structs.replace(mill.parts.settings, max_uploads=1))
    upload = mill.pipeline.intake()
    with pytest.raises(NoRoomError):
        mill.pipeline.look(draft.id, "shop", None)
    upload.discard()
    assert mill.pipeline.look(draft.id, "shop", None).counts.images == 3


def test_a_draft_that_cannot_be_kept_leaves_nothing(mill: Mill) -> None:
    mill.folders.drafts.rmdir()
    mill.folders.drafts.write_text("no folder")
    with pytest.raises(NotADirectoryError):
        checked(mill, SHEET)
    assert (mill.files(), mill.store.known_drafts()) == ([], set())
