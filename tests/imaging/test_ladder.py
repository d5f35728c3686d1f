from __future__ import annotations

from typing import Any
from zlib import crc32

import pytest
from PIL import Image, ImageCms, ImageOps, JpegImagePlugin

from imagemill.core.errors import ImageCode, ImageError
from imagemill.core.recipe import Recipe, Thumbnail
from imagemill.imaging import coefficients, encode, ladder, pixels, strip
from imagemill.imaging.protocol import Limits
from tests.imaging.pictures import (
    LIMITS,
    UNDO,
    apart,
    code,
    compressed,
    cut_out,
    failure,
    noise,
    opened,
    photo,
    quarters,
    written,
)


def _exif(orientation: int = 1, **tags: str) -> Image.Exif:
    block = Image.Exif()
    if orientation != 1:
        block[0x0112] = orientation
    for name, value in tags.items():
        block[{"artist": 0x013B, "rights": 0x8298, "camera": 0x010F}[name]] = value
    return block


# Which format


@pytest.mark.parametrize(
    ("form", "wanted", "made"),
    [
        ("jpeg", "auto", "jpeg"),
        ("png", "auto", "jpeg"),
        ("bmp", "auto", "jpeg"),
        ("tiff", "auto", "jpeg"),
        ("webp", "auto", "webp"),
        ("jpeg", "keep", "jpeg"),
        ("png", "keep", "png"),
        ("webp", "keep", "webp"),
        ("bmp", "keep", "jpeg"),
        ("tiff", "keep", "jpeg"),
        ("png", "webp", "webp"),
        ("jpeg", "png", "png"),
        ("webp", "jpeg", "jpeg"),
    ],
)
def test_format_of_a_photograph(form: str, wanted: str, made: str) -> None:
    source = photo(300, 200)
    piece = compressed(written(source, form), format=wanted)
    assert piece.format == made
    assert opened(piece.data).format == made.upper()
    assert apart(opened(piece.data), source) < 4


@pytest.mark.parametrize("form", ["png", "bmp", "tiff", "gif"])
def test_flat_graphics_become_png_and_lose_nothing(form: str) -> None:
    source = quarters()
    piece = compressed(written(source, form))
    assert (piece.format, apart(opened(piece.data), source)) == ("png", 0)


def test_a_grey_photograph_becomes_a_grey_jpeg() -> None:
    piece = compressed(written(photo(400, 400).convert("L"), "png"))
    assert (piece.format, opened(piece.data).mode) == ("jpeg", "L")


def test_a_gif_is_kept_a_gif_only_if_asked_to() -> None:
    data = written(photo(200, 200), "gif")
    assert compressed(data).format == "png"
    assert compressed(data, format="keep").format == "gif"
    assert compressed(data, format="keep", max_width=50).format == "gif"


def test_a_format_that_cannot_hold_the_sides() -> None:
    data = written(Image.new("RGB", (17000, 2)), "png")
    assert failure(data, format="webp").image_code is ImageCode.TOO_MANY_PIXELS
    assert compressed(data, format="webp", max_width=1000).format == "webp"


# Transparency


@pytest.mark.parametrize("form", ["png", "webp", "tiff"])
@pytest.mark.parametrize("wanted", ["auto", "keep"])
def test_real_transparency_is_kept(form: str, wanted: str) -> None:
    piece = compressed(written(cut_out(), form), format=wanted)
    image = opened(piece.data).convert("RGBA")
    assert piece.format == ("webp" if form == "webp" else "png")
    assert image.getpixel((10, 30))[3] == 0  # type: ignore[index]
    assert image.getpixel((60, 30))[3] == 255  # type: ignore[index]


@pytest.mark.parametrize(("background", "colour"), [("#ffffff", (255, 255, 255)), ("#0000ff", (0, 0, 255))])
def test_transparency_lies_on_the_background_in_a_jpeg(background: str, colour: tuple[int, int, int]) -> None:
    piece = compressed(written(cut_out(), "png"), format="jpeg", background=background)
    expected = Image.new("RGB", (80, 60), colour)
    expected.paste((200, 20, 20), (40, 0, 80, 60))
    assert apart(opened(piece.data), expected) < 5


def test_an_opaque_alpha_channel_is_dropped() -> None:
    source = photo(200, 200)
    source.putalpha(255)
    piece = compressed(written(source, "png"))
    assert piece.format == "jpeg"


