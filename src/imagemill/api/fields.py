"""Form fields into a Submission. Every bad one is named, every unknown one too: a typing error is no default."""

import hashlib
import re
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec
from msgspec import Meta

from imagemill.core.errors import RequestError
from imagemill.core.job import Submission
from imagemill.core.recipe import THUMBNAIL_PATTERN, Colour, Quality, Recipe, Side, Thumbnail, thumbnail
from imagemill.settings import Settings

MAX_THUMBNAILS: Final = 16
_TEN_YEARS_S: Final = 10 * 366 * 86_400
_BOOLEANS: Final = {
    "true": True,
    "1": True,
    "yes": True,
    "on": True,
    "false": False,
    "0": False,
    "no": False,
    "off": False,
}


KEY_HEADER: Final = "Idempotency-Key"
MAX_KEY_CHARS: Final = 255
KEY_PATTERN: Final = r"^[\x21-\x7e]+$"
KEY_ACCEPTS: Final = f"1 to {MAX_KEY_CHARS} visible ASCII characters"


class Field(NamedTuple):
    """A field's type, what it is for and accepts, in words, and how its text becomes a value (or a ValueError)."""

    kind: object
    help: str
    accepts: str
    parse: Callable[[str, object], object]


def _plain(text: str, kind: object) -> object:
    value: object = msgspec.convert(text, kind, strict=False)
    return value


def _boolean(text: str, _: object) -> bool:
    value = _BOOLEANS.get(text.lower())
    if value is None:
        raise ValueError(text)
    return value


def _thumbnails(text: str, _: object) -> tuple[Thumbnail, ...]:
    sizes = tuple(dict.fromkeys(thumbnail(part) for part in text.split(",") if part.strip()))
    if len(sizes) > MAX_THUMBNAILS:
        raise ValueError(text)
    return sizes


