from __future__ import annotations

import pytest

from imagemill.core.sheet.urls import separator, spilled, split
from tests.core.sheet.tables import A, B


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("", []),
        (" ,; | \n", []),
        (f" {A} ", [A]),
        (f'"{A}","{B}"', [A, B]),
        (f"{A},1.jpg", [A, "1.jpg"]),
        (f"{A}; not this", [A, "not this"]),
        (f"{A},w_8,{B}", [A + ",w_8", B]),
        (f"{A},w_ ,{B}", [A, "w_", B]),
        (f"{A};{B};x=1", [A, B + ";x=1"]),
        (f"{A}|w_8", [A, "w_8"]),
        (f"\xa0{A}\xa0\r{B}", [A, B]),
    ],
)
def test_split(cell: str, expected: list[str]) -> None:
    assert split(cell) == expected


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (A, ","),
        (f"{A}, {B}", ", "),
        (f"{A} ;\t{B}", ";\t"),
        (f"{A}\r\n{B}", "\r\n"),
        (f"{A}\n, {B}", "\n"),
        (f';"{A}"| {B}', "| "),
    ],
)
def test_separator(cell: str, expected: str) -> None:
    assert separator(cell, A) == expected


@pytest.mark.parametrize(
    ("surplus", "expected"),
    [
        ([], 0),
        (["", ""], 0),
        ([A], 1),
        (["", f' "{A}"', ""], 3),
        ([A, "hat", B], 1),
        (["hat", A], 0),
        (["ftp://x", r"https:\\y"], 2),
        (["C:\\x", A], 0),
    ],
)
def test_spilled(surplus: list[str], expected: int) -> None:
    assert spilled(surplus) == expected
