"""A recipe's bounds, and the parsing of thumbnail sizes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from imagemill.core.recipe import Recipe, Thumbnail, thumbnail


@pytest.mark.parametrize(
    ("text", "expected", "name"),
    [
        ("100x80", Thumbnail(100, 80, "cover"), "thumb-100x80"),
        ("100x80:cover", Thumbnail(100, 80, "cover"), "thumb-100x80"),
        (" 100X80:Contain ", Thumbnail(100, 80, "contain"), "thumb-100x80-contain"),
        ("1x16384", Thumbnail(1, 16384), "thumb-1x16384"),
    ],
)
def test_a_size_is_parsed_and_named(text: str, expected: Thumbnail, name: str) -> None:
    assert thumbnail(text) == expected
    assert thumbnail(text).name == name


@pytest.mark.parametrize("text", ["", "100", "100x", "x100", "100x80:crop", "-1x5", "100x80:", "1e2x5", "١x١"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="WxH"):
        thumbnail(text)


@pytest.mark.parametrize("text", ["16385x10", "10x99999", "0x10", "10x0"])
def test_a_size_has_bounds(text: str) -> None:
    with pytest.raises(ValueError, match="Expected `int`"):
        thumbnail(text)


@pytest.mark.parametrize(
    "fields",
    [
        {"quality": 0},
        {"quality": 101},
        {"format": "gif"},
        {"max_width": 0},
        {"max_height": 16385},
        {"metadata": "all"},
        {"background": "white"},
        {"progressive": "maybe"},
        {"thumbnails": ["10x10"]},
    ],
)
def test_a_recipe_has_bounds(fields: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(fields, Recipe)