_SIDE: Final = "a whole number of pixels from 1 to 16384"
_SIZES: Final = f"WxH, WxH:cover or WxH:contain, with commas between them, at most {MAX_THUMBNAILS}"
_SIZE_LIST: Final = Annotated[
    str, Meta(pattern=f"^{THUMBNAIL_PATTERN}(,{THUMBNAIL_PATTERN}){{0,{MAX_THUMBNAILS - 1}}}$")
]
_SECONDS: Final = f"a whole number of seconds from 1 to {_TEN_YEARS_S}"
_LINE: Final = Annotated[str, Meta(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]

RECIPE_FIELDS: Final = {
    "quality": Field(Quality, "libjpeg's scale.", "a whole number from 1 to 100", _plain),
    "format": Field(
        Literal["auto", "keep", "jpeg", "png", "webp"],
        "auto: photographs become JPEG, transparency and animation are kept.",
        "auto, keep, jpeg, png or webp",
        _plain,
    ),
    "max_width": Field(Side, "Wider images are made smaller; nothing is enlarged.", _SIDE, _plain),
    "max_height": Field(Side, "Higher images are made smaller; nothing is enlarged.", _SIDE, _plain),
    "thumbnails": Field(_SIZE_LIST, "Further outputs of each image.", _SIZES, _thumbnails),
    "metadata": Field(
        Literal["strip", "copyright", "keep"], "What stays of the metadata.", "strip, copyright or keep", _plain
    ),
    "background": Field(
        Colour, "What shows through where an image with alpha becomes JPEG.", "a colour as #rrggbb", _plain
    ),
    "progressive": Field(Literal["auto", "yes", "no"], "Progressive JPEG.", "auto, yes or no", _plain),
    "accept_truncated": Field(bool, "Take what there is of a picture without its end.", "true or false", _boolean),
}

JOB_FIELDS: Final = {
    "on_failure": Field(
        Literal["keep-url", "empty"], "What stands in the sheet for an image that failed.", "keep-url or empty", _plain
    ),
    "errors_column": Field(bool, "A further column with the error codes.", "true or false", _boolean),
    "keep_original": Field(bool, "Keep the sources as long as the job.", "true or false", _boolean),
    "callback_url": Field(
        Annotated[str, Meta(max_length=2048, extra_json_schema={"format": "uri", "pattern": "^https?://"})],
        "Called when the job has ended.",
        "an http or https URL of at most 2048 characters",
        _plain,
    ),
    "callback_secret": Field(
        Annotated[str, Meta(max_length=512)],
        "Signs the callback (Standard Webhooks).",
        "text of at most 512 characters",
        _plain,
    ),
    "priority": Field(
        Annotated[int, Meta(ge=-10, le=10)],
        "Each step doubles a job's share of its owner's work.",
        "a whole number from -10 to 10",
        _plain,
    ),
    "name": Field(_LINE, "For finding the job again.", "one line of at most 200 characters", _plain),
    "expires_in_s": Field(
        Annotated[int, Meta(ge=1, le=_TEN_YEARS_S)], "When the job and its files may be deleted.", _SECONDS, _plain
    ),
    "image_column": Field(
        _LINE,
        "The sheet's column of links, where its name is not recognised: its name, or `#3` for the third.",
        "one line of at most 200 characters",
        _plain,
    ),
}

FIELDS: Final = RECIPE_FIELDS | JOB_FIELDS

ALIASES: Final = dict.fromkeys(("webhook", "webhook_url", "webhookUrl", "callbackUrl"), "callback_url")


def submission(
    settings: Settings, pairs: Iterable[tuple[str, str]], known_errors: Iterable[tuple[str, str]] = ()
) -> Submission:
    """Return what the fields ask for, defaults being settings; RequestError lists every field that is wrong.

    An empty field counts as absent: HTML forms send those. `known_errors` are those found before: all are told at once.
    """
    texts, found = _gathered((name, value.strip()) for name, value in pairs)
    errors = [*known_errors, *found]
    values: dict[str, Any] = {}
    for name, text in texts.items():
        try:
            values[name] = FIELDS[name].parse(text, FIELDS[name].kind)
        except ValueError:
            # The value itself is not repeated: it may be a secret.
            errors.append((name, f"Must be {FIELDS[name].accepts}."))
    if errors:
        raise RequestError("Some fields are not right: `errors` names them.", errors)
    recipe = {name: value for name, value in values.items() if name in RECIPE_FIELDS}
    job = {name: value for name, value in values.items() if name in JOB_FIELDS}
    return Submission(recipe=Recipe(**(settings.image.recipe_defaults() | recipe)), **job)


def idempotency_key(values: list[str]) -> str | None:
    """Return the key that a request's headers give it, where they do; RequestError for one that cannot be kept."""
    if not values:
        return None
    if len(values) > 1 or len(values[0]) > MAX_KEY_CHARS or not re.match(KEY_PATTERN, values[0]):
        raise RequestError("The key cannot be used: `errors` says why.", [(KEY_HEADER, f"Must be {KEY_ACCEPTS}.")])
    return values[0]


def digest(pairs: Iterable[tuple[str, str]]) -> str:
    """Return the SHA-256 of what fields say, however they are spelled and ordered: equal requests have equal ones."""
    texts, _ = _gathered((name, value.strip()) for name, value in pairs)
    return hashlib.sha256(msgspec.json.encode(texts, order="sorted")).hexdigest()


def _gathered(pairs: Iterable[tuple[str, str]]) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Return one text a field, under its own name; a list may be given in several fields."""
    texts: dict[str, str] = {}
    errors = []
    for given, value in pairs:
        name = ALIASES.get(given, given)
        if name not in FIELDS:
            errors.append((given, f"There is no such field. There are: {', '.join(FIELDS)}."))
        elif name in texts and name != "thumbnails":
            errors.append((name, "Is given more than once."))
        elif value:
            texts[name] = f"{texts[name]},{value}" if name in texts else value
    return texts, errors
