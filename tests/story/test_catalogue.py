"""The main job on a real shop's catalogue through both front doors: 3,408 cells, 714 pictures, each fetched once."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.appliance_process import needs_proc, run
from tests.origin_nginx import Nginx, needs_nginx
from tests.places import needs_shared
from tests.story.conftest import Shop
from tests.story.ledger import CELLS, DISTINCT, SHOP, assert_pictures, mapping, pairs, shop_sheet

pytestmark = [needs_shared, needs_nginx, needs_proc, pytest.mark.slow]


def each_once(fetches: Counter[str]) -> bool:
    return len(fetches) == DISTINCT and set(fetches.values()) == {1}


def test_the_shops_catalogue_over_http(shop: Shop) -> None:
    placed = pairs(shop.sheet, shop.output)
    assert len(placed) == CELLS
    assert each_once(shop.fetches)
    assert_pictures(mapping(placed), SHOP)
    counts = shop.appliance.job(shop.job)["counts"]
    assert (counts["images"], counts["unique"], counts["done"]) == (CELLS, DISTINCT, CELLS)


def test_the_shops_whole_export_over_http(shop: Shop) -> None:
    """52 columns, most of them ours to leave alone; equal bytes and recipe give the outputs there already are."""
    shop.origin.take_fetches()
    export = shop_sheet(shop.origin.url, "--export")
    job = shop.appliance.submit(export)
    assert shop.appliance.finished(job, 60)["state"] == "completed"
    placed = pairs(export, shop.appliance.output(job), "Images")
    assert len(placed) == CELLS
    assert each_once(shop.origin.take_fetches())
    assert mapping(placed) == shop.outputs


def test_the_shops_catalogue_by_run(origin: Nginx, tmp_path: Path) -> None:
    for flags, column in (((), "Input Image Urls"), (("--export",), "Images")):
        origin.take_fetches()
        given = tmp_path / "shop.csv"
        given.write_bytes(shop_sheet(origin.url, *flags))
        done = run(given, tmp_path)
        assert done.returncode == 0, done.stderr
        placed = pairs(given.read_bytes(), (tmp_path / "out.csv").read_bytes(), column)
        assert len(placed) == CELLS
        assert each_once(origin.take_fetches())
    assert_pictures(mapping(placed), SHOP)
