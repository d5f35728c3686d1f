"""A file of each format, cut at many lengths: it is truncated, or done, and never anything else."""

from __future__ import annotations

import struct
import tracemalloc
from typing import Any

import pytest

from imagemill.core.errors import ImageCode, ImageError
from imagemill.core.recipe import Recipe
from imagemill.imaging import ends, ladder
from tests.imaging.pictures import LIMITS, noise, photo, written

FILM: dict[str, Any] = {"save_all": True, "append_images": [photo(40, 32).rotate(turn) for turn in (90, 180)]}
FILES = {
    "jpeg": written(photo(40, 32), "jpeg"),
    "jpeg-progressive": written(photo(40, 32), "jpeg", progressive=True),
    "png": written(photo(40, 32), "png"),
    "png-animated": written(photo(40, 32), "png", **FILM),
    "webp": written(photo(40, 32), "webp"),
    "webp-lossless": written(photo(40, 32), "webp", lossless=True),
    "webp-animated": written(photo(40, 32), "webp", **FILM),
    "gif": written(photo(40, 32), "gif"),
    "gif-animated": written(photo(40, 32), "gif", **FILM),
    "bmp": written(photo(40, 32), "bmp"),
    "tiff": written(noise(40, 32), "tiff"),
    "tiff-big": written(noise(40, 32), "tiff", big_tiff=True),
    "tiff-directory-last": written(noise(40, 32), "tiff", compression="tiff_lzw"),
    "tiff-jpeg": written(noise(40, 32), "tiff", compression="jpeg"),
}
HEADS = {"jpeg": 3, "png": 8, "webp": 12, "gif": 6, "bmp": 15, "tiff": 4}
"""So many bytes tell what a file is; fewer are no image."""
NEVER_TAKEN = {"webp", "webp-lossless", "webp-animated", "tiff-directory-last", "tiff-jpeg"}


def outcome(data: bytes, *, accept: bool) -> str:
    try:
        ladder.compress(data, Recipe(accept_truncated=accept), LIMITS)
    except ImageError as error:
        return error.image_code.value
    return "done"


@pytest.mark.parametrize("name", FILES)
def test_what_is_cut_anywhere_is_truncated_or_done(name: str) -> None:
    data, form = FILES[name], name.partition("-")[0]
    mostly = len(data) - 40
    lengths = {mostly, *range(60), *range(60, len(data), len(data) // 60), *range(len(data) - 30, len(data))}
    for accept in (False, True):
        found = {length: outcome(data[:length], accept=accept) for length in sorted(lengths)}
        assert {found[length] for length in range(HEADS[form])} == {"not_an_image"}
        rest = {code for length, code in found.items() if length >= HEADS[form]}
        assert rest <= {"truncated", "done"}
        assert found[mostly] == ("done" if accept and name not in NEVER_TAKEN else "truncated")


@pytest.mark.parametrize("name", FILES)
def test_a_missing_end_is_seen(name: str) -> None:
    data, form = FILES[name], name.partition("-")[0]
    assert not ends.is_cut_short(form, data)
    if form != "bmp":  # Pillow says so of its pixels
        assert ends.is_cut_short(form, data[: len(data) * 2 // 3])


def test_what_is_broken_is_not_truncated() -> None:
    data = bytearray(FILES["tiff"])
    at = data.index(struct.pack("<HHI", 0x103, 3, 1)) + 8
    data[at : at + 2] = b"\x77\x77"  # no such compression
    assert outcome(bytes(data), accept=False) == ImageCode.DECODE_FAILED.value
    assert not ends.is_cut_short("gif", b"GIF89a" + bytes(7) + b"\x21\xfe\x00" * 20_000)


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_directory_may_say_anything(order: str) -> None:
    """It is read without believing what it says of numbers and places."""
    magic = {"<": b"II*\0", ">": b"MM\0*"}[order]
    most = 0xFFFFFFFF
    for tag, kind, count, place in ((273, 4, most, most), (273, 4, 1, most), (256, 3, most, 0), (279, 99, most, 8)):
        head = magic + struct.pack(order + "IHHHII", 8, 1, tag, kind, count, place)
        tracemalloc.start()
        is_cut = ends.is_cut_short("tiff", head + bytes(16))
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
        tracemalloc.stop()
        assert is_cut == (kind != 99 and (count > 1 or tag == 256))
    assert ends.is_cut_short("tiff", b"II+\0" + b"\xff" * 12)
