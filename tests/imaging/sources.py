"""Every kind of source that shops send, made here: format × variant, with what a viewer needs to know of it."""

from __future__ import annotations

import functools
import io
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from PIL import Image, ImageChops, ImageCms, ImageFilter, PngImagePlugin

from imagemill.imaging import coefficients
from tests.imaging import profiles
from tests.imaging.pictures import UNDO, photo, quarters, written

SIDES: Final = (75, 53)
DURATIONS: Final = [120, 40, 250]
_XMP: Final = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><d>SECRET</d></x:xmpmeta>'


class Source(NamedTuple):
    """A file. `is_exact`: it lost nothing of the picture it was made of. `has_exif`: artist Ann, camera SECRET."""

    data: bytes
    format: str
    picture: Image.Image
    is_grey: bool = False
    has_alpha: bool = False
    has_exif: bool = False
    frames: int = 1


def _exif(orientation: int = 1) -> Image.Exif:
    block = Image.Exif()
    block[0x0112] = orientation
    block[0x013B] = "Ann"
    block[0x010F] = "SECRET"
    return block


@functools.cache
def scene() -> Image.Image:
    """Four colours, strong, different from all its turns, and soft: nothing that JPEG or a resize would smear."""
    mixed = Image.blend(photo(*SIDES), quarters(*SIDES), 0.6)
    return mixed.filter(ImageFilter.GaussianBlur(5))


def faded() -> Image.Image:
    """The scene with an edge that fades out; what is hidden is black."""
    image = scene().convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(SIDES, Image.Resampling.BICUBIC))
    image.paste((0, 0, 0, 0), (0, 0, SIDES[0], 6))
    return image


def _stored(orientation: int, image: Image.Image | None = None) -> Image.Image:
    undo = UNDO[orientation]
    image = image or scene()
    return image if undo is None else image.transpose(undo)


def _jpeg(image: Image.Image | None = None, orientation: int = 1, **how: Any) -> Source:  # noqa: ANN401 — as Pillow has it
    image = image or scene()
    how = {"quality": 92, "exif": _exif(orientation), "comment": b"SECRET", "xmp": _XMP} | how
    return Source(
        written(_stored(orientation, image), "jpeg", **how), "jpeg", image, is_grey=image.mode == "L", has_exif=True
    )


def _standing() -> Source:
    """4:4:0: 4:2:2 turned by a quarter in its coefficients; Pillow does not write it."""
    if not coefficients.IS_BUILT:
        return _jpeg()
    lying = written(scene().transpose(Image.Transpose.TRANSPOSE), "jpeg", quality=95, subsampling="4:2:2")
    how = {"max_pixels": 10**6, "max_scans": 9, "memory_bytes": 10**8, "orientation": 5, "halve_chroma": False}
    data = vars(coefficients)["_requant"].requantise(lying, 92, **how)
    return Source(data, "jpeg", scene()) if isinstance(data, bytes) else _jpeg()


def _ycck() -> Source:
    """What Pillow writes as inks are luma and chroma of them, and the Adobe segment says so."""
    inks = scene().convert("CMYK").split()
    coded = Image.merge("RGB", inks[:3]).convert("YCbCr").split()
    stored = Image.merge("CMYK", [*map(ImageChops.invert, coded), inks[3]])
    data = written(stored, "jpeg", quality=95, subsampling=0)
    at = data.index(b"Adobe") + 11
    return Source(data[:at] + b"\x02" + data[at + 1 :], "jpeg", scene())


def _png(image: Image.Image, **how: Any) -> Source:  # noqa: ANN401 — as Pillow has it
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "SECRET")
    text.add_itxt("XML:com.adobe.xmp", "SECRET")
    data = written(image, "png", **({"exif": _exif(), "pnginfo": text} | how))
    has_alpha = image.mode in {"LA", "RGBA"} or image.has_transparency_data or "transparency" in how
    return Source(data, "png", image, is_grey=image.mode in {"1", "L", "LA"}, has_alpha=has_alpha, has_exif=True)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _raw_png(image: Image.Image, depth: int, *, is_interlaced: bool = False) -> Source:
    """8 or 16 bits a sample, in passes or not (PNG third edition, 8): Pillow writes neither 16-bit RGB nor passes."""
    kind = {"L": 0, "RGB": 2, "LA": 4, "RGBA": 6}[image.mode]
    header = struct.pack(">2I5B", *image.size, depth, kind, 0, 0, int(is_interlaced))
    rows = b"".join(_rows(image, depth, is_interlaced=is_interlaced))
    data = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")
    return Source(data, "png", image, is_grey=image.mode in {"L", "LA"}, has_alpha=image.mode.endswith("A"))


