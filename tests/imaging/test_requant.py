"""The native module by itself: what it makes of each kind of JPEG, what it declines, and that it holds no grudge."""

from __future__ import annotations

import io
import itertools
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, JpegImagePlugin

from imagemill.imaging import pixels, sandbox
from tests.imaging.pictures import UNDO, apart, noise, opened, photo, quarters, written
from tests.places import SHARED, needs_shared

_requant = pytest.importorskip("imagemill.imaging._requant", reason="the native module is not built")

LIMITS = {"max_pixels": 10**8, "max_scans": 50, "memory_bytes": 1 << 30}
SAMPLINGS = ("4:4:4", "4:2:2", "4:2:0")
HOSTILE = sorted((SHARED / "corpus" / "hostile").glob("*.[jm]p[og]")) if SHARED.is_dir() else []


def requantised(data: bytes, quality: int = 50, **how: Any) -> bytes | str:  # noqa: ANN401 — as the module has it
    made: bytes | str = _requant.requantise(data, quality, **(LIMITS | how))
    return made


def made(data: bytes, quality: int = 50, **how: Any) -> Image.Image:  # noqa: ANN401 — as above
    result = requantised(data, quality, **how)
    assert isinstance(result, bytes), result
    return opened(result)


def tables(data: bytes) -> dict[int, list[int]]:
    image = opened(data)
    assert isinstance(image, JpegImagePlugin.JpegImageFile)
    return {number: list(table) for number, table in image.quantization.items()}


def patched(data: bytes, marker: int, offset: int, value: int) -> bytes:
    at = data.index(bytes([0xFF, marker])) + offset
    return data[:at] + bytes([value]) + data[at + 1 :]


# Every kind that is ours


@pytest.mark.parametrize("size", [(256, 256), (1, 1), (7, 9), (8, 8), (17, 16), (16, 17), (33, 31), (250, 123)])
@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("is_progressive", [False, True])
def test_a_photograph_looks_the_same(size: tuple[int, int], sampling: str, is_progressive: bool) -> None:
    source = written(photo(*size), "jpeg", quality=92, subsampling=sampling, progressive=is_progressive)
    by_pixels = apart(opened(written(opened(source), "jpeg", quality=75)), opened(source))
    for progressive in (0, 1):
        image = made(source, 75, progressive=progressive)
        assert bool(image.info.get("progressive")) is bool(progressive)
        assert JpegImagePlugin.get_sampling(image) == 2
        assert apart(image, opened(source)) < max(2, by_pixels * 1.3)


@pytest.mark.parametrize("size", [(64, 64), (65, 41)])
def test_a_grey_photograph_stays_grey(size: tuple[int, int]) -> None:
    source = written(photo(*size).convert("L"), "jpeg", quality=92)
    for progressive in (0, 1):
        image = made(source, 75, progressive=progressive)
        assert image.mode == "L"
        assert apart(image, opened(source)) < 3


def test_chroma_that_is_fine_along_one_side() -> None:
    """4:4:0 is 4:2:2 turned by a quarter; no other encoder at hand writes it."""
    source = written(photo(160, 96), "jpeg", quality=95, subsampling="4:2:2")
    standing = requantised(source, 90, orientation=5, halve_chroma=False)
    assert isinstance(standing, bytes)
    assert opened(standing).layer[0][1:3] == (1, 2)  # type: ignore[attr-defined]
    assert JpegImagePlugin.get_sampling(made(standing)) == 2
    assert apart(made(standing, 90), photo(160, 96).transpose(Image.Transpose.TRANSPOSE)) < 3


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_chroma_is_kept_fine_if_asked(sampling: str) -> None:
    image = made(written(photo(), "jpeg", quality=92, subsampling=sampling), halve_chroma=False)
    assert JpegImagePlugin.get_sampling(image) == SAMPLINGS.index(sampling)


def test_halved_chroma_is_what_a_decoder_and_encoder_make_of_it() -> None:
    source = photo(200, 120)
    fine = written(source, "jpeg", quality=98, subsampling="4:4:4")
    coarse = opened(written(opened(fine), "jpeg", quality=98, subsampling="4:2:0"))
    assert apart(made(fine, 98, thrift=0), coarse) < 0.8


def test_restart_markers_are_read() -> None:
    source = written(photo(), "jpeg", quality=92, restart_marker_blocks=3)
    assert b"\xff\xd1" in source
    assert apart(made(source), made(written(photo(), "jpeg", quality=92))) == 0


def test_noise_needs_every_kind_of_code() -> None:
    source = written(noise(120, 120), "jpeg", quality=100, subsampling="4:4:4")
    for quality, progressive in itertools.product((100, 60, 5), (0, 1)):
        made(source, quality, progressive=progressive, halve_chroma=False)
    assert apart(made(source, 100, halve_chroma=False), opened(source)) == 0


def test_an_empty_picture_of_many_blocks_is_a_run_of_their_ends() -> None:
    source = written(Image.new("RGB", (4096, 1024), "#777"), "jpeg", quality=95)
    assert apart(made(source, progressive=1), opened(source)) < 2
    small = requantised(source)
    assert isinstance(small, bytes)
    assert len(small) < len(source) / 2


