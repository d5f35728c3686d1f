"""Animations: every frame is decoded, so that a broken one is noticed; order, durations and loop are kept."""

from __future__ import annotations

from typing import Final, NamedTuple

from PIL import Image

from imagemill.core.recipe import Recipe
from imagemill.imaging import colour, encode, pixels, sizes

_LOSSLESS: Final = frozenset({"gif", "png"})


class Film(NamedTuple):
    """An animation read: its first picture, and its frames in the output's size (none when it is not rewritten)."""

    first: pixels.Picture
    frames: list[Image.Image]
    loop: encode.Loop


def is_kept(source: pixels.Source, recipe: Recipe) -> bool:
    """Say whether the output moves: as `jpeg` and `png` an animation is its first frame."""
    return source.frames > 1 and recipe.format in {"auto", "keep", "webp"}


def is_rewritten(source: pixels.Source, form: str, size: tuple[int, int]) -> bool:
    """GIF and APNG in their own size are published as they are: lossless, and written anew they grow."""
    return form != source.format or form not in _LOSSLESS or size != (source.width, source.height)


def read(source: pixels.Source, size: tuple[int, int], *, with_frames: bool) -> Film:
    """Decode all frames, turned and resized one by one, so that memory holds the output's size and not the source's."""
    image, frames, durations = source.image, [], []
    first: Image.Image | None = None
    loop = image.info.get("loop")
    has_default_image = bool(image.info.get("default_image"))
    with pixels.reading(source.format, source.data):
        for number in range(source.frames):
            if not _is_there(source, number):
                break
            durations.append(round(float(image.info.get("duration", 0) or 0)))
            if first is None:
                first = pixels.turned(_coloured(image), source.tags.orientation)
            if with_frames:
                frames.append(_frame(image, source.tags.orientation, size))
        if first is None:
            raise EOFError
        plain = colour.normalised(first)
    profile = colour.profile_to_keep(image.info.get("icc_profile"), plain.mode)
    skipped = 1 if has_default_image else 0
    loop_of = encode.Loop(durations[skipped:], loop if isinstance(loop, int) else None, has_default_image)
    return Film(pixels.Picture(plain, profile, None), frames, loop_of)


def written(film: Film, form: str, look: encode.Look) -> bytes:
    """Write the frames. APNG's picture that only stands in for the animation is left out where the format has none."""
    frames = film.frames[1:] if film.loop.has_default_image and form != "png" else film.frames
    opaque = [colour.without_idle_alpha(frame) for frame in frames]
    is_opaque = all(frame.mode == "RGB" for frame in opaque)
    return encode.animation(opaque if is_opaque else frames, form, look, film.loop)


def _is_there(source: pixels.Source, number: int) -> bool:
    """Go to a frame. What a source without its end has before it is enough where that is accepted."""
    try:
        source.image.seek(number)
        source.image.load()
    except pixels.BROKEN:
        if not source.is_partial or number == 0:
            raise
        return False
    return True


def _coloured(image: Image.Image) -> Image.Image:
    """Return the frame in RGBA; greys with a profile of greys by that, for it does not fit colours."""
    profile = colour.profile_to_keep(image.info.get("icc_profile"), image.mode) if image.mode in {"L", "LA"} else None
    shown = colour.in_srgb(image, profile) if profile else image
    return colour.without_gamma(shown.convert("RGBA"), image.info)


def _frame(image: Image.Image, orientation: int, size: tuple[int, int]) -> Image.Image:
    upright = pixels.turned(_coloured(image), orientation)
    frame = pixels.resized(upright, sizes.Cut(*size, sizes.whole(*upright.size)))
    frame.info = {}
    return frame