def _rows(image: Image.Image, depth: int, *, is_interlaced: bool) -> Iterator[bytes]:
    whole = [(0, 0, 1, 1)]
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    samples, bands = image.tobytes(), len(image.getbands())
    for left, top, across, down in passes if is_interlaced else whole:
        for y in range(top, image.height, down):
            at = [(y * image.width + x) * bands for x in range(left, image.width, across)]
            row = b"".join(samples[start : start + bands] for start in at)
            yield b"\x00" + (bytes(byte for value in row for byte in (value, value)) if depth == 16 else row)


def _deep_tiff(image: Image.Image) -> Source:
    """16 bits a sample, uncompressed, little-endian (TIFF 6.0, 2 and 6)."""
    bands = len(image.getbands())
    pixels = bytes(byte for value in image.tobytes() for byte in (value, value))
    tags = [(256, 3, 1, image.width), (257, 3, 1, image.height), (258, 3, 1, 16), (259, 3, 1, 1)]
    tags += [(262, 3, 1, 2 if bands == 3 else 1), (273, 4, 1, 8), (277, 3, 1, bands), (278, 3, 1, image.height)]
    tags += [(279, 4, 1, len(pixels))]
    if bands == 3:
        tags[2] = (258, 3, 3, 8 + len(pixels))
        pixels += struct.pack("<3H", 16, 16, 16)
    entries = b"".join(struct.pack("<2H2I", *tag) for tag in tags)
    head = b"II*\x00" + struct.pack("<I", 8 + len(pixels))
    directory = struct.pack("<H", len(tags)) + entries + bytes(4)
    return Source(head + pixels + directory, "tiff", image, is_grey=bands == 1)


def _with_gamma(source: Source, gamma: float) -> Source:
    """The same file, saying what its values mean (PNG third edition, 11.3.2.2)."""
    chunk = _chunk(b"gAMA", struct.pack(">I", round(gamma * 100_000)))
    return source._replace(data=source.data[:33] + chunk + source.data[33:])


def _frames() -> list[Image.Image]:
    frames = []
    for number in range(len(DURATIONS)):
        frame = Image.new("RGBA", SIDES)
        frame.paste(scene().rotate(number * 90), (10, 6), Image.new("L", SIDES, 255))
        frame.paste((0, 0, 0, 0), (10 + 15 * number, 10, 25 + 15 * number, 30))
        frames.append(frame)
    return frames


def _film(form: str, mode: str = "RGBA", **how: Any) -> Source:  # noqa: ANN401 — as Pillow has it
    first, *others = [frame.convert(mode) for frame in _frames()]
    data = written(first, form, save_all=True, append_images=others, duration=DURATIONS, loop=2, **how)
    return Source(data, form, first, has_alpha=mode.endswith("A"), frames=len(DURATIONS))


def _webp(image: Image.Image, **how: Any) -> Source:  # noqa: ANN401 — as Pillow has it
    how = {"exif": _exif(), "xmp": _XMP} | how
    return Source(written(image, "webp", **how), "webp", image, has_alpha=image.mode == "RGBA", has_exif=True)


def _plain(image: Image.Image, form: str, picture: Image.Image | None = None, **how: Any) -> Source:  # noqa: ANN401
    has_alpha = image.mode == "RGBA" or "transparency" in image.info
    is_grey = image.mode in {"1", "L"}
    return Source(written(image, form, **how), form, picture or image, is_grey=is_grey, has_alpha=has_alpha)


def _lab() -> Image.Image:
    image = ImageCms.profileToProfile(scene(), profiles_of("sRGB"), profiles_of("LAB"), outputMode="LAB")
    assert image is not None
    return image


def profiles_of(name: str) -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(name))  # type: ignore[arg-type]


def _turned_tiff(orientation: int) -> Source:
    return Source(written(_stored(orientation), "tiff", tiffinfo={0x0112: orientation}), "tiff", scene())


