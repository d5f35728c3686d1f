"""A job's images by what is worth a look: the worst, the least saved, the largest; and what comes before and after one.

A page begins behind a key and a number, not at an offset: it stays right while images end, and costs what it shows.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from imagemill.core import keys
from imagemill.core.job import Image, ImageOrder
from imagemill.core.states import ImageState
from imagemill.db.jobs import foreign_cursor
from imagemill.db.places import Places

_CURSOR: Final = re.compile(r"(-?\d{1,15}(?:\.\d{1,20})?(?:e-\d{1,3})?)_(\d{1,10})", re.ASCII)


class Sorting(msgspec.Struct, frozen=True):
    """What images are sorted by, whether the greatest comes first, and which have it: words of an index's own."""

    key: str
    is_down: bool
    condition: str


SORTINGS: Final = {
    ImageOrder.WORST_SSIM: Sorting("ssim", is_down=False, condition="ssim IS NOT NULL"),
    # Parts in a million of the source, whole: the same number on every database, and in a cursor.
    ImageOrder.LEAST_SAVED: Sorting(
        "output_bytes * 1000000 / source_bytes", is_down=True, condition="output_bytes IS NOT NULL"
    ),
    ImageOrder.LARGEST: Sorting("output_bytes", is_down=True, condition="output_bytes IS NOT NULL"),
}

Mark = tuple[float, int]
"""Where an image stands in an order: its key and its number."""


class Beside(msgspec.Struct, frozen=True):
    """The ids of the images before and after one; None at an end."""

    before: str | None
    after: str | None


class Orders(Places):
    """Queries about images in an order that is not the sheet's."""

    def sorted_images(
        self, uid: str, order: ImageOrder, limit: int, cursor: str | None
    ) -> tuple[list[Image], str | None]:
        """Return a page of a job's done images, each at its first place, and the cursor of the next."""
        job_id, _ = self._found(uid)
        marks = self._marks(job_id, SORTINGS[order], _mark(cursor) if cursor is not None else None, limit + 1)
        page = self.images_at(uid, [n for _, n in marks[:limit]])
        return page, _cursor(marks[limit - 1]) if len(marks) > limit else None

    def beside(self, uid: str, place: int, order: ImageOrder, state: ImageState | None = None) -> Beside:
        """Return what comes before and after the image at a place: of all, or in the sheet's order of one state."""
        job_id, _ = self._found(uid)
        if order is ImageOrder.POSITION:
            found = [self._next_place(job_id, place, state, forward=forward) for forward in (False, True)]
        else:
            found = [self._next_mark(job_id, place, SORTINGS[order], forward=forward) for forward in (False, True)]
        return Beside(*(keys.image_id(uid, n) if n else None for n in found))

    def _next_place(self, job_id: int, place: int, state: ImageState | None, *, forward: bool) -> int | None:
        table = "place" if state is None else "image"
        condition, params = ("", ()) if state is None else (" AND state = ?", (state.value,))
        sign, direction = (">", "ASC") if forward else ("<", "DESC")
        sql = f"SELECT n FROM {table} WHERE job_id = ?{condition} AND n {sign} ? ORDER BY n {direction} LIMIT 1"
        row = self._row(sql, (job_id, *params, place))
        return row[0] if row else None

    def _next_mark(self, job_id: int, place: int, sorting: Sorting, *, forward: bool) -> int | None:
        row = self._row(
            f"SELECT {sorting.key}, n FROM image WHERE job_id = ? AND {sorting.condition}"
            " AND n = (SELECT image_n FROM place WHERE job_id = ? AND n = ?)",
            (job_id, job_id, place),
        )
        marks = self._marks(job_id, sorting, (row[0], row[1]), 1, forward=forward) if row else []
        return marks[0][1] if marks else None

    def _marks(
        self, job_id: int, sorting: Sorting, after: Mark | None, limit: int, *, forward: bool = True
    ) -> list[Mark]:
        is_down = sorting.is_down == forward
        sign, direction = ("<", "DESC") if is_down else (">", "ASC")
        beyond, params = ("", ()) if after is None else (f" AND ({sorting.key}, n) {sign} (?, ?)", after)
        rows: list[tuple[Any, ...]] = self._rows(
            f"SELECT {sorting.key}, n FROM image WHERE job_id = ? AND {sorting.condition}{beyond}"
            f" ORDER BY {sorting.key} {direction}, n {direction} LIMIT ?",
            (job_id, *params, limit),
        )
        return [(key, n) for key, n in rows]


def _cursor(mark: Mark) -> str:
    return f"{mark[0]!r}_{mark[1]}"


def _mark(cursor: str) -> Mark:
    """Return the key and the number a cursor carries; RequestError when it is not one of ours."""
    match = _CURSOR.fullmatch(cursor)
    if match is None:
        raise foreign_cursor()
    return float(match[1]), int(match[2])