def test_transparency_of_a_palette_and_of_a_single_colour() -> None:
    palette = cut_out().quantize(8)
    single = written(quarters(), "png", transparency=(220, 30, 30))
    for data in (written(palette, "png"), single, written(cut_out(), "gif")):
        for recipe in ({}, {"max_width": 40}, {"format": "webp"}):
            image = opened(compressed(data, **recipe).data).convert("RGBA")
            assert image.getpixel((5, 5))[3] == 0  # type: ignore[index]


def test_resizing_does_not_darken_transparent_edges() -> None:
    image = opened(compressed(written(cut_out(800, 600), "png"), max_width=83).data).convert("RGBA")
    visible = [pixel[:3] for _, pixel in image.getcolors(10000) or [] if isinstance(pixel, tuple) and pixel[3] > 40]
    assert visible
    assert all(red > 190 for red, *_ in visible)


# Sizes


def test_one_source_gives_all_sizes() -> None:
    recipe = Recipe(
        max_width=200,
        thumbnails=(Thumbnail(100, 100), Thumbnail(64, 64, "contain"), Thumbnail(500, 100)),
    )
    result = ladder.compress(written(photo(400, 300), "jpeg"), recipe, LIMITS)
    assert (result.format, result.width, result.height) == ("jpeg", 400, 300)
    assert [(piece.name, piece.width, piece.height) for piece in result.pieces] == [
        ("image", 200, 150),
        ("thumb-100x100", 100, 100),
        ("thumb-64x64-contain", 64, 48),
        ("thumb-500x100", 500, 100),
    ]
    assert all(opened(piece.data).size == (piece.width, piece.height) for piece in result.pieces)


@pytest.mark.parametrize("form", ["jpeg", "png", "webp"])
def test_a_reduction_looks_like_the_source(form: str) -> None:
    source = photo(1600, 1200)
    piece = compressed(written(source, form), max_width=100, quality=90)
    assert apart(opened(piece.data), source.resize((100, 75), Image.Resampling.LANCZOS)) < 3


def test_a_reduced_palette_stays_a_palette() -> None:
    piece = compressed(written(photo(400, 400).quantize(64), "png"), max_width=200)
    assert opened(piece.data).mode == "P"


def test_nothing_is_enlarged() -> None:
    assert compressed(written(photo(50, 40), "jpeg"), max_width=500, max_height=500)[3:5] == (50, 40)


# Orientation


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["jpeg", "png", "webp", "tiff"])
@pytest.mark.parametrize("recipe", [{}, {"max_width": 48}, {"metadata": "keep"}], ids=["plain", "reduced", "keep"])
def test_orientation_is_applied(orientation: int, form: str, recipe: dict[str, Any]) -> None:
    upright = quarters()
    undo = UNDO[orientation]
    stored = upright if undo is None else upright.transpose(undo)
    quality = {"quality": 95} if form in {"jpeg", "webp"} else {}
    result = ladder.compress(written(stored, form, exif=_exif(orientation), **quality), Recipe(**recipe), LIMITS)
    image = opened(result.pieces[0].data)
    assert (result.width, result.height) == (96, 64)
    assert image.getexif().get(0x0112, 1) == 1
    assert apart(image, upright.resize(image.size, Image.Resampling.LANCZOS)) < 8


def test_a_side_lying_source_is_turned_even_if_that_makes_it_larger() -> None:
    data = written(noise(64, 64), "jpeg", quality=20, exif=_exif(6))
    piece = compressed(data, quality=90)
    assert opened(piece.data).getexif().get(0x0112, 1) == 1


# Never larger, never better than the source


@pytest.mark.parametrize("form", ["jpeg", "png", "webp", "gif"])
@pytest.mark.parametrize("wanted", ["auto", "keep"])
def test_the_source_itself_is_published_when_nothing_smaller_came_out(form: str, wanted: str) -> None:
    once = compressed(written(quarters(), form, **({} if form != "jpeg" else {"quality": 5})), format=wanted).data
    twice = compressed(once, format=wanted)
    assert twice.data == once


def test_metadata_is_stripped_from_a_source_that_is_published() -> None:
    once = compressed(written(quarters(), "png", quality=5), format="keep").data
    text = b"SECRET\x00camera"
    data = (
        once[:33] + len(text).to_bytes(4, "big") + b"tEXt" + text + crc32(b"tEXt" + text).to_bytes(4, "big") + once[33:]
    )
    assert opened(data).info["SECRET"] == "camera"
    assert compressed(data, format="keep").data == strip.stripped("png", data) == once


