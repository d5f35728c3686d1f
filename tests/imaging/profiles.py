"""Colour profiles by the letter of ICC.1:2022, so that no file of another's is needed; their colours really differ."""

from __future__ import annotations

import struct
from typing import Final

from PIL import ImageCms

SRGB: Final = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
_D50: Final = (0.9642, 1.0, 0.8249)


def _xyz(*values: float) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(value * 65536) for value in values))


def _gamma(value: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(value * 256)) + bytes(2)


def _text(name: str) -> bytes:
    text = name.encode() + b"\x00"
    return b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(78 + -len(text) % 4)


def _profile(space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    at = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for tag, data in tags.items():
        table += tag + struct.pack(">2I", at + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    kind = b"prtr" if space == b"CMYK" else b"mntr"
    head = struct.pack(">I4sI4s4s4s", at + len(body), b"lcms", 0x02100000, kind, space, connection)
    return (head + bytes(12) + b"acsp" + bytes(28) + _xyz(*_D50)[8:20] + bytes(48))[:128] + table + body


def _primaries(name: str, gamma: float, *colours: tuple[float, float, float]) -> bytes:
    tags = {b"desc": _text(name), b"wtpt": _xyz(*_D50)}
    for letter, colour in zip(b"rgb", colours, strict=True):
        tags[bytes([letter]) + b"XYZ"] = _xyz(*colour)
        tags[bytes([letter]) + b"TRC"] = _gamma(gamma)
    return _profile(b"RGB ", b"XYZ ", tags)


def _inks() -> bytes:
    """A table whose corners are the colours of coated paper, roughly: cyan is no light blue, black is never quite."""
    papers = ((0.9, 0.93, 0.9), (0.15, 0.6, 0.75), (0.75, 0.2, 0.5), (0.9, 0.85, 0.15))
    grid = b""
    for index in range(16):
        inked = [index >> shift & 1 for shift in (3, 2, 1)]
        shown = [0.05 if index & 1 else 1.0] * 3
        for ink, paper in zip(inked, papers[1:], strict=True):
            shown = [light * tone if ink else light for light, tone in zip(shown, paper, strict=True)]
        grid += struct.pack(">3H", *(round(32768 * light * tone) for light, tone in zip(shown, _D50, strict=True)))
    identity = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    ramp = struct.pack(">2H", 0, 0xFFFF)
    table = b"mft2" + bytes(4) + bytes([4, 3, 2, 0]) + identity + struct.pack(">2H", 2, 2) + ramp * 4 + grid + ramp * 3
    return _profile(b"CMYK", b"XYZ ", {b"desc": _text("Inks"), b"A2B0": table, b"wtpt": _xyz(*_D50)})


ADOBE_RGB: Final = _primaries(
    "Adobe RGB (1998)", 2.2, (0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)
)
DISPLAY_P3: Final = _primaries(
    "Display P3", 2.2, (0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407)
)
GREY: Final = _profile(b"GRAY", b"XYZ ", {b"desc": _text("Dot gain"), b"wtpt": _xyz(*_D50), b"kTRC": _gamma(1.5)})
INKS: Final = _inks()
