"""A pool child's life: import, lock oneself in, say hello, answer orders until the pipe closes.

This module is the spawn's target and is imported by the parent too, so Pillow is loaded in `main`.
"""

from __future__ import annotations

import errno
import os
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Final

from imagemill.core.errors import ImageCode, ImageError
from imagemill.imaging import protocol, sandbox

if TYPE_CHECKING:
    from imagemill.imaging.ladder import Piece

_UNKNOWN: Final = 1 << 40
"""Pixels of a source that failed: it may have been large, so memory is given back."""


def main(pipe: Connection, config: protocol.Config, parent: int) -> None:
    """Serve one pipe. `parent` is the pool's process id."""
    from imagemill.imaging import engine, ladder, pixels  # noqa: F401, PLC0415 — Pillow: the parent never loads it

    pixels.set_warnings()
    sandbox.tune_memory()
    hello = protocol.encode(protocol.Hello(engine.describe()))
    resident = sandbox.Resident()
    sandbox.enter(config.memory_mb, parent)
    try:
        pipe.send_bytes(hello)
        while True:
            order = protocol.decode_order(pipe.recv_bytes())
            data = pipe.recv_bytes() if order.source is None else None
            sandbox.allow_cpu(config.timeout_s)
            pipe.send_bytes(protocol.encode(_answer(order, data, resident)))
            del data
    except (EOFError, ConnectionError):
        return


def _answer(order: protocol.Order, data: bytes | None, resident: sandbox.Resident) -> protocol.Reply:
    compressed, failure, pixels = None, None, _UNKNOWN
    try:
        compressed = _compressed(order, data)
        pixels = compressed.width * compressed.height
    except ImageError as error:
        failure = protocol.Failure(error.image_code, error.detail, error.transient, error.cause)
    except MemoryError:
        detail = "decoding needs more memory than image.memory_mb"
        failure = protocol.Failure(ImageCode.DECODE_FAILED, detail, transient=False)
    except Exception as error:  # the pool's edge: a fault of ours costs one image and is reported
        detail = f"compressing failed: {type(error).__name__}"
        failure = protocol.Failure(ImageCode.INTERNAL, detail, transient=False, cause=traceback.format_exc())
    sandbox.tidy(pixels)
    return protocol.Reply(compressed, failure, resident.bytes())


def _compressed(order: protocol.Order, data: bytes | None) -> protocol.Compressed:
    from imagemill.imaging import ladder  # noqa: PLC0415 — as above

    source = Path(str(order.source)).read_bytes() if data is None else data
    result = ladder.compress(source, order.recipe, order.limits)
    outputs = [_made(piece, f"{order.spool}-{number}") for number, piece in enumerate(result.pieces)]
    return protocol.Compressed(result.format, result.width, result.height, outputs)


def _made(piece: Piece, path: str) -> protocol.Made:
    try:
        _write(path, piece.data)
    except OSError as error:
        Path(path).unlink(missing_ok=True)
        cause = errno.errorcode.get(error.errno or 0, "")
        raise ImageError(ImageCode.STORAGE_FAILED, "the output could not be written", cause=cause) from error
    return protocol.Made(
        name=piece.name,
        path=path,
        size=len(piece.data),
        format=piece.format,
        width=piece.width,
        height=piece.height,
    )


def _write(path: str, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)
