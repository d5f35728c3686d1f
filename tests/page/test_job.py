"""The page Job in a browser: a catalogue watched through a reload and a kill, failures, moves, many images."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from imagemill.db import Store, open_database
from tests.appliance_process import ApplianceProcess, needs_proc
from tests.origin import Origin
from tests.origin_nginx import Nginx, needs_nginx
from tests.page.conftest import OpenPage, Theme, axe, fits
from tests.page.photos import photo
from tests.places import needs_shared
from tests.seeds import Clock, Seeds
from tests.story.ledger import SHOP, sheet

MANY = 100_000
SLOW = 2000
"""Images that take a second each, some at a time: a job that is not over before all is tried with it."""
OPENS_MS = 20_000
"""On a machine that others use too."""


@pytest.fixture
def shop() -> Iterator[Nginx]:
    with Nginx(SHOP, logs=False) as found:
        yield found


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    """A page that may be closed upon, as by a kill."""
    return open_page(forgive="net::ERR")


def number(page: Page, field: str) -> int:
    return int(page.locator(f'[data-field="{field}"]').first.inner_text().replace(",", ""))


def has_state(page: Page, word: str) -> None:
    expect(page.locator("#job-state .badge")).to_have_text(word, timeout=60_000)


def answer_with(origin: Origin, path: str, body: bytes) -> None:
    origin.answers[path] = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body


@needs_proc
@needs_nginx
@needs_shared
@pytest.mark.slow
def test_a_catalogue_is_watched_to_its_end(
    page: Page, appliance: ApplianceProcess, shop: Nginx, origin: Origin
) -> None:
    """Reloaded in the middle, the appliance killed in the middle: the page goes on and ends with the truth."""
    pictures = sorted(SHOP.iterdir())[:149]
    late = "/silent/late.jpg"  # so that the middle lasts
    job = appliance.submit(sheet([*(f"{shop.url}/{each.name}" for each in pictures), origin.url + late]), name="Autumn")
    page.goto(f"/jobs/{job}")
    moves = page.locator('[data-field="done"]')
    expect(moves).not_to_have_text("0")
    expect(page.get_by_text("The first pictures will show it")).to_be_hidden()
    page.reload()
    appliance.kill()
    page.get_by_text("The appliance does not answer, trying again").wait_for()
    answer_with(origin, late, photo(7, 300))
    appliance.launch()
    appliance.ready()
    page.get_by_text("The appliance does not answer, trying again").wait_for(state="hidden")
    has_state(page, "Done")
    expect(moves).to_have_text("150")
    told = appliance.job(job)
    assert number(page, "done") == told["counts"]["done"] == 150
    expect(page.locator('[data-field="saved"]')).to_have_text(re.compile(f"{told['bytes']['saved_percent']:.0f}.%"))
    expect(page.locator(".tile img").first).to_have_js_property("complete", value=True)
    assert page.locator(".tile").count() == 16
    for label, name in (
        ("Sheet with links", "output.csv"),
        ("All pictures (ZIP)", "images.zip"),
        ("Report", "report.csv"),
    ):
        with page.expect_download() as download:
            page.get_by_role("link", name=label, exact=True).click()
        assert download.value.suggested_filename.endswith(name)
        assert Path(download.value.path()).stat().st_size > 1_000
    axe(page)


def test_failures_are_grouped_mended_and_tried_again(page: Page, appliance: ApplianceProcess, origin: Origin) -> None:
    rows = [f"{origin.url}/photo-{n}.jpg" for n in range(3)] + [f"{origin.url}/lost-{n}.jpg" for n in range(4)]
    hook = f"{origin.url}/status/204"
    job = appliance.submit(sheet([*rows, f"{origin.url}/page/a.jpg"]), name="Two reasons", callback_url=hook)
    page.goto(f"/jobs/{job}")
    has_state(page, "Done, some failed")
    page.get_by_role("heading", name="5 pictures failed").wait_for()
    group = page.locator(".group").filter(has_text="Refused by the host")
    expect(group).to_contain_text("open the URL in a browser and correct it in the sheet")
    expect(group).to_contain_text("Row 5, lost-0.jpg")
    page.locator("#job-callback").get_by_text("Delivered").wait_for()
    axe(page)
    for n in range(4):
        answer_with(origin, f"/lost-{n}.jpg", photo(n, 300))
    group.get_by_role("button", name="Try again").click()
    page.get_by_role("heading", name="1 picture failed").wait_for()
    has_state(page, "Done, some failed")
    assert number(page, "done") == 7
    page.get_by_role("link", name="Failed", exact=True).click()
    expect(page.locator("#job-images tbody tr")).to_have_count(1)
    page.locator("#job-images tbody a").click()
    page.get_by_role("button", name="Try this one again").wait_for()


def test_the_keyboard_pauses_resumes_cancels_and_deletes(
    page: Page, appliance: ApplianceProcess, origin: Origin
) -> None:
    job = appliance.submit(sheet([f"{origin.url}/slow/1/{n}.jpg" for n in range(SLOW)]), name="By hand")
    page.goto(f"/jobs/{job}")

    def press(name: str) -> None:
        page.get_by_role("button", name=name, exact=True).focus()
        page.keyboard.press("Enter")

    press("Pause")
    page.get_by_text("This job is paused").wait_for()
    press("Resume")
    page.get_by_text("This job is paused").wait_for(state="hidden")
    press("Cancel")
    page.get_by_role("dialog", name="Cancel this job?").wait_for()
    axe(page)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    press("Cancel")
    press("Cancel the job")
    page.get_by_text("This job was cancelled").wait_for()
    has_state(page, "Cancelled")
    press("Delete")
    press("Keep it")
    press("Delete")
    press("Delete for good")
    page.wait_for_url("**/jobs")
    assert appliance.get(f"/api/v1/jobs/{job}").status_code == 404


def test_a_job_that_is_deleted_meanwhile_is_no_outage(
    open_page: OpenPage, appliance: ApplianceProcess, origin: Origin
) -> None:
    page = open_page(forgive="status of 404")
    job = appliance.submit(sheet([f"{origin.url}/slow/1/{n}.jpg" for n in range(SLOW)]))
    page.goto(f"/jobs/{job}")
    page.get_by_role("button", name="Pause").wait_for()
    appliance.delete(f"/jobs/{job}")
    page.get_by_text("There is nothing here").wait_for()


def sleeps(page: Page, *, is_hidden: bool) -> None:
    """Let the page believe that nobody looks at it, or that somebody does again."""
    page.evaluate(
        "(hidden) => { Object.defineProperty(document, 'hidden', {value: hidden, configurable: true});"
        " document.dispatchEvent(new Event('visibilitychange')); }",
        is_hidden,
    )


def test_after_a_sleep_it_is_right_again(page: Page, appliance: ApplianceProcess, origin: Origin) -> None:
    appliance.post("/system/pause")
    job = appliance.submit(sheet([f"{origin.url}/photo-{n}.jpg" for n in range(3)]), quality="46")
    page.goto(f"/jobs/{job}")
    page.get_by_text("All work is paused").wait_for()
    sleeps(page, is_hidden=True)
    appliance.post("/system/resume")
    appliance.finished(job, 60)
    assert page.get_by_text("All work is paused").count() == 1, "it listens to nothing while nobody looks"
    sleeps(page, is_hidden=False)
    has_state(page, "Done")
    expect(page).to_have_title(re.compile("^sheet.csv"))


@pytest.fixture
def many(appliance: ApplianceProcess, tmp_path: Path) -> str:
    """A job of 100,000 images that are done, written beside the appliance into its database."""
    path = appliance.data_dir / "imagemill.db"
    clock = Clock()
    store = Store(open_database(path), clock)
    job = Seeds(store, tmp_path, clock).images(MANY)
    store.pause_job(job.uid)
    store.close()
    with closing(sqlite3.connect(path, timeout=60)) as database, database:
        database.execute(
            "UPDATE image SET state = 'done', revision = n, source_sha256 = 'x', source_bytes = 200000 + n,"
            " output_bytes = 40000 + n % 9973, ssim = CASE WHEN n % 20 = 0 THEN 0.9 + n / 1e6 END WHERE job_id = ?",
            (job.id,),
        )
        database.execute(
            "UPDATE job SET started_at = created_at, finished_at = created_at + 60 WHERE id = ?", (job.id,)
        )
    return job.uid


def test_a_hundred_thousand_images_open_quickly(page: Page, many: str, appliance: ApplianceProcess) -> None:
    page.goto(f"/jobs/{many}")
    timing = page.evaluate("performance.getEntriesByType('navigation')[0].toJSON()")
    print(f"a job of {MANY} images: {timing['responseEnd']:.0f} ms, {timing['decodedBodySize']} bytes")
    assert timing["domInteractive"] < OPENS_MS
    assert timing["decodedBodySize"] < 150_000
    for label in ("Worst-looking", "Least saved", "Largest"):
        page.get_by_role("link", name=label, exact=True).click()
        expect(page.get_by_role("link", name=label, exact=True)).to_have_attribute("aria-current", "true")
        expect(page.locator("#job-images tbody tr")).to_have_count(25)
    page.get_by_role("link", name="Next page").press("Enter")
    page.wait_for_url("**cursor=**")
    assert page.evaluate("document.activeElement.id") == "next-page", "the keyboard stays where it was"
    page.get_by_role("link", name="First page").wait_for()
    appliance.delete(f"/jobs/{many}")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_fits_a_telephone_in_both_themes(
    open_page: OpenPage, appliance: ApplianceProcess, origin: Origin, theme: Theme
) -> None:
    rows = [f"{origin.url}/photo-0.jpg", f"{origin.url}/none.jpg"]
    job = appliance.submit(sheet(rows), callback_url="http://127.0.0.1:9/x", quality="40" if theme == "dark" else "41")
    appliance.finished(job, 30)
    page = open_page(f"/jobs/{job}", viewport={"width": 360, "height": 740}, color_scheme=theme)
    page.get_by_text("What was asked for").click()
    assert fits(page)
    axe(page)