def test_a_jpeg_that_cannot_get_smaller_loses_its_metadata() -> None:
    once = compressed(written(photo(), "jpeg", quality=95)).data
    segment = b"\xff\xe1\x00\x0eExif\x00\x00SECRET" + b"\xff\xfe\x00\x08SECRET"
    data = once[:20] + segment + once[20:]
    assert compressed(data).data == strip.stripped("jpeg", data) == once


@pytest.mark.parametrize("quality", [10, 30, 45, 50, 75, 95, 100])
def test_a_sources_quality_is_estimated(quality: int) -> None:
    image = opened(written(photo(), "jpeg", quality=quality))
    assert isinstance(image, JpegImagePlugin.JpegImageFile)
    assert encode.jpeg_quality(image.quantization) == pytest.approx(quality, abs=1)


def test_quality_is_never_above_the_sources() -> None:
    source = written(photo(500, 500), "jpeg", quality=30, exif=_exif(3))
    image = opened(compressed(source, quality=95).data)
    assert isinstance(image, JpegImagePlugin.JpegImageFile)
    assert encode.jpeg_quality(image.quantization) == pytest.approx(30, abs=1)
    assert encode.jpeg_quality({}) == 100


def test_jpeg_is_written_with_halved_chroma_and_progressive_if_asked() -> None:
    data = written(photo(500, 500), "jpeg", quality=95, subsampling=0)
    for wanted, is_progressive in (("no", False), ("yes", True)):
        image = opened(compressed(data, progressive=wanted).data)
        assert JpegImagePlugin.get_sampling(image) == 2
        assert bool(image.info.get("progressive")) is is_progressive


# Metadata


@pytest.mark.parametrize("form", ["jpeg", "png", "webp"])
@pytest.mark.parametrize(
    ("metadata", "kept"),
    [("strip", set()), ("copyright", {"Ann", "all rights"}), ("keep", {"Ann", "all rights", "SECRET CAMERA"})],
)
def test_metadata(form: str, metadata: str, kept: set[str]) -> None:
    block = _exif(6, artist="Ann", rights="all rights", camera="SECRET CAMERA")
    how = {"comment": b"SECRET"} if form == "jpeg" else {}
    piece = compressed(written(photo(320, 240), form, exif=block, **how), format="keep", metadata=metadata)
    assert {str(value) for value in opened(piece.data).getexif().values()} - {"1"} == kept
    assert metadata == "keep" or b"SECRET" not in piece.data


def test_copyright_of_a_tiff() -> None:
    piece = compressed(written(photo(), "tiff", exif=_exif(artist="Ann")), metadata="copyright")
    assert opened(piece.data).getexif()[0x013B] == "Ann"


def test_kept_xmp_no_longer_turns_the_picture() -> None:
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="6" dc:rights="Ann"/></x:xmpmeta>'
    data = written(photo(), "jpeg", quality=95, xmp=xmp, exif=_exif(6))
    kept = opened(compressed(data, metadata="keep").data).info["xmp"]
    assert b"Orientation" not in kept
    assert b"Ann" in kept


# Limits and broken sources


def test_pixels_are_limited_before_they_are_decoded() -> None:
    limits = Limits(9999, LIMITS.formats)
    for form in LIMITS.formats:
        error = failure(written(Image.new("RGB", (100, 100)), form), limits)
        assert (form, error.image_code) == (form, ImageCode.TOO_MANY_PIXELS)
    assert "100 × 100 pixels are more than image.max_pixels, 9999" in error.detail


def test_frames_count_as_pixels() -> None:
    frames = [Image.new("RGB", (50, 50), (number * 50, 0, 0)) for number in range(5)]
    for form in ("gif", "webp", "png"):
        data = written(frames[0], form, save_all=True, append_images=frames[1:])
        error = failure(data, Limits(10_000, LIMITS.formats))
        assert (form, error.image_code) == (form, ImageCode.TOO_MANY_PIXELS)
        assert "× 5 frames" in error.detail


