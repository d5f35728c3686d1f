"""A pool child's life: import, lock oneself in, say hello, answer orders until the pipe closes.

This module is the spawn's target and is imported by the parent too, so Pillow is loaded in `main`.
"""

from __future__ import annotations

import errno
import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
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
    from imagemill.imaging import engine, likeness, pixels  # noqa: F401, PLC0415 — Pillow: the parent never loads it

    pixels.set_warnings()
    sandbox.tune_memory()
    sandbox.give_way()
    hello = protocol.encode(protocol.Hello(engine.describe()))
    resident = sandbox.Resident()
    sandbox.enter(config.memory_mb, parent, config.spool)
    try:
        pipe.send_bytes(hello)
        while True:
            order = protocol.decode_order(pipe.recv_bytes())
            follows = any(isinstance(source, int) for source in order.sources)
            pipe.send_bytes(protocol.encode(_answer(order, pipe.recv_bytes() if follows else b"", config, resident)))
    except (EOFError, ConnectionError):
        return


def _answer(order: protocol.Order, data: bytes, config: protocol.Config, resident: sandbox.Resident) -> protocol.Reply:
    results: list[protocol.Compressed | protocol.Failure] = []
    start = 0
    for number, source in enumerate(order.sources):
        sandbox.allow_cpu(config.timeout_s)
        size = source if isinstance(source, int) else 0
        given = data[start : start + size] if isinstance(source, int) else source
        results.append(_result(order, number, given))
        start += size
    return protocol.Reply([_flushed(result) for result in results], resident.bytes())


def _result(order: protocol.Order, number: int, given: bytes | str) -> protocol.Compressed | protocol.Failure:
    result: protocol.Compressed | protocol.Failure
    pixels = _UNKNOWN
    try:
        result = _compressed(order, number, given)
        pixels = result.width * result.height
    except ImageError as error:
        result = _failure(error)
    except MemoryError:
        detail = "decoding needs more memory than image.memory_mb"
        result = protocol.Failure(ImageCode.DECODE_FAILED, detail, transient=False)
    except Exception as error:  # the pool's edge: a fault of ours costs one image and is reported
        detail = f"compressing failed: {type(error).__name__}"
        result = protocol.Failure(ImageCode.INTERNAL, detail, transient=False, cause=traceback.format_exc())
    sandbox.tidy(pixels)
    return result


def _compressed(order: protocol.Order, number: int, given: bytes | str) -> protocol.Compressed:
    from imagemill.imaging import ladder  # noqa: PLC0415 — as above

    source = Path(given).read_bytes() if isinstance(given, str) else given
    result = ladder.compress(source, order.recipe, order.limits)
    places = [protocol.output_path(order.spool, number, output) for output in range(len(result.pieces))]
    try:
        outputs = [_made(piece, place) for piece, place in zip(result.pieces, places, strict=True)]
        ssim = _likeness(order, number, source, result.pieces[0])
    except BaseException:  # all of an image or nothing: what nobody is told of, nobody would remove
        for place in places:
            Path(place).unlink(missing_ok=True)
        raise
    return protocol.Compressed(result.format, result.width, result.height, outputs, ssim)


def _likeness(order: protocol.Order, number: int, source: bytes, main: Piece) -> float | None:
    from imagemill.imaging import likeness  # noqa: PLC0415 — as above

    if main.is_source:
        return 1.0
    return likeness.measured(source, main, order.recipe, order.limits) if number in order.measured else None


def _made(piece: Piece, path: str) -> protocol.Made:
    with _naming_errors():
        _write(path, piece.data)
    return protocol.Made(
        name=piece.name,
        path=path,
        size=len(piece.data),
        format=piece.format,
        width=piece.width,
        height=piece.height,
    )


def _write(path: str, data: bytes) -> None:
    """Write a file, and have the system begin to flush it; `_flushed` waits for its end."""
    with open(path, "xb", opener=_private) as file:
        file.write(data)
        file.flush()
        if hasattr(os, "posix_fadvise"):  # on Linux, begins to write what is dirty
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _flushed(result: protocol.Compressed | protocol.Failure) -> protocol.Compressed | protocol.Failure:
    """Flush what was made of an image.

    At the end of an order, one file after the other: the first takes the others' metadata along. 14-KB files on ext4,
    eight together: 0.17 ms each, of it 0.12 CPU, for 0.28 and 0.16 where each is flushed when it is written.
    """
    if isinstance(result, protocol.Failure):
        return result
    try:
        with _naming_errors():
            for made in result.outputs:
                _flush(made.path)
    except ImageError as error:
        for made in result.outputs:
            Path(made.path).unlink(missing_ok=True)
        return _failure(error)
    return result


def _flush(path: str) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _naming_errors() -> Iterator[None]:
    """Put into our words what the disk refuses."""
    try:
        yield
    except OSError as error:
        cause = errno.errorcode.get(error.errno or 0, "")
        raise ImageError(ImageCode.STORAGE_FAILED, "the output could not be written", cause=cause) from error


def _failure(error: ImageError) -> protocol.Failure:
    return protocol.Failure(error.image_code, error.detail, error.transient, error.cause)
