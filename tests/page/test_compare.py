"""The page Compare in a browser: the line and the zoom by mouse and keyboard, and the way through the images."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import FilePayload, Page, expect

from tests.appliance_process import ApplianceProcess
from tests.origin import Origin
from tests.page.conftest import OpenPage, Theme, axe, fits
from tests.page.photos import photo
from tests.story.ledger import sheet

SIDE = 600


@pytest.fixture(scope="module")
def kept(appliance: ApplianceProcess, origin: Origin) -> str:
    """A job of four photographs whose originals are kept, and one that failed."""
    rows = [f"{origin.url}/photo-{n}.jpg" for n in range(4)] + [f"{origin.url}/lost.jpg"]
    job = appliance.submit(sheet(rows), keep_original="true", name="Kept", thumbnails="80x80")
    appliance.finished(job, 60)
    return job


def box(page: Page, selector: str) -> Any:  # noqa: ANN401 - Playwright's own
    return page.locator(selector).bounding_box()


def test_the_line_moves_by_keyboard_and_by_mouse(page: Page, kept: str) -> None:
    page.goto(f"/jobs/{kept}/compare?order=sheet")
    for image in ("#before", "#after"):
        expect(page.locator(image)).to_have_js_property("naturalWidth", SIDE)
    slider = page.get_by_role("slider")
    slider.focus()
    middle = box(page, "#line")["x"]
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    expect(slider).to_have_attribute("aria-valuetext", "60 percent before, 40 percent after")
    assert box(page, "#line")["x"] > middle
    assert page.url.endswith("order=sheet"), "the slider's arrows do not turn the page"
    assert page.locator("#previous").count() == 0
    stage = box(page, "#stage")
    page.mouse.move(box(page, "#line")["x"], stage["y"] + 100)
    page.mouse.down()
    page.mouse.move(stage["x"] + stage["width"] / 2, stage["y"] + 120, steps=3)
    page.mouse.up()
    assert slider.input_value() == "50"
    axe(page)


def test_zoom_shows_each_dot_and_is_moved_about(page: Page, kept: str) -> None:
    page.goto(f"/jobs/{kept}/compare?order=sheet")
    page.get_by_role("button", name="4:1").click()
    assert box(page, "#layers")["width"] == 4 * SIDE
    expect(page.get_by_role("button", name="4:1")).to_have_attribute("aria-pressed", "true")
    line, stage = box(page, "#line")["x"], box(page, "#stage")
    scrolled = page.evaluate("document.getElementById('stage').scrollLeft")
    page.mouse.move(stage["x"] + 80, stage["y"] + 80)
    page.mouse.down()
    page.mouse.move(stage["x"] + 30, stage["y"] + 60, steps=3)
    page.mouse.up()
    assert page.evaluate("document.getElementById('stage').scrollLeft") == scrolled + 50
    assert abs(box(page, "#line")["x"] - line) < 1, "the line stands still"
    page.get_by_role("button", name="1:1").click()
    assert box(page, "#layers")["width"] == SIDE
    page.get_by_role("button", name="Fit").click()
    assert box(page, "#layers")["height"] <= box(page, "#stage")["height"]


def test_the_arrow_keys_lead_through_an_order(page: Page, kept: str) -> None:
    page.goto(f"/jobs/{kept}/compare?order=largest")
    sizes = []
    for _ in range(4):
        sizes.append(page.locator(".compare-facts tbody td").nth(1).inner_text())
        is_last = page.locator("#next").count() == 0
        if is_last:
            break
        before = page.url
        page.keyboard.press("ArrowRight")
        page.wait_for_url(lambda url, before=before: url != before)  # type: ignore[misc]
    assert len(sizes) == 4
    assert sizes == sorted(sizes, key=lambda text: -float(text.split()[0]))
    page.keyboard.press("ArrowLeft")
    page.wait_for_url("**order=largest")
    expect(page.locator(".compare-facts tbody td").nth(1)).to_have_text(sizes[2])
    page.get_by_role("link", name="Failed", exact=True).click()
    page.get_by_role("heading", name="Refused by the host").wait_for()
    axe(page)


def test_without_the_original_it_says_how_to_keep_it(page: Page, appliance: ApplianceProcess, origin: Origin) -> None:
    job = appliance.submit(sheet([f"{origin.url}/photo-5.jpg"]), quality="44")
    appliance.finished(job, 30)
    page.goto(f"/jobs/{job}/compare?order=sheet")
    page.get_by_role("heading", name="The original was not kept.").wait_for()
    expect(page.locator("#after")).to_have_js_property("naturalWidth", SIDE)
    expect(page.get_by_role("slider")).to_have_count(0)
    page.get_by_role("button", name="2:1").click()
    axe(page)


def test_a_picture_that_was_sent_is_compared_with_itself(page: Page, appliance: ApplianceProcess) -> None:
    page.goto("/jobs")
    picture = FilePayload(name="cup.jpg", mimeType="image/jpeg", buffer=photo(1, SIDE))
    job = page.request.post("/api/v1/images", multipart={"image": picture}, headers={"Origin": appliance.url}).json()
    appliance.finished(job["id"], 30)
    page.goto(f"/jobs/{job['id']}/compare?order=sheet")
    expect(page.locator("#before")).to_have_js_property("naturalWidth", SIDE)
    page.get_by_text("sent to us").wait_for()


def test_an_image_that_is_not_done_appears_by_itself(page: Page, appliance: ApplianceProcess, origin: Origin) -> None:
    appliance.post("/system/pause")
    job = appliance.submit(sheet([f"{origin.url}/photo-4.jpg"]), quality="45")
    page.goto(f"/jobs/{job}/compare?order=sheet")
    page.get_by_role("heading", name="Not done yet").wait_for()
    appliance.post("/system/resume")
    page.locator("#after").wait_for()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_fits_a_telephone_in_both_themes(open_page: OpenPage, kept: str, theme: Theme) -> None:
    page = open_page(
        f"/jobs/{kept}/compare?order=least-saved", viewport={"width": 360, "height": 740}, color_scheme=theme
    )
    expect(page.locator("#before")).to_have_js_property("complete", value=True)
    assert fits(page)
    axe(page)
