"""The menu as data: what it offers when, and that every act of it has somebody who does it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from imagemill.tray.menu import JOBS_SHOWN, Act, Item, face_of, find, menu_of
from imagemill.tray.view import Mood, View
from tests.tray.views import IDLE, LOST, PAUSED, STARTING, UNWELL, job, system, view

VIEWS = [IDLE, STARTING, LOST, PAUSED, UNWELL, view(), view(is_leaving=True), view(is_ours=False)]


def every(menu: tuple[Item, ...]) -> Iterator[Item]:
    for item in menu:
        yield item
        yield from every(item.items)


def labels(known: View) -> list[str]:
    return [item.label for item in every(menu_of(known)) if item.label and item.is_enabled]


def test_at_rest() -> None:
    assert labels(IDLE) == [
        "Open imagemill",
        "Add a sheet…",
        "Pause",
        "Open the folder of pictures",
        "Start at login",
        "About",
        "Quit",
    ]


def test_at_work_it_shows_jobs_and_offers_to_finish_first() -> None:
    jobs = tuple(job(n) for n in range(7))
    known = view(jobs=jobs, system=system(unfinished_jobs=9))
    shown = [item for item in menu_of(known) if item.act is Act.SHOW_JOB]
    assert [item.argument for item in shown] == [each.id for each in jobs[:JOBS_SHOWN]]
    assert shown[0].label == "sheet 0: 70 %, 2 min left"
    assert any(item.label == "and 4 jobs more" for item in menu_of(known))
    assert labels(known)[-3:] == ["Quit", "When the work is done", "Now: the rest is done next time"]


def test_while_it_is_to_quit_after_the_work_that_can_be_taken_back() -> None:
    known = view(is_leaving=True)
    assert "Do not quit when the work is done" in labels(known)
    assert "When the work is done" not in labels(known)


def test_what_was_started_elsewhere_is_not_stopped() -> None:
    assert labels(view(is_ours=False))[-1] == "Close this icon; imagemill goes on"


@pytest.mark.parametrize(("known", "offers"), [(PAUSED, "Resume"), (LOST, "Start it again")])
def test_there_is_a_way_on(known: View, offers: str) -> None:
    assert offers in labels(known)
    assert "Pause" not in labels(known)
    assert labels(known)[-1] == "Quit"


def test_nothing_is_asked_of_one_that_does_not_answer() -> None:
    assert {"Open imagemill", "Add a sheet…", "Start it again"}.isdisjoint(labels(STARTING))


def test_the_box_at_login_is_as_it_is() -> None:
    for is_on in (False, True):
        login = find(menu_of(view(starts_at_login=is_on)), "login")
        assert login is not None
        assert login.is_checked is is_on


def test_pictures_elsewhere_have_no_folder() -> None:
    assert "Open the folder of pictures" not in labels(view(has_folder=False))


def test_about_names_version_engine_address_and_folder() -> None:
    about = find(menu_of(view()), "about")
    assert about is not None
    assert [item.label for item in about.items] == [
        "imagemill 1.2.3",
        "pillow-simd 12.1",
        "http://127.0.0.1:8750",
        "/mill",
    ]
    assert find(menu_of(view(system=system(engine={}))), "engine") == Item(
        key="engine", label="engine: not known yet", is_enabled=False
    )


@pytest.mark.parametrize("known", VIEWS)
def test_every_line_is_its_own(known: View) -> None:
    keys = [item.key for item in every(menu_of(known))]
    assert len(keys) == len(set(keys))
    assert sum(item.is_default for item in every(menu_of(known))) == 1
    for item in every(menu_of(known)):
        assert not (item.act and item.items)
    assert find(menu_of(known), "nothing") is None


def test_the_ring_is_for_work() -> None:
    assert (face_of(view()).mood, face_of(view()).percent) == (Mood.WORKING, 70)
    assert face_of(PAUSED).percent is None
    assert face_of(view()).title == "imagemill: 1 job, 70 %"