def _multi_picture() -> Source:
    out = io.BytesIO()
    scene().save(out, "MPO", save_all=True, append_images=[quarters(40, 30)], quality=92)
    return Source(out.getvalue(), "jpeg", scene())


def _gain_map() -> Source:
    """A photograph of a telephone: a second JPEG with its own EXIF behind the end of the first."""
    first = _jpeg()
    return first._replace(data=first.data + _jpeg(scene().convert("L")).data + b"SECRET")


def _grey() -> Image.Image:
    return scene().convert("L")


def _faded_grey() -> Image.Image:
    return faded().convert("LA")


def _few() -> Image.Image:
    return scene().quantize(200)


def _clipped() -> Image.Image:
    """A palette, one of whose colours is transparent."""
    image = Image.new("RGB", SIDES, (255, 0, 255))
    image.paste(quarters(*SIDES), (12, 0))
    few = image.quantize(16)
    few.info["transparency"] = few.getpixel((2, 2))
    return few


def _holed() -> Image.Image:
    """Flat quarters, the first of them clear."""
    image = quarters(*SIDES).convert("RGBA")
    image.paste((220, 30, 30, 0), (0, 0, SIDES[0] // 2, SIDES[1] // 2))
    return image


def _grey_and_clear() -> Source:
    grey = quarters(*SIDES).convert("L")
    return _png(grey, transparency=grey.getpixel((2, 2)))._replace(picture=_holed().convert("LA"))


MAKERS: Final[dict[str, Callable[[], Source]]] = {
    "jpeg baseline": _jpeg,
    "jpeg progressive": lambda: _jpeg(progressive=True),
    "jpeg grey": lambda: _jpeg(_grey()),
    "jpeg grey progressive": lambda: _jpeg(_grey(), progressive=True),
    "jpeg 4:4:4": lambda: _jpeg(subsampling="4:4:4"),
    "jpeg 4:2:2": lambda: _jpeg(subsampling="4:2:2"),
    "jpeg 4:4:0": _standing,
    "jpeg whole blocks": lambda: _jpeg(scene().resize((64, 48)), 6),
    "jpeg restarts": lambda: _jpeg(restart_marker_blocks=2),
    **{f"jpeg orientation {n}": functools.partial(_jpeg, None, n) for n in range(2, 9)},
    "jpeg grey orientation 8": lambda: _jpeg(_grey(), 8),
    "jpeg rgb": lambda: _jpeg(keep_rgb=True),
    "jpeg cmyk": lambda: _jpeg(scene().convert("CMYK")),
    "jpeg cmyk profile": lambda: _jpeg(scene().convert("CMYK"), icc_profile=profiles.INKS),
    "jpeg cmyk profile orientation 6": lambda: _jpeg(scene().convert("CMYK"), 6, icc_profile=profiles.INKS),
    "jpeg ycck": _ycck,
    "jpeg adobe rgb": lambda: _jpeg(icc_profile=profiles.ADOBE_RGB),
    "jpeg adobe rgb orientation 5": lambda: _jpeg(None, 5, icc_profile=profiles.ADOBE_RGB),
    "jpeg display p3": lambda: _jpeg(icc_profile=profiles.DISPLAY_P3),
    "jpeg srgb": lambda: _jpeg(icc_profile=profiles.SRGB),
    "jpeg grey profile": lambda: _jpeg(_grey(), icc_profile=profiles.GREY),
    "jpeg profile that does not fit": lambda: _jpeg(_grey(), icc_profile=profiles.ADOBE_RGB),
    "jpeg multi-picture": _multi_picture,
    "jpeg gain map": _gain_map,
    "png rgb": lambda: _png(scene()),
    "png grey": lambda: _png(_grey()),
    "png grey alpha": lambda: _png(_faded_grey()),
    "png rgba": lambda: _png(faded()),
    "png palette": lambda: _png(_few()),
    "png palette, clipped": lambda: _png(_clipped()),
    "png palette, faded": lambda: _png(faded().quantize(64)),
    "png one colour clear": lambda: _png(quarters(*SIDES), transparency=(220, 30, 30))._replace(picture=_holed()),
    "png one grey clear": _grey_and_clear,
    "png 1 bit": lambda: _png(scene().convert("1")),
    "png 16-bit grey": lambda: _raw_png(_grey(), 16),
    "png 16-bit rgb": lambda: _raw_png(scene(), 16),
    "png 16-bit rgba": lambda: _raw_png(faded(), 16),
    "png interlaced": lambda: _raw_png(scene(), 8, is_interlaced=True),
    "png interlaced rgba": lambda: _raw_png(faded(), 8, is_interlaced=True),
    "png adobe rgb": lambda: _png(scene(), icc_profile=profiles.ADOBE_RGB),
    "png adobe rgb alpha": lambda: _png(faded(), icc_profile=profiles.ADOBE_RGB),
    "png adobe rgb palette": lambda: _png(_few(), icc_profile=profiles.ADOBE_RGB),
    "png grey profile": lambda: _png(_grey(), icc_profile=profiles.GREY),
    "png other gamma": lambda: _with_gamma(_png(scene()), 1.0),
    "png other gamma, palette": lambda: _with_gamma(_png(_few()), 1.0),
    "png other gamma, alpha": lambda: _with_gamma(_png(faded()), 0.6),
    "png other gamma, animated": lambda: _with_gamma(_film("png"), 0.6),
    "png usual gamma": lambda: _with_gamma(_png(scene()), 0.45455),
    "png orientation 6": lambda: _png(_stored(6), exif=_exif(6))._replace(picture=scene()),
    "png animated": lambda: _film("png"),
    "png animated, grey profile": lambda: _film("png", "L", icc_profile=profiles.GREY),
    "webp lossy": lambda: _webp(scene(), quality=92),
    "webp lossless": lambda: _webp(scene(), lossless=True),
    "webp alpha": lambda: _webp(faded(), quality=92),
    "webp lossless alpha": lambda: _webp(faded(), lossless=True),
    "webp display p3": lambda: _webp(scene(), quality=92, icc_profile=profiles.DISPLAY_P3),
    "webp orientation 7": lambda: _webp(_stored(7), exif=_exif(7))._replace(picture=scene()),
    "webp animated": lambda: _film("webp", quality=92),
    "webp animated p3": lambda: _film("webp", quality=92, icc_profile=profiles.DISPLAY_P3),
    "gif": lambda: _plain(_few(), "gif"),
    "gif interlaced": lambda: _plain(_few(), "gif", interlace=1),
    "gif not interlaced": lambda: _plain(_few(), "gif", interlace=0),
    "gif clipped": lambda: _plain(_clipped(), "gif"),
    "gif grey": lambda: _plain(_grey(), "gif"),
    "gif animated": lambda: _film("gif", disposal=2),
    "bmp": lambda: _plain(scene(), "bmp"),
    "bmp grey": lambda: _plain(_grey(), "bmp"),
    "bmp 1 bit": lambda: _plain(scene().convert("1"), "bmp"),
    "bmp palette": lambda: _plain(_few(), "bmp"),
    "tiff": lambda: _plain(scene(), "tiff"),
    "tiff lzw": lambda: _plain(scene(), "tiff", compression="tiff_lzw"),
    "tiff grey": lambda: _plain(_grey(), "tiff"),
    "tiff 1 bit": lambda: _plain(scene().convert("1"), "tiff", compression="group4"),
    "tiff rgba": lambda: _plain(faded(), "tiff"),
    "tiff palette": lambda: _plain(_few(), "tiff"),
    "tiff cmyk": lambda: _plain(scene().convert("CMYK"), "tiff"),
    "tiff cmyk profile": lambda: _plain(scene().convert("CMYK"), "tiff", icc_profile=profiles.INKS),
    "tiff lab": lambda: _plain(_lab(), "tiff", scene()),
    "tiff 16-bit grey": lambda: _deep_tiff(_grey()),
    "tiff 16-bit rgb": lambda: _deep_tiff(scene()),
    "tiff adobe rgb": lambda: _plain(scene(), "tiff", icc_profile=profiles.ADOBE_RGB),
    **{f"tiff orientation {n}": functools.partial(_turned_tiff, n) for n in range(2, 9)},
}


@functools.cache
def made(name: str) -> Source:
    """One of MAKERS, made once."""
    return MAKERS[name]()
