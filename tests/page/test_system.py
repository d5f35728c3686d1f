"""The page System as people use it: its numbers move, tokens are made and revoked, settings are found."""

from __future__ import annotations

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.appliance_process import ApplianceProcess
from tests.origin import Origin
from tests.page.conftest import OpenPage, Theme, axe, fits


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1440])
def test_everybody_can_use_it(open_page: OpenPage, theme: Theme, width: int) -> None:
    page = open_page("/system", color_scheme=theme, viewport={"width": width, "height": 800})
    axe(page)
    assert fits(page)


def test_a_token_is_made_used_and_revoked(page: Page, appliance: ApplianceProcess) -> None:
    page.goto("/system")
    page.get_by_label("Name", exact=True).fill("page-clerk")
    page.keyboard.press("Enter")
    token = page.locator("#made-token").text_content() or ""
    expect(page.get_by_text("Copy it now").first).to_be_visible()
    axe(page)
    headers = {"Authorization": f"Bearer {token}"}
    assert httpx.get(f"{appliance.url}/api/v1/jobs", headers=headers, trust_env=False).is_success
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Revoke page-clerk").press("Enter")
    expect(page.get_by_text("page-clerk is refused from now on").first).to_be_visible()
    expect(page.locator("#announcements")).to_contain_text("page-clerk is refused from now on")
    expect(page.get_by_role("heading", name="Tokens")).to_be_focused()
    assert httpx.get(f"{appliance.url}/api/v1/jobs", headers=headers, trust_env=False).status_code == 401


def test_a_callback_is_tried(page: Page, origin: Origin) -> None:
    origin.answers["/told"] = b"HTTP/1.1 204 No Content\r\n\r\n"
    page.goto("/system")
    page.get_by_label("Try an address").fill(f"{origin.url}/told")
    page.keyboard.press("Enter")
    expect(page.get_by_text("It answered 204")).to_be_visible()
    axe(page)


def test_settings_are_found_by_what_they_do(page: Page) -> None:
    page.goto("/system")
    page.get_by_label("Search the settings").fill("connections host")
    expect(page.get_by_text("fetch.per_host", exact=True)).to_be_visible()
    expect(page.get_by_text("image.quality", exact=True)).to_be_hidden()
    page.get_by_label("Search the settings").fill("nothing like it")
    expect(page.get_by_text("No such setting.")).to_be_visible()


def test_everything_is_paused_and_resumed(page: Page) -> None:
    page.goto("/system")
    page.get_by_role("button", name="Pause everything").click()
    try:
        expect(page.get_by_role("heading", name="Everything is paused")).to_be_visible()
        expect(page.get_by_role("banner").get_by_text("Paused")).to_be_visible()
        axe(page)
    finally:
        page.get_by_role("button", name="Resume everything").click()
    expect(page.get_by_role("button", name="Pause everything")).to_be_visible()


def test_the_numbers_come_again_by_themselves(page: Page) -> None:
    page.goto("/system")
    with page.expect_response("**/system/now"):
        page.locator("#now").evaluate("(now) => { now.dataset.seen = 'before'; }")
    expect(page.locator("#now:not([data-seen])")).to_be_visible()
