"""The page Jobs over HTTP: whose jobs are listed, which, and how it goes on."""

from __future__ import annotations

import contextlib
import html
import re
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from imagemill.settings import Settings
from imagemill.web.jobs import PAGE
from tests.api.conftest import ADMIN, SUBMITTER, Site, running
from tests.web.conftest import browser, link

EVIL = '<script>alert("x")</script>'


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site with two owners' jobs: one has ended, one has failed in part, some wait."""
    with running(tmp_path_factory.mktemp("jobs") / "data", Settings()) as site:
        site.submit(SUBMITTER, name="Spring")
        site.finish()
        site.submit(ADMIN, name="Garden & <b>")
        site.finish(failed=(1,))
        site.submit(SUBMITTER)
        site.submit(ADMIN, name=EVIL)
        yield site


def listed(client: httpx.Client, **query: str) -> list[str]:
    answer = client.get("/jobs/list", params=query)
    assert answer.status_code == 200, answer.text
    return [html.unescape(name) for name in re.findall(r'<a id="job-[^>]+>(.*?)</a>', answer.text)]


def test_all_jobs_are_listed_newest_first_and_nothing_in_a_name_is_markup(shop: Site) -> None:
    with browser(shop, ADMIN) as admin:
        assert listed(admin) == [EVIL, "products.csv", "Garden & <b>", "Spring"]
        assert EVIL not in admin.get("/jobs").text


def test_an_owner_sees_its_own(shop: Site) -> None:
    with browser(shop, SUBMITTER) as owner:
        assert listed(owner) == ["products.csv", "Spring"]
        assert "Garden" not in owner.get("/jobs").text


def test_states_and_words_narrow_the_list(shop: Site) -> None:
    with browser(shop, ADMIN) as admin:
        assert listed(admin, state="completed") == ["Spring"]
        assert listed(admin, state="partial", q=" garden ") == ["Garden & <b>"]
        assert listed(admin, q="shop") == ["products.csv", "Spring"]
        assert listed(admin, q="nothing like it") == []
        assert "Nothing matches" in admin.get("/jobs", params={"q": "nothing like it"}).text
        assert admin.get("/jobs", params={"state": "odd"}).status_code == 422
        assert admin.get("/jobs", params={"cursor": "odd"}).status_code == 422


def test_the_year_is_told_in_words_and_as_a_table(shop: Site) -> None:
    with browser(shop, ADMIN) as admin:
        page = admin.get("/jobs").text
    assert "Saved in a year" in page
    assert "<caption>Saved by month</caption>" in page
    assert "2.0\xa0kB of pictures are" not in page, "two jobs made more of it"


def test_jobs_that_go_on_are_asked_for_again(shop: Site) -> None:
    with browser(shop, ADMIN) as admin:
        assert 'hx-trigger="every 4s"' in admin.get("/jobs").text
        assert 'hx-trigger="every 4s"' not in admin.get("/jobs", params={"state": "completed"}).text


def test_without_jobs_the_page_says_what_to_do(nobody: httpx.Client, site: Site) -> None:
    nobody.get(link(site))
    page = nobody.get("/jobs").text
    assert "No jobs yet" in page
    assert "Saved in a year" not in page


def multiply(site: Site, times: int) -> None:
    """Repeat the newest job's row, ended."""
    kept = "kind, name, owner, priority, submission, fingerprint, filename, sheet_sha256, sheet_rows, places, images"
    with contextlib.closing(sqlite3.connect(site.folders.database)) as database, database:
        database.execute(
            f"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {times})"
            f" INSERT INTO job (uid, created_at, started_at, finished_at, {kept})"
            f" SELECT uid || i, created_at, created_at, created_at, {kept}"
            " FROM n, (SELECT * FROM job ORDER BY id DESC LIMIT 1)"
        )
        database.execute("UPDATE tally SET done = pending, pending = 0, source_bytes = 100, output_bytes = 40")


def test_ten_thousand_jobs_come_page_by_page(tmp_path: Path) -> None:
    with running(tmp_path / "data", Settings()) as site:
        site.submit()
        multiply(site, 10_000)
        with browser(site, ADMIN) as admin:
            began_s = time.monotonic()
            page = admin.get("/jobs").text
            took_s = time.monotonic() - began_s
            following = re.search(r'rel="next" href="([^"]+)"', page)
            assert following
            rest = admin.get(html.unescape(following[1])).text
    print(f"10,001 jobs: the page took {1000 * took_s:.0f} ms")
    assert took_s < 30  # on a machine that others use too
    assert "10,001 jobs" in page
    assert page.count('<a id="job-') == rest.count('<a id="job-') == PAGE
    assert "First page" in rest
