"""What a source is, by its bytes alone: names, media types and extensions are never believed."""

from __future__ import annotations

import re
from typing import Final

from imagemill.core.errors import ImageCode, ImageError

_BMP_HEADER_SIZES: Final = frozenset({12, 16, 40, 52, 56, 64, 108, 124})
_HEAD_BYTES: Final = 1024
_TGA_FOOTER: Final = b"TRUEVISION-XFILE.\x00"
_TGA_HEADER: Final = re.compile(rb".(?:\x01[\x01\x09]|\x00[\x02\x03\x0a\x0b]).{13}[\x08\x0f\x10\x18\x20]", re.DOTALL)

_MARKER: Final = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
"""ITU T.81, B.1.1: what is no stuffed byte, fill byte or restart."""
_START_OF_SCAN: Final = 0xDA
_END_OF_IMAGE: Final = 0xD9
_ALONE: Final = frozenset({0x01, 0xD8})

_KNOWN: Final = (
    (re.compile(rb"....ftypavi[fs]", re.DOTALL), "AVIF"),
    (re.compile(rb"....ftyp(?:hei|hev|mif1|msf1)", re.DOTALL), "HEIC"),
    (re.compile(rb"\x00\x00\x00\x0cjP  |\xff\x4f\xff\x51"), "JPEG 2000"),
    (re.compile(rb"\xff\x0a|\x00\x00\x00\x0cJXL "), "JPEG XL"),
    (re.compile(rb"8BPS"), "PSD"),
    (re.compile(rb"\x00\x00[\x01\x02]\x00[^\x00]"), "ICO"),
    (re.compile(rb"%PDF-"), "PDF"),
    (re.compile(rb"%!PS|\xc5\xd0\xd3\xc6"), "EPS"),
    (re.compile(rb"SIMPLE  ="), "FITS"),
    (re.compile(rb"\x01\xda[\x00\x01][\x01\x02]"), "SGI"),
    (re.compile(rb"\x0a[\x00-\x05][\x00\x01][\x01\x02\x04\x08]"), "PCX"),
    (re.compile(rb"DDS "), "DDS"),
    (re.compile(rb"qoif"), "QOI"),
    (re.compile(rb"P[1-7]\s"), "PNM"),
    (re.compile(rb"\x01\x00\x00\x00.{36} EMF|\xd7\xcd\xc6\x9a", re.DOTALL), "WMF"),
)
_TEXTS: Final = (
    (
        re.compile(rb"(?:\s*<!--.*?-->)*\s*<(?:!doctype\s+html|html|head|body)", re.IGNORECASE | re.DOTALL),
        "an HTML page",
    ),
    (re.compile(rb'\s*(?:\{\s*["}]|\[\s*[\[{"\]\d])'), "a JSON document"),
    (re.compile(rb"\s*<\?xml|\s*<[a-z]", re.IGNORECASE), "an XML document"),
    (re.compile(rb"[\t\n\r\x20-\x7e]+\Z"), "text"),
)
_SVG: Final = re.compile(rb"\s*<svg[\s>]|\s*<(?:\?xml|!--|!doctype svg).*?<svg[\s>]", re.IGNORECASE | re.DOTALL)


def sniff(data: bytes, formats: tuple[str, ...]) -> str:
    """Return the source's format, one of jpeg png webp gif bmp tiff; ImageError says what else it is."""
    found = _openable(data)
    if found in formats:
        return found
    head = data[:_HEAD_BYTES]
    name = found.upper() or _known(head) or _tga(data)
    if name:
        detail = f"the source is {name}, which is not among the formats opened here: {', '.join(formats)}"
        raise ImageError(ImageCode.UNSUPPORTED_FORMAT, detail)
    raise ImageError(ImageCode.NOT_AN_IMAGE, f"the source is {_other(head)}, not an image")


def has_scans_beyond(limit: int, data: bytes) -> bool:
    """Say whether a JPEG has more scans than that, counting none of its thumbnails and of pictures behind its end.

    The rough count, at a gigabyte a second, is enough for all but bombs.
    """
    if data.count(b"\xff\xda") <= limit:
        return False
    at, found = 2, 0
    while found <= limit and (marker := _MARKER.search(data, at)):
        at, kind = marker.end(), data[marker.end() - 1]
        if kind == _END_OF_IMAGE:
            break
        if kind not in _ALONE:
            at += int.from_bytes(data[at : at + 2], "big")
        found += kind == _START_OF_SCAN
    return found > limit


def _openable(data: bytes) -> str:
    if data.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "webp"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    if data.startswith((b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")):
        return "tiff"
    return "bmp" if data.startswith(b"BM") and int.from_bytes(data[14:18], "little") in _BMP_HEADER_SIZES else ""


def _known(head: bytes) -> str:
    if _SVG.match(head.removeprefix(b"\xef\xbb\xbf")):
        return "SVG"
    return next((name for pattern, name in _KNOWN if pattern.match(head)), "")


def _tga(data: bytes) -> str:
    """TGA has no magic number: its footer is sure, its header must at least make sense and be no text."""
    if data.endswith(_TGA_FOOTER):
        return "TGA"
    width, height = int.from_bytes(data[12:14], "little"), int.from_bytes(data[14:16], "little")
    return "TGA" if _TGA_HEADER.match(data) and width and height else ""


def _other(head: bytes) -> str:
    if not head:
        return "empty"
    head = head.removeprefix(b"\xef\xbb\xbf")
    return next((name for pattern, name in _TEXTS if pattern.match(head)), "of an unknown kind")
