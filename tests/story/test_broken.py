"""5 % of the shop's pictures cannot be had: exactly those fail, each by its code, and nothing else moves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import pytest

from tests.appliance_process import needs_proc, run
from tests.origin import Origin
from tests.origin_nginx import Nginx, needs_nginx
from tests.places import needs_shared
from tests.ports import free_port
from tests.story.conftest import IMPATIENT, Shop
from tests.story.ledger import SHOP, mapping, names, pairs

pytestmark = [needs_shared, needs_nginx, needs_proc, pytest.mark.slow]

WAYS = {
    "missing": "http_status",
    "refused": "connect_failed",
    "silent": "timeout",
    "page": "not_an_image",
    "short": "truncated",
    "endless": "too_large",
    "loop": "too_many_redirects",
}
"""How a URL is broken (routes of `tests.origin`, but for `refused`), and the code it must end with."""


@pytest.fixture
def bad_url() -> Iterator[str]:
    with Origin(SHOP) as bad:
        yield bad.url


def broken(sheet: bytes, base: str, bad_url: str) -> tuple[bytes, dict[str, str]]:
    """Break every twentieth picture of the sheet; returns the sheet and the expected codes by URL."""
    urls = sorted(set(re.findall(rf"{base}/[^,\"\r\n]+", sheet.decode())))
    closed = f"http://127.0.0.1:{free_port()}"
    codes: dict[str, str] = {}
    moved: dict[str, str] = {}
    for url, way in zip(urls[::20], cycle(WAYS), strict=False):
        moved[url] = f"{closed if way == 'refused' else bad_url}/{way}/{url.rpartition('/')[2]}"
        codes[moved[url]] = WAYS[way]
    text = re.sub(rf"{base}/[^,\"\r\n]+", lambda found: moved.get(found[0], found[0]), sheet.decode())
    return text.encode(), codes


def assert_only_these_fail(given: bytes, returned: bytes, codes: dict[str, str], shop: Shop) -> None:
    """The broken keep their URL in their place; all others have the output they have in an unbroken sheet."""
    outputs = mapping(pairs(given, returned))
    assert {url for url, output in outputs.items() if url == output} == codes.keys()
    healthy = {url: output for url, output in outputs.items() if url not in codes}
    undisturbed = names(shop.outputs)
    assert names(healthy) == {url: undisturbed[url] for url in healthy}


def test_broken_urls_over_http(shop: Shop, bad_url: str) -> None:
    given, codes = broken(shop.sheet, shop.origin.url, bad_url)
    job = shop.appliance.submit(given)
    finished = shop.appliance.finished(job, 100)
    assert finished["state"] == "partial"
    assert_only_these_fail(given, shop.appliance.output(job), codes, shop)
    failed = shop.appliance.images(job, state="failed")
    assert {image["source_url"]: image["error"]["code"] for image in failed} == codes
    assert finished["counts"]["failed"] == len(failed)


def test_broken_urls_by_run(shop: Shop, origin: Nginx, bad_url: str, tmp_path: Path) -> None:
    given, codes = broken(shop.part, origin.url, bad_url)
    (tmp_path / "shop.csv").write_bytes(given)
    done = run(tmp_path / "shop.csv", tmp_path, IMPATIENT)
    assert done.returncode == 3, done.stderr
    assert_only_these_fail(given, (tmp_path / "out.csv").read_bytes(), codes, shop)
