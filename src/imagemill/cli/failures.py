"""The images that failed, grouped by (code, host): a thousand dead links of one host are one thing to mend."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import msgspec

from imagemill.core.errors import ImageCode
from imagemill.core.job import ErrorInfo, Image
from imagemill.core.states import ImageState

if TYPE_CHECKING:
    from imagemill.db import Store

EXAMPLES: Final = 3
_PAGE: Final = 500

NEXT_STEPS: Final = {
    ImageCode.DNS_FAILED: "no such host: check how it is written, and that this machine has a network",
    ImageCode.CONNECT_FAILED: "nobody answered there: check that the host is up, and try again later",
    ImageCode.TLS_FAILED: "its certificate is not right for it: tell the host's owner, or use http://",
    ImageCode.TIMEOUT: "the host was too slow: try again later, or raise fetch.read_timeout_s or fetch.total_timeout_s",
    ImageCode.HTTP_STATUS: "the host refused: open the URL in a browser and correct it in the sheet",
    ImageCode.TOO_MANY_REDIRECTS: "the host sends us in circles: put the URL where they end into the sheet",
    ImageCode.BLOCKED_ADDRESS: "this is inside your own network: if you trust the sheet, allow the host by fetch.allow",
    ImageCode.TOO_LARGE: "raise fetch.max_bytes if such files are meant",
    ImageCode.TRUNCATED: "the host broke off: try again later",
    ImageCode.NOT_AN_IMAGE: "there is a page or another file: put the URL of the picture itself into the sheet",
    ImageCode.UNSUPPORTED_FORMAT: "save it as JPEG, PNG, WebP, GIF, BMP or TIFF",
    ImageCode.TOO_MANY_PIXELS: "raise image.max_pixels if such pictures are meant",
    ImageCode.DECODE_FAILED: "the file is damaged, or beyond a limit that the message names: export the picture again",
    ImageCode.DECODE_CRASHED: "the file is damaged in a dangerous way: export the picture again",
    ImageCode.DECODE_TIMEOUT: "raise image.timeout_s, or export the picture again",
    ImageCode.STORAGE_FAILED: "make room on the disk of the images folder, and try again",
    ImageCode.CANCELLED: "it was cancelled",
    ImageCode.INTERNAL: "this is our mistake: report it with the log of a run with --debug",
}
"""What a person can do about each code."""


class Example(msgspec.Struct, frozen=True):
    """One failed image: its row as a spreadsheet counts, and which of the row's images it is."""

    row: int
    position: int
    url: str
    message: str


class Group(msgspec.Struct, frozen=True):
    """The failed images of one code at one host."""

    code: str
    host: str
    count: int
    examples: list[Example]
    next_step: str


def failed_images(store: Store, job_id: str) -> Iterator[Image]:
    """Return the failed images of a job in sheet order, page by page."""
    cursor: str | None = None
    while True:
        page, cursor = store.images(job_id, ImageState.FAILED, _PAGE, cursor)
        yield from page
        if cursor is None:
            return


def grouped(images: Iterable[Image], examples: int = EXAMPLES) -> list[Group]:
    """Group failed images, the largest group first; of each the first `examples` in sheet order are kept."""
    counts: dict[tuple[str, str], int] = {}
    kept: dict[tuple[str, str], list[Example]] = {}
    for image in images:
        error = image.error or ErrorInfo(ImageCode.INTERNAL, "no reason was recorded")
        key = (error.code, host_of(image.source_url))
        counts[key] = counts.get(key, 0) + 1
        found = kept.setdefault(key, [])
        if len(found) < examples:
            found.append(Example(image.row, image.position, image.source_url, error.message))
    order = sorted(counts, key=lambda key: (-counts[key], key))
    return [Group(code, host, counts[code, host], kept[code, host], next_step(code)) for code, host in order]


def next_step(code: str) -> str:
    """Return what a person can do about a code."""
    return NEXT_STEPS.get(ImageCode(code), "") if code in set(ImageCode) else ""


def host_of(url: str) -> str:
    """Return the host of a URL, or nothing where it has none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
