"""Start, as somebody uses it who has never heard of an API: drop, look, press; and what is said when that fails."""

from __future__ import annotations

import base64
import contextlib
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.appliance_process import ApplianceProcess, until
from tests.origin import Origin
from tests.origin_nginx import Nginx, needs_nginx
from tests.page.conftest import OpenPage, axe, fits
from tests.places import needs_shared
from tests.story.ledger import CELLS, DISTINCT, SHOP, shop_sheet

NO_ANSWER = "ERR_INTERNET_DISCONNECTED"
REFUSED = "the server responded with a status of"
DROP = """(files) => {
  const carried = new DataTransfer();
  for (const [name, type, data] of files) {
    const bytes = Uint8Array.from(atob(data), (char) => char.charCodeAt(0));
    carried.items.add(new File([bytes], name, { type }));
  }
  for (const kind of ["dragenter", "dragover", "drop"]) {
    const event = new DragEvent(kind, { dataTransfer: carried, bubbles: true, cancelable: true });
    document.querySelector("h1").dispatchEvent(event);
  }
}"""


@pytest.fixture(scope="module")
def shop() -> Iterator[Nginx]:
    with Nginx(SHOP) as nginx:
        yield nginx


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Origin]:
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(3):
        Image.effect_noise((320, 240), 30 + number).convert("RGB").save(folder / f"{number}.jpg", quality=95)
    with Origin(folder) as found:
        yield found


def drop(page: Page, *files: tuple[str, bytes]) -> None:
    """Drop files somewhere on the page."""
    kinds = {".csv": "text/csv", ".jpg": "image/jpeg"}
    carried = [[name, kinds[Path(name).suffix], base64.b64encode(data).decode()] for name, data in files]
    page.evaluate(DROP, carried)


def sheet_of(origin: Origin, column: str = "Images", *, last: str = "") -> bytes:
    rows = "".join(f"{n};Hat {n};{origin.url}/{n}.jpg\r\n" for n in range(3))
    return f"ID;Name;{column}\r\n{rows}{last}".encode()


def compressed(page: Page, appliance: ApplianceProcess) -> dict[str, object]:
    """The job that the button has led to."""
    page.wait_for_url(re.compile(r"/jobs/[0-9a-f-]{36}$"))
    return appliance.job(page.url.rpartition("/")[2])


def ready(page: Page) -> None:
    """Wait until the sheet is checked, a picture is made, and there is an estimate."""
    page.locator("#split-after").wait_for()
    page.locator("#estimate-bar").wait_for()


@needs_shared
@needs_nginx
def test_a_shops_export_is_dropped_looked_at_and_compressed(
    page: Page, appliance: ApplianceProcess, shop: Nginx
) -> None:
    page.goto("/")
    axe(page)
    drop(page, ("export.csv", shop_sheet(shop.url, "--export")))
    ready(page)
    assert page.locator("#ready-title").text_content() == "export.csv"
    assert page.locator("#figures").inner_text().split() == [
        "Rows", "2,038", "Images", f"{CELLS:,}", "Different", str(DISTINCT), "Faults", "none",
    ]  # fmt: skip
    expect(page.locator("thead .is-input")).to_have_text("Imageslinks")
    expect(page.locator("#estimate-words")).to_contain_text(re.compile(r"About \d.* become .* saved · .*s"))
    axe(page)
    told = page.locator("#look-words")
    expect(told).to_contain_text("SSIM")
    before = told.inner_text()
    page.get_by_label("Quality").fill("20")
    expect(told).not_to_have_text(before)
    assert page.locator("#quality-number").text_content() == "20"
    page.get_by_role("button", name=f"Compress {DISTINCT} images").click()
    job = compressed(page, appliance)
    appliance.post(f"/jobs/{job['id']}/cancel")
    assert (job["kind"], job["recipe"]["quality"]) == ("sheet", 20)  # type: ignore[index]


def test_faults_stand_beside_their_cells(open_page: OpenPage, pictures: Origin) -> None:
    page = open_page("/", color_scheme="dark")
    last = "".join(f"{n};Hat;{pictures.url}/0.jpg\r\n" for n in range(3, 60)) + "60;Cup;ftp://x/y\r\n0;Pot;\r\n"
    drop(page, ("faulty.csv", sheet_of(pictures, last=last)))
    expect(page.locator("#ready-trouble")).to_contain_text("2 faults in the sheet")
    expect(page.locator("tr", has_text="ftp://x/y").locator(".is-faulty.is-input")).to_contain_text("cannot be fetched")
    expect(page.locator("#further")).to_contain_text("Row 63, ID: “0” stands in row 2 already")
    expect(page.locator("#go")).to_be_hidden()
    axe(page)
    drop(page, ("note.csv", b"%PDF-1.7"))
    expect(page.locator("#ready-trouble")).to_contain_text("This is a PDF document: save its table as CSV.")
    drop(page, ("faulty.csv", sheet_of(pictures)))
    ready(page)


def test_the_column_of_links_is_chosen(page: Page, appliance: ApplianceProcess, pictures: Origin) -> None:
    page.goto("/")
    drop(page, ("bilder.csv", sheet_of(pictures, "Bild")))
    page.get_by_role("button", name="Bild · 3 rows with links").click()
    ready(page)
    page.reload()
    ready(page)
    assert page.get_by_label("Links are in").input_value() == "#3"
    page.get_by_label("Links are in").select_option("#2")
    expect(page.locator("#ready-trouble")).to_contain_text("3 faults")
    page.get_by_label("Links are in").select_option("#3")
    page.get_by_role("button", name="Compress 3 images").click()
    job = appliance.finished(str(compressed(page, appliance)["id"]), 30)
    assert (job["state"], job["counts"]["done"]) == ("completed", 3)


