"""The codec's own reader against libjpeg's: what it takes it reads the same, and the rest it leaves to libjpeg."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.fuzz.requant import KINDS, RESHAPED, reshaped
from tests.imaging.pictures import noise, photo, written
from tests.places import SHARED, needs_shared

_requant = pytest.importorskip("imagemill.imaging._requant", reason="the native module is not built")

CORPUS = SHARED / "corpus"
REAL = [*sorted((CORPUS / "products").glob("*.jpg"))[::20], *sorted((CORPUS / "shop" / "images").rglob("*.jp*g"))[::40]]
HOSTILE = sorted((CORPUS / "hostile").glob("*.jpg"))


def outcome(data: bytes, **how: Any) -> bytes | str:  # noqa: ANN401 — as the module has it
    limits = {"max_pixels": 10**8, "max_scans": 50, "memory_bytes": 1 << 30}
    try:
        made: bytes | str = _requant.requantise(data, 60, **limits, **how)
    except _requant.RequantError as error:
        return f"RequantError: {error}"
    return made


def both(data: bytes, **how: Any) -> bytes | str:  # noqa: ANN401 — as above
    """Return what both readers lead to."""
    ours = outcome(data, **how)
    assert ours == outcome(data, is_plain=True, **how)
    return ours


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(1, 1), (16, 16), (33, 17), (97, 130)])
def test_every_kind_is_read_alike(kind: str, size: tuple[int, int]) -> None:
    for picture in (photo(*size), noise(*size)):
        for quality in (20, 75, 100):
            for orientation in (1, 8):
                both(written(picture, "jpeg", quality=quality, **KINDS[kind]), orientation=orientation)


@pytest.mark.parametrize("kind", RESHAPED)
def test_layouts_that_no_encoder_here_writes_are_read_alike(kind: str) -> None:
    for halve_chroma in (False, True):
        made = both(reshaped(noise(96, 48), kind), halve_chroma=halve_chroma)
        assert isinstance(made, bytes)
        assert outcome(made) == outcome(made, is_plain=True)


def test_grey_is_read_alike() -> None:
    for how in ({}, {"progressive": True}, {"restart_marker_blocks": 1}):
        assert isinstance(both(written(noise(70, 50).convert("L"), "jpeg", quality=93, **how)), bytes)


@needs_shared
@pytest.mark.parametrize("path", [*REAL, *HOSTILE], ids=lambda path: path.name)
def test_real_and_hostile_files_are_read_alike(path: Path) -> None:
    both(path.read_bytes())


@pytest.mark.parametrize("how", [{}, {"progressive": True}, {"restart_marker_blocks": 1}])
def test_broken_files_fail_alike(how: dict[str, Any]) -> None:
    source = written(noise(48, 40), "jpeg", quality=90, **how)
    outcomes = {
        str(both(source[:at] + bytes([source[at] ^ 0x55]) + source[at + 1 :])) for at in range(2, len(source), 5)
    }
    assert len({each for each in outcomes if each.startswith("RequantError")}) > 3


@pytest.mark.parametrize("extra", [b"\x00", b"\x00" * 9, b"\xff\xfe\x00\x04hi", b"\xff\xff", b"\xff\xd0"])
@pytest.mark.parametrize("how", [{}, {"progressive": True}])
def test_what_lies_before_the_end_is_judged_alike(how: dict[str, Any], extra: bytes) -> None:
    source = written(noise(48, 40), "jpeg", **how)
    both(source[:-2] + extra + source[-2:])
    assert isinstance(both(source + b"trailing"), bytes)


def test_more_scans_than_allowed_are_declined_by_both() -> None:
    source = written(photo(), "jpeg", progressive=True)
    for is_plain in (False, True):
        made = _requant.requantise(source, 50, max_pixels=10**6, max_scans=3, memory_bytes=1 << 30, is_plain=is_plain)
        assert made == "scans"


def test_a_wide_picture_keeps_no_more_than_two_lines_of_blocks() -> None:
    """Rows of the ring are used again and again, also by chroma that is halved."""
    for size in ((900, 15), (16, 900), (17, 899)):
        assert isinstance(
            both(written(Image.effect_noise(size, 60).convert("RGB"), "jpeg", subsampling="4:4:4")), bytes
        )
