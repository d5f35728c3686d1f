"""The page in a real Chromium, from a real appliance: this for a worker's whole session, the browser for a file.

`page` is signed in. A test fails when the page logs an error, when its script fails, or when anything is asked of
another machine than this one.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect, sync_playwright

from tests.appliance_process import ApplianceProcess
from tests.origin import Origin
from tests.page.photos import photo
from tests.places import ROOT

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or ""
AXE = ROOT / ".venv" / "axe.min.js"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WIDTH, HEIGHT = 1440, 900
PATIENCE_MS = 60_000
PHOTOS = 6
OURS = ("data:", "blob:", "about:")

OpenPage = Callable[..., Page]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without a browser there is nothing to look with."""
    missing = [what for what, is_there in (("Chromium", CHROMIUM), ("axe-core", AXE.is_file())) if not is_there]
    for item in items if missing else ():
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip(reason=f"needs {' and '.join(missing)}: make setup-tests"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Not for longer than a file: Playwright's loop runs in this thread, and others' `asyncio.run` would refuse."""
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Origin]:
    """Where sheets' links lead: `/photo-0.jpg` to `/photo-5.jpg`, and what else an origin may do (tests/origin.py)."""
    folder = tmp_path_factory.mktemp("origin")
    for number in range(PHOTOS):
        (folder / f"photo-{number}.jpg").write_bytes(photo(number, 600))
    with Origin(folder) as found:
        yield found


@pytest.fixture(scope="session")
def appliance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApplianceProcess]:
    with ApplianceProcess(tmp_path_factory.mktemp("page") / "data") as found:
        yield found


@pytest.fixture(scope="module")
def signed_in(browser: Browser, appliance: ApplianceProcess) -> Any:  # noqa: ANN401 - Playwright's own
    """What a browser keeps of having signed in."""
    context = browser.new_context()
    context.new_page().goto(sign_in_url(appliance))
    kept = context.storage_state()
    context.close()
    return kept


def sign_in_url(appliance: ApplianceProcess) -> str:
    return str(appliance.post("/sign-in-links").json()["url"])


class Watched:
    """A page of its own context, and what it did that it should not have done."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.page = context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.faults: list[str] = []
        self._context, self._url = context, url
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.faults.append(f"script: {error}"))
        context.on("request", self._look)

    def _hear(self, said: ConsoleMessage) -> None:
        if said.type == "error":
            self.faults.append(f"console: {said.text}")

    def _look(self, request: Request) -> None:
        if not request.url.startswith((self._url, *OURS)):
            self.faults.append(f"asked elsewhere: {request.url}")

    def close(self) -> None:
        self._context.close()


@pytest.fixture
def open_page(browser: Browser, appliance: ApplianceProcess, signed_in: Any) -> Iterator[OpenPage]:  # noqa: ANN401
    """Return a function that opens a page: options are those of Playwright's contexts, `forgive` what may go wrong."""
    opened: list[tuple[Watched, str]] = []

    def open_one(path: str = "", *, forgive: str = "", **options: Any) -> Page:  # noqa: ANN401
        options = {"viewport": {"width": WIDTH, "height": HEIGHT}, "storage_state": signed_in, **options}
        watched = Watched(browser.new_context(base_url=appliance.url, **options), appliance.url)
        opened.append((watched, forgive))
        if path:
            watched.page.goto(path)
        return watched.page

    yield open_one
    faults = [fault for watched, forgive in opened for fault in watched.faults if not forgive or forgive not in fault]
    for watched, _ in opened:
        watched.close()
    assert not faults, "\n".join(faults)


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    """A page that is signed in, in a window of 1440 × 900."""
    return open_page()


def axe(page: Page) -> None:
    """Fail when somebody cannot use this page as it is now: axe's serious and critical violations."""
    # A policy that forbids inline scripts forbids the tests' too: this runs beside the page's own.
    page.evaluate(AXE.read_text(encoding="utf-8") + "; 0")
    found = page.evaluate("axe.run({resultTypes: ['violations']})")
    grave = [violation for violation in found["violations"] if violation["impact"] in {"serious", "critical"}]
    told = [f"{each['id']}: {each['help']}\n  " + "\n  ".join(map(_place, each["nodes"])) for each in grave]
    assert not told, "\n".join(told)


def _place(node: dict[str, Any]) -> str:
    return f"{node['html'][:160]}  ({node['failureSummary'].splitlines()[-1].strip()})"


def fits(page: Page) -> bool:
    """Say whether nothing of the page sticks out to the side."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


Theme = Literal["light", "dark"]
