"""What goes through a child's pipe, as msgpack. Imported on both sides, so nothing here may import PIL.

parent → child: Order, and, where not all of its sources are files, the bytes of the others as the next message.
child → parent: Hello once, then one Reply per Order.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec

from imagemill.core.errors import ImageCode, ImageError
from imagemill.core.recipe import Recipe


class Limits(msgspec.Struct, frozen=True, array_like=True):
    """What one source may be. `max_pixels` counts all frames together; `max_scans` is for JPEG."""

    max_pixels: int
    formats: tuple[str, ...]
    max_scans: int = 64


class Config(msgspec.Struct, frozen=True):
    """What a child is told once, at its start. `memory_mb` is address space above what it has after its imports.

    `spool` is the only folder in which it may open files afterwards; empty, it is not held to one.
    """

    memory_mb: int
    timeout_s: float
    spool: str = ""


class Order(msgspec.Struct, frozen=True, array_like=True):
    """Sources to compress, one after the other. Each is a path, or the size of its part of the bytes that follow.

    `spool` is the stem of the files the child may write: see `output_path`. `measured` are the numbers, from 0, of the
    sources whose outputs are compared with them.
    """

    recipe: Recipe
    sources: list[str | int]
    spool: str
    limits: Limits
    measured: list[int] = []


class Made(msgspec.Struct, frozen=True, array_like=True):
    """One output: a file at `path`, flushed, that now belongs to the caller. `name` is `image` or a thumbnail's name.

    The child writes it, and not who asked: there a dozen threads share one interpreter, and each of the ten system
    calls of a careful write made them queue for it (22 against 8 context switches an image, 630 against 990 images/s).
    """

    name: str
    path: str
    size: int
    format: str
    width: int
    height: int


class Compressed(msgspec.Struct, frozen=True, array_like=True, tag="done"):
    """A compressed source: its format and its sides as displayed (orientation applied), and what was made of it.

    `ssim` is how like it its main output is, where that was measured or nothing was lost.
    """

    format: str
    width: int
    height: int
    outputs: list[Made]
    ssim: float | None = None


class Failure(msgspec.Struct, frozen=True, array_like=True, tag="failed"):
    """An ImageError on its way through the pipe."""

    code: ImageCode
    detail: str
    transient: bool | None = None
    cause: str = ""

    def error(self) -> ImageError:
        """Return the error."""
        return ImageError(self.code, self.detail, transient=self.transient, cause=self.cause)


class Hello(msgspec.Struct, frozen=True, array_like=True):
    """A child's first message: it is ready, and this is its engine (`engine.describe`)."""

    engine: dict[str, str]


class Reply(msgspec.Struct, frozen=True, array_like=True):
    """The answer to an Order: a result for each of its sources. `resident_bytes` is what the child occupies now."""

    results: list[Compressed | Failure]
    resident_bytes: int


def output_path(spool: str, source: int, output: int) -> str:
    """Return where the child writes an output of a source, both counted from 0."""
    return f"{spool}-{source}-{output}"


def remove_leftovers(order: Order) -> None:
    """Remove what a child that was lost has written."""
    for number in range(len(order.sources)):
        for output in range(1 + len(order.recipe.thumbnails)):
            Path(output_path(order.spool, number, output)).unlink(missing_ok=True)


encode: Final = msgspec.msgpack.Encoder().encode
decode_order: Final = msgspec.msgpack.Decoder(Order).decode
decode_reply: Final = msgspec.msgpack.Decoder(Reply).decode
decode_hello: Final = msgspec.msgpack.Decoder(Hello).decode


def check_paths(reply: Reply, order: Order) -> None:
    """Believe a child only about its own files: one taken over by a hostile image must not have us publish others."""
    if len(reply.results) != len(order.sources):
        raise msgspec.ValidationError("not one result for each source")
    for number, result in enumerate(reply.results):
        for output, made in enumerate(result.outputs if isinstance(result, Compressed) else ()):
            # Not by a Path, which would cost more than the look.
            if made.path != output_path(order.spool, number, output) or os.path.islink(made.path):  # noqa: PTH114
                raise msgspec.ValidationError(made.path)
