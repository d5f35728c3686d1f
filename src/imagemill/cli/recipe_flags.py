"""The recipe as flags, for every verb that compresses; what they accept is what `core.recipe` says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar, get_args

import click
import msgspec

from imagemill.core.errors import RequestError
from imagemill.core.job import Submission
from imagemill.core.recipe import Recipe, Thumbnail, thumbnail

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def _choices(struct: type[msgspec.Struct], name: str) -> click.Choice[str]:
    kind = next(field.type for field in msgspec.structs.fields(struct) if field.name == name)
    return click.Choice(get_args(kind))


def _thumbnails(_: click.Context, __: click.Parameter, texts: Sequence[str]) -> tuple[Thumbnail, ...] | None:
    try:
        return tuple(map(thumbnail, texts)) or None
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


_FLAGS: Final = (
    click.option("--quality", type=int, help="1 to 100, libjpeg's scale.  [default: image.quality, 50]"),
    click.option("--format", type=_choices(Recipe, "format"), help="Format to write.  [default: image.format, auto]"),
    click.option("--max-width", type=int, help="Wider images are made this wide, in pixels."),
    click.option("--max-height", type=int, help="Higher images are made this high, in pixels."),
    click.option(
        "--thumbnail", "thumbnails", multiple=True, callback=_thumbnails, metavar="WxH[:cover|contain]",
        help="A further output of this size; may be given again.",
    ),
    click.option("--metadata", type=_choices(Recipe, "metadata"), help="What is left of it.  [default: strip]"),
    click.option("--background", help="Colour behind transparent parts in JPEG.  [default: #ffffff]"),
    click.option("--progressive", type=_choices(Recipe, "progressive"), help="Progressive JPEG.  [default: auto]"),
    click.option(
        "--accept-truncated/--refuse-truncated", default=None,
        help="Take what there is of a picture without its end.  [default: image.accept_truncated, refuse]",
    ),
)  # fmt: skip
_SHEET_FLAGS: Final = (
    click.option(
        "--image-column", metavar="NAME|#N",
        help="The column of links, where its name is not recognised: its name, or #3 for the third.",
    ),
    click.option(
        "--on-failure", type=_choices(Submission, "on_failure"), default="keep-url", show_default=True,
        help="What stands in the place of a failed image.",
    ),
    click.option("--errors-column", is_flag=True, help="Add a column that says which images failed and why."),
)  # fmt: skip


def recipe_flags(command: Decorated) -> Decorated:
    """Add the flags of a recipe."""
    return _decorated(command, _FLAGS)


def sheet_flags(command: Decorated) -> Decorated:
    """Add the flags that say how an output sheet is written."""
    return _decorated(command, _SHEET_FLAGS)


def _decorated(command: Decorated, flags: Sequence[Callable[[Any], Any]]) -> Decorated:
    for flag in reversed(flags):
        command = flag(command)
    return command


def recipe(flags: Mapping[str, object], defaults: Mapping[str, object]) -> Recipe:
    """Return the recipe of the flags that were given, over the settings' defaults."""
    given = {name: value for name, value in flags.items() if value is not None}
    try:
        return msgspec.convert(dict(defaults) | given, Recipe)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `$.")
        flag = place.rstrip("`").partition("[")[0].replace("_", "-")
        raise RequestError(f"--{flag}: {message}") from error
