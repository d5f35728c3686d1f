from __future__ import annotations

import struct
from typing import Final

import pytest
from PIL import Image, ImageCms

from imagemill.imaging import colour
from tests.imaging.pictures import apart, compressed, opened, photo, quarters, written
from tests.places import SHARED, needs_shared

HOSTILE: Final = SHARED / "corpus" / "hostile"
SRGB: Final = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _renamed(profile: bytes, name: str) -> bytes:
    """Give sRGB's profile another description of the same length: to all that look at names it is a wide one."""
    old = "sRGB built-in".encode("utf-16-be")
    assert old in profile
    return profile.replace(old, name.ljust(13)[:13].encode("utf-16-be"))


WIDE: Final = _renamed(SRGB, "Adobe RGB")


@pytest.mark.parametrize("form", ["jpeg", "png", "webp"])
@pytest.mark.parametrize(("profile", "is_kept"), [(WIDE, True), (SRGB, False), (b"broken" * 40, False)])
def test_a_profile_is_kept_unless_it_says_srgb(form: str, profile: bytes, is_kept: bool) -> None:
    data = written(photo(300, 200), form, icc_profile=profile)
    for recipe in ({}, {"max_width": 100}):
        kept = opened(compressed(data, format="keep", **recipe).data).info.get("icc_profile")
        assert (kept == profile) is is_kept


def test_a_profile_that_does_not_fit_the_output_is_dropped() -> None:
    data = written(photo().convert("L"), "jpeg", quality=95, icc_profile=WIDE)
    assert "icc_profile" not in opened(compressed(data).data).info


def test_a_short_profile_is_none() -> None:
    assert colour.profile_to_keep(b"RGB RGB RGB RGB RGB RGB ", "RGB") is None


@pytest.mark.parametrize("form", ["jpeg", "tiff"])
def test_cmyk_shows_the_right_colours(form: str) -> None:
    source = quarters()
    piece = compressed(written(source.convert("CMYK"), form), quality=90, format="jpeg")
    image = opened(piece.data)
    assert image.mode == "RGB"
    assert apart(image, source) < 6


def _ink_profile() -> bytes:
    """The smallest CMYK profile that lcms takes: its table ignores black and inverts the inks."""
    grid = b"".join(
        struct.pack(">3H", *(0xFFFF if ink else 0 for ink in (1 - c, 1 - m, 1 - y)))
        for c in (0, 1)
        for m in (0, 1)
        for y in (0, 1)
        for _ in (0, 1)
    )
    ramp = struct.pack(">2H", 0, 0xFFFF)
    identity = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    table = b"mft2" + bytes(4) + bytes([4, 3, 2, 0]) + identity + struct.pack(">2H", 2, 2) + ramp * 4 + grid + ramp * 3
    white = b"XYZ " + bytes(4) + struct.pack(">3I", 0xF6D6, 0x10000, 0xD32D)
    tags = struct.pack(">I", 2) + b"A2B0" + struct.pack(">2I", 156, len(table))
    tags += b"wtpt" + struct.pack(">2I", 156 + len(table) + (-len(table) % 4), len(white))
    body = tags + table + bytes(-len(table) % 4) + white
    head = struct.pack(">I4sI4s4s4s", 128 + len(body), b"lcms", 0x02100000, b"prtr", b"CMYK", b"XYZ ")
    return (head + bytes(12) + b"acsp" + bytes(28) + white[8:20] + bytes(48))[:128] + body


def test_cmyk_goes_through_its_profile() -> None:
    profile = _ink_profile()
    paper = Image.new("CMYK", (64, 64), (0, 0, 0, 255))  # black for the plain way; this profile knows no black
    by_profile = opened(compressed(written(paper, "tiff", icc_profile=profile), format="png").data).convert("RGB")
    plain = opened(compressed(written(paper, "tiff"), format="png").data).convert("RGB")
    assert plain.getpixel((5, 5)) == (0, 0, 0)
    assert min(by_profile.getpixel((5, 5))) > 200  # type: ignore[arg-type]
    assert "icc_profile" not in by_profile.info


def test_a_broken_cmyk_profile_falls_back_to_the_plain_way() -> None:
    profile = _ink_profile()[:140]
    piece = compressed(written(quarters().convert("CMYK"), "tiff", icc_profile=profile), format="png")
    assert apart(opened(piece.data), quarters()) < 2


@needs_shared
@pytest.mark.parametrize("name", ["tiff_strip_cmyk_jpeg.tif", "tiff_tiled_cmyk_jpeg.tif"])
def test_cmyk_tiffs_of_others(name: str) -> None:
    data = (HOSTILE / name).read_bytes()
    assert apart(opened(compressed(data, format="png").data), opened(data).convert("RGB")) < 2


def test_sixteen_bits_are_scaled_and_not_clipped() -> None:
    values = struct.pack("<256H", *(number * 257 for number in range(256)))
    deep = Image.frombytes("I;16", (16, 16), values)
    for form in ("png", "tiff"):
        piece = compressed(written(deep, form), format="png")
        assert opened(piece.data).tobytes() == bytes(range(256))


def test_wide_integers_are_scaled() -> None:
    wide = Image.new("I", (2, 1))
    wide.putpixel((0, 0), -1000)
    wide.putpixel((1, 0), 1_000_000)
    assert opened(compressed(written(wide, "tiff"), format="png").data).convert("L").tobytes() == b"\x00\xff"


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ((0.0, 0.5, 1.0), (0, 128, 255)),
        ((0.0, 128.0, 255.0), (0, 128, 255)),
        ((-1.0, 0.0, 1.0), (0, 127, 255)),
        ((7.0, 7.0, 7.0), (7, 7, 7)),
        ((1e9, 1e9, 1e9), (255, 255, 255)),
    ],
)
def test_floats_are_scaled_by_their_range(values: tuple[float, ...], shown: tuple[int, ...]) -> None:
    image = Image.new("F", (3, 1))
    for at, value in enumerate(values):
        image.putpixel((at, 0), value)
    made = opened(compressed(written(image, "tiff"), format="png").data).convert("L")
    assert made.tobytes() == pytest.approx(bytes(shown), abs=1)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_every_mode_of_a_png(mode: str) -> None:
    source = quarters().quantize(8) if mode == "P" else quarters().convert(mode)
    expected = source.convert("RGB")
    for recipe in ({"format": "png"}, {"format": "jpeg", "quality": 95}, {"format": "webp", "quality": 95}):
        assert apart(opened(compressed(written(source, "png"), **recipe).data).convert("RGB"), expected) < 4


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB"])
def test_every_mode_of_a_tiff(mode: str) -> None:
    if mode == "LAB":
        lab = ImageCms.createProfile("LAB")
        source = ImageCms.profileToProfile(quarters(), ImageCms.createProfile("sRGB"), lab, outputMode="LAB")
        assert source is not None
        expected = quarters()
    else:
        source = quarters().convert(mode)
        expected = source.convert("RGB")
    how = {"compression": "jpeg", "quality": 95} if mode == "YCbCr" else {}  # Pillow cannot read its own raw YCbCr
    piece = compressed(written(source, "tiff", **how), format="png")
    assert apart(opened(piece.data).convert("RGB"), expected) < 4


def test_the_less_common_modes() -> None:
    for mode in ("La", "RGBa", "RGBX", "HSV", "PA"):
        image = quarters().convert("LA").convert("La") if mode == "La" else None
        image = image or quarters().convert("RGBA").convert(mode if mode != "HSV" else "RGB").convert(mode)
        assert colour.normalised(image).mode in {"L", "LA", "RGB", "RGBA"}
