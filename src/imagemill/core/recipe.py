"""How an image is to be compressed, as one frozen value; and its parsing from form fields."""

from __future__ import annotations

import re
from typing import Annotated, Literal

import msgspec

Quality = Annotated[int, msgspec.Meta(ge=1, le=100)]
Side = Annotated[int, msgspec.Meta(ge=1, le=16384)]
Colour = Annotated[str, msgspec.Meta(pattern=r"^#[0-9a-fA-F]{6}$")]

_SIDE_PATTERN = "([1-9][0-9]{0,3}|1[0-5][0-9]{3}|16[0-2][0-9]{2}|163[0-7][0-9]|1638[0-4])"
THUMBNAIL_PATTERN = f"{_SIDE_PATTERN}x{_SIDE_PATTERN}(:(cover|contain))?"
"""How a thumbnail's size is best written; `thumbnail` forgives case, zeros and spaces."""

_THUMBNAIL = re.compile(r"^([0-9]{1,5})x([0-9]{1,5})(?::(cover|contain))?$")


class Thumbnail(msgspec.Struct, frozen=True):
    """A further output: `cover` fills width × height and crops, `contain` fits inside it."""

    width: Side
    height: Side
    fit: Literal["cover", "contain"] = "cover"

    @property
    def name(self) -> str:
        """The output's name, `thumb-100x100`."""
        suffix = "" if self.fit == "cover" else f"-{self.fit}"
        return f"thumb-{self.width}x{self.height}{suffix}"


class Recipe(msgspec.Struct, frozen=True):
    """Defaults are API.md's. Quality is libjpeg's scale; sizes are pixels; nothing is ever enlarged.

    `accept_truncated`: of a source that lacks its end, what there is becomes the output. Else it fails.
    """

    quality: Quality = 50
    format: Literal["auto", "keep", "jpeg", "png", "webp"] = "auto"
    max_width: Side | None = None
    max_height: Side | None = None
    thumbnails: tuple[Thumbnail, ...] = ()
    metadata: Literal["strip", "copyright", "keep"] = "strip"
    background: Colour = "#ffffff"
    progressive: Literal["auto", "yes", "no"] = "auto"
    accept_truncated: bool = False


def thumbnail(text: str) -> Thumbnail:
    """Parse `WxH[:cover|contain]`; ValueError says what is accepted."""
    match = _THUMBNAIL.match(text.strip().lower())
    if match is None:
        message = f"{text!r} is not a thumbnail size: write WxH, WxH:cover or WxH:contain"
        raise ValueError(message)
    width, height, fit = match.groups()
    return msgspec.convert({"width": int(width), "height": int(height), "fit": fit or "cover"}, Thumbnail)