# Quality


@pytest.mark.parametrize("quality", [1, 10, 49, 50, 51, 90, 100])
def test_steps_are_libjpegs_at_that_quality(quality: int) -> None:
    source = written(photo(), "jpeg", quality=100)
    result = requantised(source, quality)
    assert isinstance(result, bytes)
    usual = tables(written(photo(), "jpeg", quality=quality))
    assert tables(result) == {0: usual[0]} | ({1: usual[1]} if usual[1] != usual[0] else {})


def test_no_step_is_finer_than_the_sources() -> None:
    steps = [[1] * 32 + [200] * 32, [99] * 64]
    source = written(photo(), "jpeg", qtables=steps, subsampling="4:2:0")
    result = requantised(source, 50)
    assert isinstance(result, bytes)
    usual = tables(written(photo(), "jpeg", quality=50))
    assert tables(result)[0] == [max(pair) for pair in zip(tables(source)[0], usual[0], strict=True)]


def test_what_cannot_get_coarser_is_copied() -> None:
    source = written(photo(), "jpeg", quality=40, subsampling="4:2:0")
    once = requantised(source, 50)
    assert isinstance(once, bytes)
    assert apart(opened(once), opened(source)) == 0
    assert requantised(once, 50) == once


def test_thrift_trades_bytes_for_likeness() -> None:
    source = written(Image.effect_noise((256, 256), 25), "jpeg", quality=95)
    sizes, likeness = [], []
    for thrift in (0.0, 1.0, 4.0):
        result = requantised(source, thrift=thrift)
        assert isinstance(result, bytes)
        sizes.append(len(result))
        likeness.append(_requant.ssim(opened(source).tobytes(), opened(result).tobytes(), 256, 256))
    assert sizes == sorted(sizes, reverse=True)
    assert likeness == sorted(likeness, reverse=True)
    assert likeness[1] > 0.75


# Turning


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_every_orientation_is_undone(orientation: int, sampling: str) -> None:
    undo = UNDO[orientation]
    upright = Image.blend(photo(128, 96), quarters(128, 96), 0.5)
    source = written(upright if undo is None else upright.transpose(undo), "jpeg", quality=95, subsampling=sampling)
    image = made(source, 95, orientation=orientation, thrift=0)
    assert image.size == (128, 96)
    assert apart(image, pixels.turned(opened(source), orientation)) < 1.5


@pytest.mark.parametrize(
    ("size", "fits"),
    [
        ((16, 16), {1, 2, 3, 4, 5, 6, 7, 8}),
        ((16, 20), {1, 2, 5, 6 + 2}),
        ((20, 16), {1, 4, 5, 6}),
        ((20, 20), {1, 5}),
    ],
)
def test_only_whole_units_can_change_sides(size: tuple[int, int], fits: set[int]) -> None:
    source = written(photo(*size), "jpeg", quality=90, subsampling="4:2:0")
    results = {number: requantised(source, orientation=number) for number in range(1, 9)}
    assert {number for number, result in results.items() if result != "edges"} == fits
    assert requantised(written(photo(24, 40), "jpeg", quality=95, subsampling="4:4:4"), orientation=3) != "edges"


# Segments


def test_nothing_of_the_sources_metadata_is_left() -> None:
    block = Image.Exif()
    block[0x010F] = "SECRET"
    source = written(photo(), "jpeg", exif=block, comment=b"SECRET", xmp=b"SECRET", icc_profile=b"SECRET" * 40)
    result = requantised(source)
    assert isinstance(result, bytes)
    assert b"SECRET" not in result
    assert result.startswith(b"\xff\xd8\xff\xe0\x00\x10JFIF")


def test_segments_are_written_as_given() -> None:
    result = requantised(written(photo(), "jpeg"), segments=memoryview(b"\xff\xfe\x00\x07hello"))
    assert isinstance(result, bytes)
    assert opened(result).info["comment"] == b"hello"


def test_density_is_kept_and_turned() -> None:
    source = written(photo(), "jpeg", dpi=(300, 150))
    assert made(source).info["dpi"] == (300, 150)
    assert made(source, orientation=6).info["dpi"] == (150, 300)


# Declining is a value


def test_colours_that_are_not_ours() -> None:
    assert requantised(written(photo().convert("CMYK"), "jpeg")) == "cmyk"
    assert requantised(written(photo(), "jpeg", keep_rgb=True)) == "colours"


@pytest.mark.parametrize(
    ("offset", "value", "reason"),
    [
        (4, 12, "precision"),
        (1, 0xC9, "arithmetic"),
        (1, 0xCA, "arithmetic"),
        (1, 0xC3, "lossless"),
        (1, 0xC5, "hierarchical"),
    ],
)
def test_frames_that_are_not_ours(offset: int, value: int, reason: str) -> None:
    assert requantised(patched(written(photo(), "jpeg"), 0xC0, offset, value)) == reason


