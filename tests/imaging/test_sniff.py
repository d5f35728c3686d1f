from __future__ import annotations

import pytest

from imagemill.core.errors import ImageCode, ImageError
from imagemill.imaging import sniff
from tests.imaging.pictures import LIMITS, photo, written


@pytest.mark.parametrize("form", ["jpeg", "png", "webp", "gif", "bmp", "tiff"])
def test_each_format_is_known_by_its_bytes(form: str) -> None:
    assert sniff.sniff(written(photo(20, 20), form), LIMITS.formats) == form


def test_a_format_off_the_list_is_named() -> None:
    with pytest.raises(ImageError, match="GIF, which is not among the formats opened here: jpeg, png") as caught:
        sniff.sniff(b"GIF89a" + bytes(20), ("jpeg", "png"))
    assert caught.value.image_code is ImageCode.UNSUPPORTED_FORMAT


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\x00\x00\x00\x20ftypavif" + bytes(8), "AVIF"),
        (b"\x00\x00\x00\x18ftypheic" + bytes(8), "HEIC"),
        (b"\x00\x00\x00\x18ftypmif1" + bytes(8), "HEIC"),
        (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"\xff\x4f\xff\x51\x00", "JPEG 2000"),
        (b"\xff\x0a\x00", "JPEG XL"),
        (b"8BPS\x00\x01", "PSD"),
        (b"\x00\x00\x01\x00\x01\x00", "ICO"),
        (b"%PDF-1.7\n", "PDF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "EPS"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b'<?xml version="1.0"?>\n<!-- made by hand -->\n<svg width="1"/>', "SVG"),
        (b"\xef\xbb\xbf<svg >", "SVG"),
        (b"SIMPLE  =                    T", "FITS"),
        (b"P6\n2 2\n255\n" + bytes(12), "PNM"),
        (bytes(44) + b"TRUEVISION-XFILE.\x00", "TGA"),
        (b"\x00\x00\x02" + bytes(9) + b"\x02\x00\x02\x00\x18\x00" + bytes(12), "TGA"),
    ],
)
def test_images_of_other_kinds_are_unsupported_and_named(data: bytes, name: str) -> None:
    with pytest.raises(ImageError, match=f"the source is {name}, ") as caught:
        sniff.sniff(data, LIMITS.formats)
    assert caught.value.image_code is ImageCode.UNSUPPORTED_FORMAT


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "empty"),
        (b"\n<!DOCTYPE html><html><svg></svg></html>", "an HTML page"),
        (b"<!-- hello --> <HTML>", "an HTML page"),
        (b'{"error": "not found"}', "a JSON document"),
        (b'[{"a": 1}]', "a JSON document"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "an XML document"),
        (b"404 page not found\n", "text"),
        (b"\x7fELF\x02\x01\x01", "of an unknown kind"),
        (b"BM and more text", "text"),
    ],
)
def test_what_is_no_image_is_said_plainly(data: bytes, what: str) -> None:
    with pytest.raises(ImageError, match=f"the source is {what}, not an image") as caught:
        sniff.sniff(data, LIMITS.formats)
    assert caught.value.image_code is ImageCode.NOT_AN_IMAGE


def test_scans_are_counted_where_they_are_scans() -> None:
    thumbnail = written(photo(), "jpeg", progressive=True)
    data = written(photo(), "jpeg", comment=thumbnail) + thumbnail
    assert data.count(b"\xff\xda") > 10
    assert not sniff.has_scans_beyond(1, data)
    assert sniff.has_scans_beyond(0, data)
    scans = thumbnail.count(b"\xff\xda")
    assert sniff.has_scans_beyond(scans - 1, thumbnail)
    assert not sniff.has_scans_beyond(scans, thumbnail)


@pytest.mark.parametrize(
    ("data", "found"),
    [(b"\xff\xd8" + b"\xff\xda" * 9, 1), (b"\xff\xd8" * 9 + b"\xff\xda\x00", 1), (b"\xff\xda\xff", 0)],
)
def test_scans_without_sense_are_counted_once(data: bytes, found: int) -> None:
    assert [sniff.has_scans_beyond(limit, data) for limit in (0, 1)] == [found > 0, False]
