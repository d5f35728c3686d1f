"""The page Jobs as people use it: it is looked for by words and by state, and every state of it has a face."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.appliance_process import ApplianceProcess
from tests.origin import Origin
from tests.page.conftest import OpenPage, Theme, axe, fits


@pytest.fixture(scope="module")
def finished(appliance: ApplianceProcess, origin: Origin) -> str:
    """The name of a job that has ended, with an image that failed."""
    name = "Lamps and <i>lights</i>"
    sheet = f"product;images\r\nLamp;{origin.url}/photo-0.jpg\r\nNone;{origin.url}/missing/a.jpg\r\n"
    appliance.finished(appliance.submit(sheet.encode(), name=name), 60)
    return name


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1440])
def test_everybody_can_use_the_list(open_page: OpenPage, finished: str, theme: Theme, width: int) -> None:
    page = open_page("/jobs", color_scheme=theme, viewport={"width": width, "height": 800})
    expect(page.get_by_role("link", name=finished)).to_be_visible()
    axe(page)
    assert fits(page)


def test_words_are_looked_for_while_they_are_typed(page: Page, finished: str) -> None:
    page.goto("/jobs")
    page.get_by_role("searchbox").focus()
    page.keyboard.type("nothing like it")
    expect(page.get_by_role("heading", name="No such jobs")).to_be_visible()
    expect(page.get_by_role("status")).to_have_text("No such jobs")
    expect(page).to_have_url(re.compile(r"/jobs\?q=nothing\+like\+it$"))
    axe(page)
    page.get_by_role("searchbox").fill("lamps")
    expect(page.locator("#job-list td.job-when time")).to_have_text(re.compile("just now|min ago|today"))
    page.get_by_role("link", name=finished).click()
    page.wait_for_url("**/jobs/*")
    page.go_back()
    expect(page.get_by_role("searchbox")).to_have_value("lamps")


def test_states_are_chosen_by_the_keyboard(page: Page, finished: str) -> None:
    page.goto("/jobs?q=lamps")
    page.get_by_role("link", name="Failed", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="No such jobs")).to_be_visible()
    page.get_by_role("link", name="Show all jobs").press("Enter")
    expect(page.get_by_role("link", name=finished)).to_be_visible()
