"""In which order a person goes through a job's images, and what stands before and after one of them."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final

from litestar.params import QueryParameter

from imagemill.core.job import Image, ImageOrder
from imagemill.core.states import ImageState
from imagemill.db import Beside, Store

PAGE: Final = 25
"""Images on one page of the list."""


class Look(StrEnum):
    """What is looked at, in which order; the words stand in addresses."""

    SHEET = "sheet"
    WORST = "worst"
    LEAST_SAVED = "least-saved"
    LARGEST = "largest"
    FAILED = "failed"

    @property
    def label(self) -> str:
        """What people are told."""
        return LABELS[self]

    @property
    def nothing(self) -> str:
        """What people are told where there is nothing to look at."""
        return _NOTHING[self]


LABELS: Final = {
    Look.SHEET: "Sheet order",
    Look.WORST: "Worst-looking",
    Look.LEAST_SAVED: "Least saved",
    Look.LARGEST: "Largest",
    Look.FAILED: "Failed",
}
_NOTHING: Final = {
    Look.SHEET: "This job has no pictures.",
    Look.WORST: "No picture of this job was measured yet: one in twenty is, unless image.ssim_every says otherwise.",
    Look.LEAST_SAVED: "No picture is done yet.",
    Look.LARGEST: "No picture is done yet.",
    Look.FAILED: "No picture has failed.",
}
_ORDERS: Final = {
    Look.WORST: ImageOrder.WORST_SSIM,
    Look.LEAST_SAVED: ImageOrder.LEAST_SAVED,
    Look.LARGEST: ImageOrder.LARGEST,
}

ByLook = Annotated[Look, QueryParameter(name="order", description="What is looked at, in which order.")]


@dataclass(frozen=True)
class Listed:
    """A page of images; `next_cursor` is None on the last one."""

    images: list[Image]
    next_cursor: str | None


def listed(store: Store, uid: str, look: Look, cursor: str | None = None, limit: int = PAGE) -> Listed:
    """Return a page of a job's images."""
    if look in _ORDERS:
        return Listed(*store.sorted_images(uid, _ORDERS[look], limit, cursor))
    return Listed(*store.images(uid, _state(look), limit, cursor))


def beside(store: Store, uid: str, place: int, look: Look) -> Beside:
    """Return what stands before and after an image."""
    return store.beside(uid, place, _ORDERS.get(look, ImageOrder.POSITION), _state(look))


def _state(look: Look) -> ImageState | None:
    return ImageState.FAILED if look is Look.FAILED else None
