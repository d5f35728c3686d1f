"""One origin and one finished job of the real shop, which several stories start from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.appliance_process import ApplianceProcess
from tests.origin_nginx import Nginx
from tests.story.ledger import SHOP, head, mapping, names, pairs, shop_sheet

IMPATIENT = {
    "fetch_connect_timeout_s": 4,
    "fetch_read_timeout_s": 4,
    "fetch_total_timeout_s": 12,
    "fetch_max_bytes": 2 << 20,
    "fetch_retries": 1,
    "fetch_retry_base_s": 0.1,
}
"""Limits that a loopback origin keeps easily, on a busy machine too, and a broken one breaks soon."""


class Shop(msgspec.Struct):
    """The shop's job as a customer with a healthy machine sees it; `appliance` still runs."""

    origin: Nginx
    appliance: ApplianceProcess
    sheet: bytes
    job: str
    output: bytes
    fetches: Counter[str]

    @property
    def outputs(self) -> dict[str, str]:
        """The output URL by input URL."""
        return mapping(pairs(self.sheet, self.output))

    @property
    def part(self) -> bytes:
        """The first rows of the sheet, with 263 distinct pictures: for stories that need no more to be true."""
        return head(self.sheet, 800)

    def assert_undisturbed(self, given: bytes, returned: bytes) -> None:
        """Another job's output sheet, of these rows, must name the very files that this job's does."""
        made = names(mapping(pairs(given, returned)))
        undisturbed = names(self.outputs)
        assert made == {url: undisturbed[url] for url in made}


@pytest.fixture(scope="session")
def origin() -> Iterator[Nginx]:
    with Nginx(SHOP) as nginx:
        yield nginx


@pytest.fixture(scope="session")
def shop(origin: Nginx, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    sheet = shop_sheet(origin.url)
    folder: Path = tmp_path_factory.mktemp("shop")
    origin.take_fetches()
    with ApplianceProcess(folder / "data", IMPATIENT) as appliance:
        job = appliance.submit(sheet)
        assert appliance.finished(job, 100)["state"] == "completed"
        yield Shop(origin, appliance, sheet, job, appliance.output(job), origin.take_fetches())