@pytest.mark.parametrize("form", ["jpeg", "png", "webp", "gif"])
def test_a_source_without_its_end_is_truncated_for_good(form: str) -> None:
    data = written(noise(100, 100), form)
    error = failure(data[: len(data) // 2])
    assert (error.image_code, error.transient) == (ImageCode.TRUNCATED, False)


@pytest.mark.parametrize("form", ["jpeg", "png", "webp", "gif", "bmp", "tiff"])
def test_a_head_alone_has_a_named_error(form: str) -> None:
    data = written(noise(100, 100), form)
    for keep in (12, 20, 30, 60, 100):
        assert code(data[:keep]) in {ImageCode.TRUNCATED, ImageCode.DECODE_FAILED, ImageCode.NOT_AN_IMAGE}


@pytest.mark.parametrize("form", ["jpeg", "png", "webp", "gif", "bmp", "tiff"])
def test_flipped_bits_end_in_an_output_or_a_named_error(form: str) -> None:
    whole = written(noise(40, 40), form)
    for at in range(8, len(whole), max(1, len(whole) // 60)):
        data = whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]
        try:
            piece = compressed(data)
        except ImageError as error:
            assert error.image_code is not ImageCode.INTERNAL  # noqa: PT017 — an output is right as well
        else:
            assert opened(piece.data).size == (piece.width, piece.height)


# The first rung


def test_a_jpeg_of_any_sides_is_shown_upright() -> None:
    """Sides that no lossless turn allows: the pixels stay, and a minimal EXIF turns them in the viewer."""
    stored = quarters(100, 70)
    data = written(stored, "jpeg", quality=95, exif=_exif(6, camera="SECRET", artist="Ann"))
    for metadata, kept in (("strip", set()), ("copyright", {"Ann"}), ("keep", {"Ann", "SECRET"})):
        result = ladder.compress(data, Recipe(metadata=metadata), LIMITS)  # type: ignore[arg-type]
        piece, image = result.pieces[0], opened(result.pieces[0].data)
        assert (result.width, result.height) == (piece.width, piece.height) == (70, 100)
        assert image.size == (100, 70)
        tags = dict(image.getexif())
        assert tags.pop(0x0112) == 6
        assert set(tags.values()) == kept
        assert apart(ImageOps.exif_transpose(image), stored.transpose(Image.Transpose.ROTATE_270)) < 8


@pytest.mark.parametrize("size", [100, 70_000])
def test_a_profile_survives_whole_unless_it_is_srgb(size: int) -> None:
    profile = _wide_gamut() + bytes(size)
    profile = len(profile).to_bytes(4, "big") + profile[4:]
    data = written(photo(), "jpeg", quality=95, icc_profile=profile)
    assert opened(compressed(data).data).info["icc_profile"] == profile
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert "icc_profile" not in opened(compressed(written(photo(), "jpeg", quality=95, icc_profile=srgb)).data).info


def _wide_gamut() -> bytes:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace("sRGB built-in".encode("utf-16-be"), "Wide built-in".encode("utf-16-be")).replace(
        b"sRGB", b"Wide"
    )


def test_thumbnails_beside_a_main_output_that_needs_no_pixels() -> None:
    recipe = Recipe(thumbnails=(Thumbnail(100, 100), Thumbnail(64, 64, "contain")))
    source = photo(1600, 1200)
    result = ladder.compress(written(source, "jpeg", quality=95), recipe, LIMITS)
    assert [piece[3:5] for piece in result.pieces] == [(1600, 1200), (100, 100), (64, 48)]
    assert apart(opened(result.pieces[0].data), source) < 2
    assert apart(opened(result.pieces[2].data), source.resize((64, 48), Image.Resampling.LANCZOS)) < 3


@pytest.mark.parametrize("form", ["webp", "png"])
def test_other_formats_take_pixels(form: str) -> None:
    assert compressed(written(photo(), "jpeg"), format=form).format == form


def test_without_the_module_jpegs_take_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    data = written(photo(500, 400), "jpeg", quality=95)
    monkeypatch.setattr(coefficients, "IS_BUILT", False)
    assert coefficients.library() == ""
    assert apart(opened(compressed(data).data), photo(500, 400)) < 2


def test_what_the_module_declines_takes_pixels() -> None:
    for data in (
        written(photo().convert("CMYK"), "jpeg", quality=95),
        written(photo(), "jpeg", quality=95, keep_rgb=True),
    ):
        assert opened(compressed(data).data).size == (256, 256)
    whole = written(photo(), "jpeg", quality=95)
    assert opened(compressed(whole[:-2]).data).size == (256, 256)  # all there but its end, of which libjpeg warns


def test_metadata_too_long_for_a_segment_takes_pixels() -> None:
    source = pixels.opened(written(photo(), "jpeg", quality=95), LIMITS)
    source = source._replace(exif=b"Exif\x00\x00MM\x00*" + bytes(70_000))
    assert coefficients.made(source, Recipe(metadata="keep"), LIMITS) is None
    assert coefficients.made(source, Recipe(), LIMITS) is not None