def test_links_are_pasted_and_compressed_with_the_keyboard_alone(
    page: Page, appliance: ApplianceProcess, pictures: Origin
) -> None:
    page.goto("/")
    page.locator("summary", has_text="Paste links").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.type(f"{pictures.url}/0.jpg\n{pictures.url}/1.jpg")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    ready(page)
    assert page.evaluate("document.activeElement.id") == "ready-title"
    steps = {"split-handle": "ArrowRight", "quality": "ArrowLeft"}
    for _ in range(30):
        page.keyboard.press("Tab")
        here = page.evaluate("document.activeElement.id")
        if here == "compress":
            break
        page.keyboard.press(steps.pop(here, "Shift"))
    assert not steps
    assert page.locator("#split-handle").input_value() == "51"
    page.keyboard.press("Enter")
    job = compressed(page, appliance)
    assert (job["kind"], job["recipe"]["quality"]) == ("images", 49)  # type: ignore[index]


def test_pictures_are_dropped(open_page: OpenPage, appliance: ApplianceProcess, pictures: Origin) -> None:
    page = open_page("/", forgive=REFUSED)
    drop(page, *((f"{n}.jpg", pictures.file(f"/{n}.jpg") or b"") for n in range(2)))
    expect(page.locator("#thumbs img")).to_have_count(2)
    expect(page.locator("#look-words")).to_contain_text("saved")
    page.get_by_role("button", name="The next picture").click()
    expect(page.locator("#look-number")).to_have_text("2 of 2")
    expect(page.locator("#look-words")).to_contain_text("saved")
    axe(page)
    page.locator("#more summary").click()
    page.get_by_label("Name of the job").fill("spring")
    page.get_by_label("Thumbnails").fill("huge")
    page.get_by_role("button", name="Compress 2 images").click()
    expect(page.locator("#wrong-thumbnails")).to_contain_text("Must be WxH")
    page.get_by_label("Thumbnails").fill("50x50")
    page.get_by_role("button", name="Compress 2 images").click()
    job = appliance.finished(str(compressed(page, appliance)["id"]), 30)
    assert (job["kind"], job["name"], job["counts"]["done"]) == ("images", "spring", 2)


@pytest.mark.parametrize(("width", "theme"), [(360, "dark"), (3840, "light")])
def test_it_fits_and_everybody_can_use_it(open_page: OpenPage, pictures: Origin, width: int, theme: str) -> None:
    page = open_page("/", viewport={"width": width, "height": 800}, color_scheme=theme)
    assert fits(page)
    drop(page, ("a.csv", sheet_of(pictures)))
    ready(page)
    page.locator("#more summary").click()
    assert fits(page)
    axe(page)


def test_without_an_answer_it_waits_and_goes_on(open_page: OpenPage, pictures: Origin) -> None:
    page = open_page("/", forgive=NO_ANSWER)
    page.context.set_offline(True)
    drop(page, ("a.csv", sheet_of(pictures)))
    expect(page.locator("#refused")).to_contain_text("it is sent again as soon as the appliance is back")
    expect(page.locator("#offline")).to_be_visible()
    axe(page)
    page.context.set_offline(False)
    ready(page)


@contextlib.contextmanager
def every_place_taken(appliance: ApplianceProcess) -> Iterator[None]:
    """As many uploads that do not end as may come in at a time."""
    token = (appliance.data_dir / "token").read_text().strip()
    head = f"POST /api/v1/drafts HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
    kind = "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 9999\r\n\r\n--b\r\n"
    with contextlib.ExitStack() as stack:
        for _ in range(8):
            line = stack.enter_context(socket.create_connection(("127.0.0.1", appliance.port), timeout=60))
            line.sendall((head + kind).encode())
        until(lambda: "max_uploads" in appliance.get("/readyz").text, 10, "every place is taken")
        yield


def test_where_there_is_no_room_it_can_be_tried_again(
    open_page: OpenPage, appliance: ApplianceProcess, pictures: Origin
) -> None:
    page = open_page("/", forgive=REFUSED)
    with every_place_taken(appliance):
        drop(page, ("a.csv", sheet_of(pictures)))
        expect(page.locator("#refused-title")).to_have_text("There is no room now")
        expect(page.locator("#refused-detail")).to_contain_text("8 sheets are coming in")
    until(lambda: "max_uploads" not in appliance.get("/readyz").text, 10, "places are free")
    page.get_by_role("button", name="Try again").click()
    ready(page)


def test_what_is_not_taken_says_what_to_do(open_page: OpenPage, appliance: ApplianceProcess, pictures: Origin) -> None:
    page = open_page("/", forgive=REFUSED)
    drop(page, ("a.csv", b"x"), ("b.jpg", b"y"))
    expect(page.locator(".note")).to_contain_text("either a sheet or pictures")
    page.evaluate("document.getElementById('start').dataset.sheetBytes = '10'")
    drop(page, ("large.csv", sheet_of(pictures)))
    expect(page.locator("#refused")).to_contain_text("Split it, or ask whoever runs imagemill")
    page.get_by_role("button", name="Begin anew").click()
    page.evaluate("document.getElementById('start').dataset.sheetBytes = '10000'")
    drop(page, ("gone.csv", f"Images\n{pictures.url}/gone.jpg\n".encode()))
    expect(page.locator("#split-word")).to_contain_text("404")
    expect(page.locator("#estimate-words")).to_contain_text("None of 1 pictures tried could be had")
    draft = page.url.partition("draft=")[2]
    assert appliance.delete(f"/drafts/{draft}").status_code == 204
    page.get_by_role("button", name="Compress 1 image").click()
    page.wait_for_url(lambda url: "draft=" in url and draft not in url)
    page.get_by_role("button", name="Begin anew").click()
    expect(page.locator("#begin-title")).to_be_focused()