def test_steps_that_make_no_sense() -> None:
    assert requantised(patched(written(photo(), "jpeg"), 0xDB, 9, 0)) == "tables"


def test_limits_are_kept() -> None:
    source = written(photo(100, 100), "jpeg", progressive=True)
    assert requantised(source, max_pixels=9999) == "pixels"
    assert requantised(source, memory_bytes=20_000) == "memory"
    assert requantised(source, max_scans=2) == "scans"
    assert _requant.requantise(source, 50) == "pixels"  # none given: nothing is allowed
    assert isinstance(requantised(source, max_pixels=10_000, max_scans=10), bytes)


def test_arguments_out_of_range() -> None:
    source = written(photo(), "jpeg")
    for how in ({"quality": 0}, {"quality": 101}, {"orientation": 0}, {"orientation": 9}, {"progressive": 2}):
        with pytest.raises(ValueError, match="quality is 1 to 100"):
            requantised(source, **how)


# Broken is an error, in libjpeg's words


def test_a_source_without_its_end() -> None:
    source = written(photo(), "jpeg", quality=92)
    for end in (len(source) // 2, len(source) - 2):
        with pytest.raises(_requant.RequantError, match=r"[Pp]remature end"):
            requantised(source[:end])


def test_what_is_no_jpeg_at_all() -> None:
    for data in (b"", b"\xff", b"\xff\xd8", b"\xff\xd8\xff\xd9", b"GIF89a", b"\xff\xd8" + b"\xff" * 1000):
        with pytest.raises(_requant.RequantError):
            requantised(data)


@needs_shared
@pytest.mark.parametrize("path", HOSTILE, ids=[path.name for path in HOSTILE])
def test_hostile_files(path: Path) -> None:
    try:
        result = requantised(path.read_bytes())
    except _requant.RequantError:
        return
    if isinstance(result, bytes):
        with Image.open(path) as source:
            assert opened(result).size == source.size


@pytest.mark.parametrize("how", [{}, {"progressive": True}, {"subsampling": "4:4:4"}, {"restart_marker_blocks": 1}])
def test_flipped_bytes(how: dict[str, Any]) -> None:
    source = written(noise(48, 40), "jpeg", quality=90, **how)
    for at in range(2, len(source), 7):
        data = bytearray(source)
        data[at] ^= 0xFF
        try:
            result = requantised(bytes(data), orientation=at % 8 + 1)
        except _requant.RequantError:
            continue
        if isinstance(result, bytes):
            opened(result)


# A guest that leaves nothing behind


def test_the_gil_is_released() -> None:
    source = written(noise(1500, 1500), "jpeg", quality=95)
    begun, is_seen = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        while not is_seen.is_set():
            requantised(source)

    interval, began = sys.getswitchinterval(), time.monotonic()
    sys.setswitchinterval(100)  # no thread gives way of itself
    try:
        thread = threading.Thread(target=work)
        thread.start()
        begun.wait()
        is_seen.set()
    finally:
        sys.setswitchinterval(interval)
        thread.join()
    assert time.monotonic() - began < 90


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
def test_nothing_leaks() -> None:
    good = written(photo(200, 200), "jpeg", quality=92, subsampling="4:4:4")
    bad = [good[: len(good) // 2], patched(good, 0xDB, 9, 0), written(photo(), "jpeg", progressive=True)]
    resident = sandbox.Resident()

    def call(times: int) -> None:
        for number in range(times):
            requantised(good, orientation=number % 8 + 1)
            for data in bad:
                try:
                    requantised(data, max_scans=3)
                except _requant.RequantError:
                    continue

    call(100)
    before = resident.bytes()
    call(500)
    assert resident.bytes() - before < 2 << 20


# The measure


def test_likeness_of_an_image_with_itself_is_one() -> None:
    for width, height in ((64, 48), (11, 11), (3, 200), (1, 1)):
        data = noise(width, height).convert("L").tobytes()
        assert _requant.ssim(data, data, width, height) == pytest.approx(1, abs=1e-5)


def test_likeness_by_hand() -> None:
    """Flat images: means alone count, (2ab + C1) / (a² + b² + C1)."""
    expected = (2 * 100 * 120 + 6.5025) / (100**2 + 120**2 + 6.5025)
    assert _requant.ssim(bytes([100]) * 400, bytes([120]) * 400, 20, 20) == pytest.approx(expected, abs=1e-4)


def test_likeness_falls_with_quality() -> None:
    source = photo().convert("L")
    found = []
    for quality in (95, 60, 20, 5):
        with Image.open(io.BytesIO(written(source, "jpeg", quality=quality))) as image:
            found.append(_requant.ssim(source.tobytes(), image.tobytes(), 256, 256))
    assert found == sorted(found, reverse=True)
    assert 0.5 < found[-1] < found[0] <= 1


def test_likeness_wants_equal_sizes() -> None:
    for one, other, width, height in ((b"1234", b"123", 2, 2), (b"1234", b"1234", 3, 1), (b"", b"", 0, 0)):
        with pytest.raises(ValueError, match="width times height"):
            _requant.ssim(one, other, width, height)
