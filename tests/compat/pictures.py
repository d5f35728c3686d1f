"""Small pictures, and what the pool would make of one."""

from __future__ import annotations

import io
from typing import Final

from PIL import Image

from imagemill.core import keys
from imagemill.core.job import Output, Source
from imagemill.core.recipe import Recipe


def drawn(form: str, width: int = 300, height: int = 200) -> bytes:
    """Return a picture in which no two columns are alike."""
    held = io.BytesIO()
    Image.linear_gradient("L").resize((width, height)).convert("RGB").save(held, form)
    return held.getvalue()


PNG: Final = drawn("PNG")
JPEG: Final = drawn("JPEG")
GIF: Final = drawn("GIF")
WEBP: Final = drawn("WEBP")


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def made(fingerprint: str, recipe: Recipe) -> tuple[Source, list[Output]]:
    """Return what is recorded of a PNG and its outputs: the image, and the thumbnail that was asked for."""
    sha256 = "ab" * 32
    names = ["image", *(thumbnail.name for thumbnail in recipe.thumbnails)]
    outputs = [Output(name, keys.output_key(sha256, fingerprint, name), 500, "png", 10, 10) for name in names]
    return Source(1000, "png", 10, 10, sha256), outputs
