"""`make screenshots`: each page in both themes as docs/screenshots/PAGE-THEME.png, from photographs of our own.

A year of jobs is made up; the one that is shown ran for real. Pictures are reduced to 256 colours, to stay small.
"""

from __future__ import annotations

import io
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from imagemill.core.errors import ImageCode
from imagemill.core.job import Submission
from imagemill.db import Claim, Record, Store, open_database
from imagemill.storage import Folders
from tests.appliance_process import ApplianceProcess
from tests.origin import Origin
from tests.page.conftest import CHROMIUM, FLAGS, sign_in_url
from tests.page.photos import photo
from tests.places import ROOT
from tests.seeds import Clock, Seeds, done, failed

PLACE: Final = ROOT / "docs" / "screenshots"
WIDTH, HEIGHT = 1280, 860
PHOTOS: Final = 24
BYTES: Final = 150_000
DAY_S: Final = 86_400
NAMES: Final = ("Spring catalogue", "Kitchen and table", "Garden", "Lamps", "Sale, week 14", "Textiles", "Marketplace")
GOODS: Final = ("Vase", "Bowl", "Bottle", "Lamp", "Box", "Cup")


@dataclass(frozen=True)
class Scene:
    """What is looked at."""

    appliance: ApplianceProcess
    sheet: Path
    job_id: str


def start(page: Page, scene: Scene) -> None:
    page.goto("/")
    page.locator("#choose").set_input_files(scene.sheet)
    page.locator("#ready").wait_for()


def job(page: Page, scene: Scene) -> None:
    page.goto(f"/jobs/{scene.job_id}")


def compare(page: Page, scene: Scene) -> None:
    page.goto(f"/jobs/{scene.job_id}/images/{scene.appliance.images(scene.job_id)[0]['id']}")


def jobs(page: Page, scene: Scene) -> None:
    page.goto("/jobs")


def system(page: Page, scene: Scene) -> None:
    page.goto("/system")


SHOTS: Final[tuple[Callable[[Page, Scene], None], ...]] = (start, job, compare, jobs, system)


def main() -> None:
    PLACE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        scene = stack.enter_context(_scene(Path(folder)))
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for theme in ("light", "dark"):
            _shoot(browser, scene, theme)
        browser.close()


def _shoot(browser: Browser, scene: Scene, theme: str) -> None:
    viewport = {"width": WIDTH, "height": HEIGHT}
    context = browser.new_context(base_url=scene.appliance.url, viewport=viewport, color_scheme=theme)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(sign_in_url(scene.appliance))
    for shot in SHOTS:
        shot(page, scene)
        page.wait_for_load_state("networkidle") if shot in {start, compare} else page.wait_for_load_state()
        page.wait_for_timeout(1500)
        place = PLACE / f"{shot.__name__}-{theme}.png"
        place.write_bytes(_small(page.screenshot()))
        print(f"{place.relative_to(ROOT)}: {place.stat().st_size:,} bytes")
        assert place.stat().st_size <= BYTES
    context.close()


def _small(picture: bytes) -> bytes:
    out = io.BytesIO()
    full = Image.open(io.BytesIO(picture)).convert("RGB")
    full.quantize(256, kmeans=2, dither=Image.Dither.NONE).save(out, "png", optimize=True)
    return out.getvalue()


@contextmanager
def _scene(folder: Path) -> Iterator[Scene]:
    """A year of jobs, and one that ran: of photographs, one of which is missing."""
    data, pictures, sheet = folder / "data", folder / "pictures", folder / "Summer catalogue.csv"
    pictures.mkdir()
    for number in range(PHOTOS):
        (pictures / _file_name(number)).write_bytes(photo(number))
    _make_history(data)
    with Origin(pictures) as origin, ApplianceProcess(data) as appliance:
        rows = [f"{1000 + n};{GOODS[n % len(GOODS)]} no. {n};{origin.url}/{_file_name(n)}" for n in range(PHOTOS)]
        rows.append(f"1099;Teapot;{origin.url}/missing/teapot.jpg")
        sheet.write_text("\r\n".join(["Serial number;Product;Image URL", *rows, ""]))
        job_id = appliance.submit(sheet.read_bytes(), name="Summer catalogue", keep_original="true")
        appliance.finished(job_id, 120)
        yield Scene(appliance, sheet, job_id)


def _file_name(number: int) -> str:
    return f"{GOODS[number % len(GOODS)].lower()}-{number}.jpg"


def _make_history(data: Path) -> None:
    dice, now, folders = random.Random(7), time.time(), Folders(data)
    folders.make()
    clock = Clock(now)
    store = Store(open_database(folders.database), clock)
    seeds = Seeds(store, folders.spool, clock)
    for number, age in enumerate(sorted((dice.uniform(0.1, 330) for _ in range(40)), reverse=True)):
        clock.now = now - age * DAY_S
        images = dice.randint(3, 30)
        asked = Submission(name=f"{dice.choice(NAMES)} {number + 1}")
        claim = seeds.claim(seeds.job([[f"http://shop.example/{number}/{n}.jpg"] for n in range(images)], asked))
        size = dice.randint(2_000_000, 60_000_000)
        records = [_record(dice, size, claim, image.n) for image in claim.images]
        clock.now += dice.uniform(3, 60)
        store.record_images(claim, records)
        _keep(folders, records)
    store.close()
    shutil.rmtree(folders.spool)


def _record(dice: random.Random, size: int, claim: Claim, n: int) -> Record:
    """Return what became of an image: now and then one failed."""
    if dice.random() < 0.02:
        return failed(n, ImageCode.HTTP_STATUS)
    return done(claim, n, made_of=f"{claim.job_id} {n}", size=size, output_bytes=round(size * dice.uniform(0.2, 0.6)))


def _keep(folders: Folders, records: list[Record]) -> None:
    """Put files where the outputs would be: at the start it is looked whether the power took any."""
    for output in (output for record in records for output in record.outputs or ()):
        place = folders.outputs / output.key[:2] / f"{output.key}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()


if __name__ == "__main__":
    main()
