from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from imagemill.imaging import exif
from tests.imaging.pictures import opened, photo, written


def _block(**tags: Any) -> bytes:  # noqa: ANN401 — as Pillow has it
    block = Image.Exif()
    numbers = {"orientation": 0x0112, "artist": 0x013B, "rights": 0x8298, "software": 0x0131}
    for name, value in tags.items():
        block[numbers[name]] = value
    return block.tobytes()


def test_tags_of_a_block_that_pillow_wrote() -> None:
    block = _block(orientation=6, artist="Ann", rights="(c) 2026 Ann and others", software="x")
    tags = exif.read(block)
    assert tags == exif.Tags(6, b"Ann", b"(c) 2026 Ann and others")


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders(order: str) -> None:
    mark = b"II*\x00" if order == "<" else b"MM\x00*"
    entry = struct.pack(order + "HHIHH", 0x0112, 3, 1, 8, 0)
    block = b"Exif\x00\x00" + mark + struct.pack(order + "IH", 8, 1) + entry + bytes(4)
    assert exif.read(block).orientation == 8
    assert exif.read(exif.upright(block)).orientation == 1
    assert len(exif.upright(block)) == len(block)


@pytest.mark.parametrize("orientation", [0, 9, 60000])
def test_a_senseless_orientation_counts_as_none(orientation: int) -> None:
    assert exif.read(_block(orientation=orientation)).orientation == 1


def test_an_orientation_of_the_wrong_type_counts_as_none() -> None:
    entry = struct.pack(">HHII", 0x0112, 4, 1, 6)
    assert exif.read(b"MM\x00*" + struct.pack(">IH", 8, 1) + entry + bytes(4)).orientation == 1


def test_a_credit_is_what_pillow_reads() -> None:
    block = exif.written(exif.Tags(1, b"Bo", b"all rights with a somewhat longer line"))
    read = Image.Exif()
    read.load(block)
    assert dict(read) == {0x013B: "Bo", 0x8298: "all rights with a somewhat longer line"}
    assert exif.read(block) == exif.Tags(1, b"Bo", b"all rights with a somewhat longer line")


def test_no_credit_no_block() -> None:
    assert exif.written(exif.Tags()) == b""


def test_upright_changes_two_bytes_at_most() -> None:
    block = _block(orientation=5, software="keep me")
    upright = exif.upright(block)
    assert exif.read(upright).orientation == 1
    assert sum(a != b for a, b in zip(block, upright, strict=True)) <= 2
    assert exif.upright(b"") == b""


def test_the_block_beside_the_pixels() -> None:
    block = _block(orientation=3)
    for form in ("jpeg", "png", "webp"):
        assert exif.read(exif.block(opened(written(photo(9, 9), form, exif=block)).info)).orientation == 3
    assert exif.block({}) == b""


def test_imagemagicks_block_in_hexadecimal() -> None:
    block = _block(orientation=7)
    text = f"\nexif\n      {len(block)}\n{block.hex()}\n"
    assert exif.read(exif.block({"Raw profile type exif": text})).orientation == 7
    assert exif.block({"Raw profile type exif": "\nexif\n 3\nxyz\n"}) == b""


@given(st.binary(max_size=200), st.sampled_from([b"", b"II*\x00\x08\x00\x00\x00", b"MM\x00*\x00\x00\x00\x08"]))
def test_no_bytes_break_the_reader(tail: bytes, head: bytes) -> None:
    tags = exif.read(b"Exif\x00\x00" + head + tail)
    assert tags.orientation in range(1, 9)
    assert exif.read(exif.upright(b"Exif\x00\x00" + head + tail)).orientation in range(1, 9)
