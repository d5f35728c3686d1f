from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin

from imagemill.imaging import strip
from tests.imaging.pictures import apart, opened, photo, quarters, written

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _exif() -> bytes:
    block = Image.Exif()
    block[0x010F] = "SECRET CAMERA"
    return block.tobytes()


def _annotated(form: str) -> bytes:
    if form == "png":
        text = PngImagePlugin.PngInfo()
        text.add_text("Comment", "SECRET")
        text.add_itxt("XML:com.adobe.xmp", "SECRET")
        return written(photo(40, 30), form, exif=_exif(), pnginfo=text, icc_profile=SRGB)
    if form == "gif":
        return written(quarters(), form, comment=b"SECRET", xmp=b"SECRET")
    extra = {"comment": b"SECRET", "progressive": True} if form == "jpeg" else {}
    return written(photo(40, 30), form, exif=_exif(), xmp=b"<x>SECRET</x>", icc_profile=SRGB, **extra)


@pytest.mark.parametrize("form", ["jpeg", "png", "webp", "gif"])
def test_metadata_goes_and_pixels_stay(form: str) -> None:
    data = _annotated(form)
    assert b"SECRET" in data
    clean = strip.stripped(form, data)
    assert clean is not None
    assert b"SECRET" not in clean
    assert apart(opened(clean), opened(data)) == 0
    assert opened(clean).info.get("icc_profile") == opened(data).info.get("icc_profile")


@pytest.mark.parametrize("form", ["jpeg", "png", "webp", "gif"])
def test_a_clean_file_comes_back_equal(form: str) -> None:
    data = written(quarters(), form)
    assert strip.stripped(form, data) == data
    once = strip.stripped(form, _annotated(form))
    assert once is not None
    assert strip.stripped(form, once) == once


@pytest.mark.parametrize("form", ["jpeg", "png", "gif", "webp"])
def test_what_follows_the_end_goes(form: str) -> None:
    data = written(quarters(), form)
    clean = strip.stripped(form, data + b"motion photo")
    assert clean == data or form == "webp"
    assert form != "webp" or opened(clean).size == (96, 64)


def test_an_animation_keeps_its_loop() -> None:
    frames = [quarters(), quarters().transpose(Image.Transpose.ROTATE_180)]
    data = written(frames[0], "gif", save_all=True, append_images=frames[1:], loop=0, duration=80, comment=b"SECRET")
    clean = opened(strip.stripped("gif", data))
    assert clean.info["loop"] == 0
    assert getattr(clean, "n_frames", 1) == 2


@pytest.mark.parametrize("form", ["jpeg", "png", "webp", "gif", "bmp", "tiff"])
def test_a_file_that_cannot_be_walked_is_not_published(form: str) -> None:
    data = written(photo(40, 30), form, **({"exif": _exif()} if form in {"jpeg", "png", "webp"} else {}))
    assert strip.stripped(form, data[:24]) is None


@given(st.sampled_from(["jpeg", "png", "webp", "gif"]), st.binary(max_size=120), st.integers(0, 60))
def test_no_bytes_break_the_walk(form: str, tail: bytes, keep: int) -> None:
    clean = strip.stripped(form, written(quarters(8, 8), form)[:keep] + tail)
    assert clean is None or isinstance(clean, bytes)
