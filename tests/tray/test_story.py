"""The desk on a real desktop: X, a session bus, Xfce's panel, a daemon for notifications, and the appliance.

One story, in the order of the tests: `spring.csv` has pictures that never come, so it stays at 70 % until the end.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess

import httpx
import pytest

from tests.appliance_process import SOURCE, needs_proc, session_pids, until
from tests.origin import Origin
from tests.tray.conftest import WAIT_S, Mill
from tests.tray.desktop import needs_desktop, shows

pytestmark = [needs_desktop, needs_proc, pytest.mark.slow]

ICON = (25, 18)
YELLOW, GREEN, GREY, RED = "#ffd166", "#0f5c5c", "#5c6b6b", "#d62839"


@pytest.fixture(scope="module")
def spring(mill: Mill, origin: Origin) -> str:
    """A job that is at work as long as it is wanted."""
    quick = [f"{origin.url}/chunked/{n}.gif" for n in range(7)]
    return mill.submit("spring.csv", [*quick, *(f"{origin.url}/silent/{n}" for n in range(3))])


def test_the_page_opens_signed_in(mill: Mill) -> None:
    link = mill.opened(1)
    assert link.startswith(mill.appliance.address)
    with httpx.Client(trust_env=False, follow_redirects=True) as browser:
        assert browser.get(link).is_success
        assert browser.cookies
        assert browser.get(f"{mill.appliance.address}/").is_success
    assert httpx.get(link, trust_env=False).is_client_error, "it works once"
    mill.says("nothing to do")


def test_the_icon_and_its_menu_show_how_far_it_is(mill: Mill, spring: str) -> None:
    mill.says("1 job, 70 %")
    until(lambda: mill.desktop.line("spring.csv: 70 %"), WAIT_S, "the job has a line")
    until(lambda: shows(mill.desktop.picture("working"), ICON, YELLOW, GREEN), WAIT_S, "the ring is seen")
    mill.desktop.choose("spring.csv")
    assert mill.opened(2).endswith(f"next=/jobs/{spring}")


def test_the_mouse_pauses_it(mill: Mill, spring: str) -> None:
    """By the panel's own menu: the right button, then Open, Add, the job, Pause."""
    mill.desktop.click(*ICON, button=3)
    until(lambda: len(mill.desktop.windows()) > 1, WAIT_S, "the menu is open")
    until(lambda: mill.desktop.picture("menu") == mill.desktop.picture("menu"), WAIT_S, "all of it is drawn")
    mill.desktop.run("xdotool", "key", *["Down"] * 4, "Return")
    mill.says("paused")
    assert mill.ask("GET", "/system").json()["paused_at"]
    until(lambda: shows(mill.desktop.picture("paused"), ICON, YELLOW, GREY), WAIT_S, "the pause is seen")
    mill.desktop.choose("Resume")
    mill.says("1 job, 70 %")


def test_the_end_of_a_job_is_told_and_leads_to_it(mill: Mill, origin: Origin) -> None:
    job = mill.submit("autumn.csv", [f"{origin.url}/apple.jpg", f"{origin.url}/missing.jpg"])
    until(lambda: "1" in mill.desktop.run("dunstctl", "count", "displayed"), WAIT_S, "it is told", 0.1)
    mill.desktop.picture("notification")
    mill.desktop.run("dunstctl", "action", "0")
    assert mill.opened(3).endswith(f"next=/jobs/{job}")
    title, body = mill.desktop.notifications()[0]
    assert title == "autumn.csv is done, but not all of it"
    assert re.fullmatch(r"1 picture, [1-9]\d % smaller; 1 picture failed: the report says why", body)


def test_in_a_crowd_no_job_is_lost_from_sight(mill: Mill, origin: Origin) -> None:
    """More jobs than one look asks for: the old one is shown all the same; one that is deleted is missed by nobody."""
    gone = mill.submit("summer.csv", [f"{origin.url}/silent/summer"])
    until(lambda: mill.desktop.line("summer.csv"), WAIT_S, "it is shown")
    for number in range(21):
        mill.submit(f"winter {number}", [f"{origin.url}/apple.jpg"])
    mill.ask("DELETE", f"/jobs/{gone}")
    mill.says("1 job, 70 %")
    assert mill.desktop.line("spring.csv: 70 %")
    assert not mill.desktop.line("summer.csv")
    mill.desktop.notifications()


def test_it_starts_at_login_when_that_is_asked_for(mill: Mill) -> None:
    entry = mill.desktop.folder / "autostart" / "imagemill.desktop"
    line = mill.desktop.line("Start at login")
    assert line is not None
    assert line.is_checked is False
    assert not entry.exists()
    mill.desktop.choose("Start at login")
    until(lambda: entry.exists() and "--at-login" in entry.read_text(), WAIT_S, "the entry is written")
    until(lambda: (found := mill.desktop.line("Start at login")) and found.is_checked, WAIT_S, "it is checked")
    mill.desktop.choose("Start at login")
    until(lambda: not entry.exists(), WAIT_S, "the entry is gone")


def test_a_second_one_opens_the_page_and_is_done(mill: Mill) -> None:
    subprocess.run([SOURCE], env=mill.desktop.environ, timeout=180, check=True)
    assert "/sign-in?code=" in mill.opened(4)
    assert len(mill.desktop.items) == 1


def test_it_is_there_for_the_next_panel(mill: Mill) -> None:
    mill.desktop.end_panel()
    mill.desktop.show_panel()
    until(lambda: mill.desktop.items, WAIT_S, "the next panel has the item")


def test_the_appliance_survives_the_tray(mill: Mill) -> None:
    before = mill.appliance
    mill.process.kill()
    assert mill.ended() == -signal.SIGKILL
    assert session_pids(before.pid)
    mill.start("--at-login")
    until(lambda: mill.desktop.items, WAIT_S, "there is an icon again")
    mill.says("1 job, 70 %")
    assert mill.appliance == before
    assert len(mill.desktop.browsed()) == 4, "a login opens no page"


def test_the_tray_survives_the_appliance(mill: Mill) -> None:
    before = mill.appliance
    os.killpg(before.pid, signal.SIGKILL)
    mill.says("does not answer")
    until(lambda: shows(mill.desktop.picture("problem"), ICON, RED), WAIT_S, "the problem is seen")
    mill.desktop.choose("Start it again")
    mill.says("1 job, 70 %")
    assert mill.appliance.pid != before.pid


def test_it_quits_when_the_work_is_done(mill: Mill, origin: Origin) -> None:
    appliance = mill.appliance
    mill.desktop.choose("When the work is done")
    mill.says("then quits")
    assert mill.process.poll() is None
    origin.closing.set()
    assert mill.ended() == 0
    until(lambda: not session_pids(appliance.pid), WAIT_S, "the appliance has ended too")
