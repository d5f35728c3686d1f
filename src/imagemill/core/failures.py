"""Why images of a job failed, grouped by (code, host): a thousand dead links of one host are one thing to mend.

The one place for what a person is told about each code: `run`, the API and the page all read it here.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from imagemill.core.errors import ImageCode, ImageWord
from imagemill.core.job import Count, Uid

CAUSES: Final = {
    ImageCode.DNS_FAILED: "no such host",
    ImageCode.CONNECT_FAILED: "nobody answered",
    ImageCode.TLS_FAILED: "wrong certificate",
    ImageCode.TIMEOUT: "too slow",
    ImageCode.HTTP_STATUS: "refused by the host",
    ImageCode.TOO_MANY_REDIRECTS: "sent in circles",
    ImageCode.BLOCKED_ADDRESS: "inside your network",
    ImageCode.TOO_LARGE: "file too large",
    ImageCode.TRUNCATED: "broken off",
    ImageCode.NOT_AN_IMAGE: "not a picture",
    ImageCode.UNSUPPORTED_FORMAT: "unknown kind of picture",
    ImageCode.TOO_MANY_PIXELS: "too many pixels",
    ImageCode.DECODE_FAILED: "damaged picture",
    ImageCode.DECODE_CRASHED: "dangerously damaged picture",
    ImageCode.DECODE_TIMEOUT: "took too long to open",
    ImageCode.STORAGE_FAILED: "could not be stored",
    ImageCode.CANCELLED: "cancelled",
    ImageCode.INTERNAL: "our mistake",
}
"""Each code in a few words."""

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
    ImageCode.INTERNAL: "this is our mistake: report it with the log, written at log_level = debug",
}
"""What a person can do about each code."""


class Cause(msgspec.Struct, frozen=True):
    """Which failed images are meant: those of a code, of a host, or of both; None is no condition."""

    code: ImageCode | None = None
    host: str | None = None


ALL: Final = Cause()


class Example(msgspec.Struct, frozen=True):
    """One failed image: its row as a spreadsheet counts, and which of the row's images it is."""

    row: Count
    position: Count
    url: str
    message: str
    image_id: Uid


class Group(msgspec.Struct, frozen=True):
    """The failed images of one code at one host, counted by place in the sheet."""

    code: ImageWord
    cause: Annotated[str, msgspec.Meta(description="The code in a few words.")]
    host: Annotated[str, msgspec.Meta(description="With its port, where the sheet writes one.")]
    count: Count
    examples: list[Example]
    next_step: Annotated[str, msgspec.Meta(description="What a person can do about it.")]


class Failures(msgspec.Struct, frozen=True):
    """The groups of a job's failed images, the largest first; `group_count` and `failed` count those not shown too."""

    groups: list[Group]
    group_count: Count
    failed: Count


def cause(code: str) -> str:
    """Return a code in a few words; the code itself where it is of a later version."""
    return CAUSES[ImageCode(code)] if code in set(ImageCode) else code


def next_step(code: str) -> str:
    """Return what a person can do about a code; nothing where it is of a later version."""
    return NEXT_STEPS[ImageCode(code)] if code in set(ImageCode) else ""
