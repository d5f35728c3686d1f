from typing_extensions import Buffer

LIBRARY: str  # name and version of the libjpeg whose headers it was built with

class RequantError(ValueError): ...  # libjpeg stopped at the data or warned of it; in its own words

# A smaller JPEG, or the reason why this one is not for us: "cmyk", "edges", "precision" ….
# `orientation` (EXIF's) is undone without loss; "edges" says that this size does not allow it. `progressive` is 0, 1,
# or -1 for what is smaller. `segments` are whole marker segments (ICC, EXIF) to be written; the source's own are not.
# `thrift` scales how much distortion a bit may cost. `is_plain` reads with libjpeg alone, for comparison.
# RequantError for broken data, MemoryError.
def requantise(
    data: Buffer,
    quality: int,
    *,
    max_pixels: int,
    max_scans: int,
    memory_bytes: int,
    orientation: int = 1,
    halve_chroma: bool = True,
    progressive: int = -1,
    thrift: float = 1.0,
    segments: Buffer = b"",
    is_plain: bool = False,
) -> bytes | str: ...

# The mean structural similarity of two grey images of one byte a pixel, over every `step`-th row of windows.
def ssim(one: Buffer, other: Buffer, width: int, height: int, step: int = 1, /) -> float: ...
