"""The parent's reading of a header against Pillow's: never less, and nothing breaks it."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from PIL import Image, UnidentifiedImageError

from imagemill.imaging import headers
from tests.imaging.pictures import noise, photo, written
from tests.places import needs_shared
from tests.story.ledger import HOSTILE

SIDES = (61, 47)
ANIMATED = {"save_all": True, "append_images": [noise(*SIDES) for _ in range(2)], "duration": 50}
FORMS = {
    "jpeg": written(photo(*SIDES), "jpeg", comment=b"\xff\xc0" * 40),
    "progressive": written(photo(*SIDES), "jpeg", progressive=True, exif=b"Exif\0\0" + b"\xff" * 30_000),
    "png": written(photo(*SIDES), "png"),
    "webp": written(photo(*SIDES), "webp"),
    "lossless webp": written(photo(*SIDES), "webp", lossless=True),
    "webp with alpha": written(photo(*SIDES).convert("RGBA"), "webp", exif=b"Exif\0\0MM\0*"),
    "gif": written(photo(*SIDES), "gif"),
    "tiff": written(photo(*SIDES), "tiff"),
    "bmp": written(photo(*SIDES), "bmp"),
}
MOVING = {form: written(noise(*SIDES), form, **ANIMATED) for form in ("gif", "png", "webp")}


@pytest.mark.parametrize("form", FORMS)
def test_still_pictures(form: str, tmp_path: Path) -> None:
    file = tmp_path / "picture"
    file.write_bytes(FORMS[form])
    assert headers.pixels(FORMS[form]) == headers.pixels(file) == 61 * 47


@pytest.mark.parametrize("form", MOVING)
def test_every_frame_counts(form: str) -> None:
    assert headers.pixels(MOVING[form]) == 61 * 47 * 3


def test_other_byte_orders_and_old_headers() -> None:
    big = b"MM\0*\0\0\0\x08\0\x02" + b"\x01\x00\0\x04\0\0\0\x01\0\x01\0\0" + b"\x01\x01\0\x03\0\0\0\x01\0\x03\0\0"
    assert headers.pixels(big) == 0x10000 * 3
    assert headers.pixels(b"BM" + bytes(12) + b"\x0c\0\0\0\x05\0\x07\0") == 35
    assert headers.pixels(b"BM" + bytes(12) + b"\x28\0\0\0\x05\0\0\0\xf9\xff\xff\xff") == 35  # top down


def test_the_larger_of_two_frame_headers_counts() -> None:
    frame = b"\xff\xc0\0\x0b\x08\0\x02\0\x03\x01\x01\x11\0"
    larger = b"\xff\xc2\0\x0b\x08\0\x20\0\x30\x01\x01\x11\0"
    assert headers.pixels(b"\xff\xd8" + larger + b"\xff\xff" + frame + b"\xff\x01\xff\xda") == 32 * 48


@pytest.mark.parametrize("data", [b"", b"<html>", b"%PDF-1.7"])
def test_what_no_child_decodes_is_nothing(data: bytes) -> None:
    assert headers.pixels(data) == 0


BEGINNINGS = [
    b"\xff\xd8",
    b"\xff\xd8\xff\xda",
    b"\x89PNG\r\n\x1a\n",
    b"GIF89a",
    b"II*\0",
    b"RIFF\0\0\0\0WEBPVP8?",
    b"BM",
]
ENDLESS = [b"GIF89a\x05\0\x05\0\0\0\0!\xff" + b"\x01x" * 20_000, b"GIF89a\x05\0\x05\0\0\0\0" + b"!\xff\0" * 20_000]


@pytest.mark.parametrize("data", [*BEGINNINGS, *ENDLESS])
def test_what_cannot_be_known_is_said_so(data: bytes, tmp_path: Path) -> None:
    assert headers.pixels(data) is None
    assert headers.pixels(tmp_path / "gone") is None


@needs_shared
def test_hostile_files_never_claim_less_than_pillow_finds() -> None:
    told = 0
    for file in sorted(HOSTILE.iterdir()):
        try:
            with Image.open(file, formats=["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"]) as picture:
                found = picture.width * picture.height
        except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, SyntaxError):
            continue
        said = headers.pixels(file)
        assert said is None or said >= found, file.name
        told += said is not None
    assert told > 50


def test_broken_bytes_break_nothing() -> None:
    dice = random.Random(7)
    for data in [*FORMS.values(), *MOVING.values()]:
        for _ in range(60):
            broken = bytearray(data[: dice.randrange(1, len(data))])
            for _ in range(8):
                broken[dice.randrange(len(broken))] = dice.randrange(256)
            said = headers.pixels(bytes(broken))
            assert said is None or said >= 0
