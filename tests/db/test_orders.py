"""Images in the orders worth a look: right, once each, stable from page to page, and by the index alone."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from imagemill.core.errors import RequestError
from imagemill.core.job import ImageOrder
from imagemill.core.keys import image_id, split_image_id
from imagemill.core.states import ImageState
from imagemill.db import Beside, Store
from imagemill.db.orders import SORTINGS
from tests.postgres_server import on_sqlite
from tests.seeds import Seeded, Seeds, done, failed

SSIMS = [0.9, None, 0.7, 0.7, None, 0.99]
OUTPUTS = [400, 900, 100, 100, None, 800]
SORTED = {
    ImageOrder.WORST_SSIM: [3, 4, 1, 6],
    ImageOrder.LEAST_SAVED: [2, 6, 1, 4, 3],
    ImageOrder.LARGEST: [2, 6, 1, 4, 3],
}


@pytest.fixture
def job(store: Store, seeds: Seeds) -> Seeded:
    """Six images, the fifth of them failed; the seventh place has the first image again, and the eighth waits."""
    urls = [f"http://a/{n}.jpg" for n in (1, 2, 3, 4, 5, 6, 1, 8)]
    job = seeds.job([[url] for url in urls])
    claim = seeds.claim(job, 6)
    records = [
        failed(n) if size is None else msgspec.structs.replace(done(claim, n, output_bytes=size), ssim=ssim)
        for n, (size, ssim) in enumerate(zip(OUTPUTS, SSIMS, strict=True), 1)
    ]
    store.record_images(claim, records)
    return job


def places(ids: list[str]) -> list[int]:
    return [(split_image_id(each) or ("", 0))[1] for each in ids]


@pytest.mark.parametrize("order", SORTED)
@pytest.mark.parametrize("limit", [1, 2, 500])
def test_the_order_is_the_same_however_it_is_paged(store: Store, job: Seeded, order: ImageOrder, limit: int) -> None:
    found, cursor = [], None
    while True:
        page, cursor = store.sorted_images(job.uid, order, limit, cursor)
        assert len(page) <= limit
        found += page
        if cursor is None:
            break
    assert places([image.id for image in found]) == SORTED[order]
    assert all(image.outputs for image in found)


def test_a_cursor_stays_right_when_its_image_is_gone(store: Store, job: Seeded) -> None:
    _, cursor = store.sorted_images(job.uid, ImageOrder.LARGEST, 2, None)
    store.drop_image(job.uid, 6)
    page, _ = store.sorted_images(job.uid, ImageOrder.LARGEST, 2, cursor)
    assert places([image.id for image in page]) == [1, 4]


@pytest.mark.parametrize(
    "cursor", ["", "7", "7_", "_7", "a_1", "1e9999_1", "1_12345678901", "--1_1", "1_1;", "1_\u0661", "9" * 40 + "_1"]
)
def test_a_foreign_cursor_is_refused(store: Store, job: Seeded, cursor: str) -> None:
    with pytest.raises(RequestError, match="not one of ours"):
        store.sorted_images(job.uid, ImageOrder.LARGEST, 2, cursor)


@pytest.mark.parametrize("order", SORTED)
def test_one_leads_to_the_next_and_back(store: Store, job: Seeded, order: ImageOrder) -> None:
    for before, after in itertools.pairwise(SORTED[order]):
        assert store.beside(job.uid, before, order).after == image_id(job.uid, after)
        assert store.beside(job.uid, after, order).before == image_id(job.uid, before)
    assert store.beside(job.uid, SORTED[order][0], order).before is None
    assert store.beside(job.uid, SORTED[order][-1], order).after is None
    assert store.beside(job.uid, 5, order) == Beside(None, None)
    assert store.beside(job.uid, 7, order) == store.beside(job.uid, 1, order)


def test_the_sheet_s_order_may_skip_what_did_not_fail(store: Store, seeds: Seeds, job: Seeded) -> None:
    assert store.beside(job.uid, 1, ImageOrder.POSITION) == Beside(None, image_id(job.uid, 2))
    assert store.beside(job.uid, 8, ImageOrder.POSITION) == Beside(image_id(job.uid, 7), None)
    for place, found in ((1, Beside(None, image_id(job.uid, 5))), (8, Beside(image_id(job.uid, 5), None))):
        assert store.beside(job.uid, place, ImageOrder.POSITION, ImageState.FAILED) == found


def test_the_newest_are_those_that_ended_last(store: Store, job: Seeded) -> None:
    assert places([image.id for image in store.newest_images(job.uid, 3)]) == [6, 4, 3]


@pytest.mark.parametrize(
    ("order", "index"),
    [
        (ImageOrder.WORST_SSIM, "image_ssim"),
        *((order, "image_weight") for order in (ImageOrder.LEAST_SAVED, ImageOrder.LARGEST)),
    ],
)
@on_sqlite
def test_nothing_but_the_index_is_read(store: Store, order: ImageOrder, index: str) -> None:
    sorting = SORTINGS[order]
    sql = (
        f"SELECT {sorting.key}, n FROM image WHERE job_id = 1 AND {sorting.condition} ORDER BY {sorting.key}, n LIMIT 9"
    )
    plan = [row[3] for row in store._rows(f"EXPLAIN QUERY PLAN {sql}")]
    assert f"COVERING INDEX {index}" in plan[0]
    assert ("TEMP B-TREE" in plan[-1]) == (order is ImageOrder.LEAST_SAVED)
