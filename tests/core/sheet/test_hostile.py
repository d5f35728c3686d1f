"""Sheets made to cost: time grows with their size and no faster, memory not at all."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable

import pytest

from imagemill.core.sheet import Rules, SheetReader
from tests.core.sheet.tables import HEAD, A, read

MANY = 1 << 17
MAX_S = 10
"""Ten times what the slowest of these takes on a busy machine, and far below what quadratic time would be."""


@pytest.mark.parametrize(
    "text",
    [
        '"' * MANY,
        '""' * MANY + "\n",
        HEAD + '"' + '\n""' * MANY,
        HEAD + "1,x," + '"' * (MANY - 1) + "\n",
        HEAD + '1,x,"' + "a\n" * MANY,
        HEAD + '1,"x\n' * 10_000,
        HEAD + "\n" * MANY,
        "x\n" * MANY,
        '"x\n' + "y\n" * MANY,
        '\n"\n' * 100_000,
        HEAD + "1,x,//" + "/@" * 30_000 + "\n",
        HEAD + '1,x,"' + ",w_" * 20_001 + '"\n',
        HEAD + "1,x," + "," * MANY,
        "Images" + "," * (MANY - 10) + f"\n{A}\n",
    ],
    ids=range(14),
)
def test_time_is_linear(text: str) -> None:
    began = time.process_time()
    read(text)
    assert time.process_time() - began < MAX_S


@pytest.mark.parametrize(
    "piece",
    [
        lambda n: f"{n},SKU{n},{A}\r\n" * 300,
        lambda n: f'{n},"SKU\n{n}","{A}, {A}"\n' * 200,
        lambda n: f"{n},SKU{n},1.jpg\n" * 400,
        lambda n: f"{n},SKU{n},\n" * 400,
        lambda n: "\n" * 5_000,
        lambda n: "x" * 40_000,
        lambda n: f'"{n}\n' + "y\n" * 2_000,
    ],
    ids=["plain", "quoted", "bad", "empty", "blank", "no line end", "open quote"],
)
def test_memory_does_not_grow_with_the_sheet(piece: Callable[[int], str]) -> None:
    reader = SheetReader(Rules())
    reader.feed(HEAD.encode())
    tracemalloc.start()
    for number in range(40):
        reader.feed(piece(number).encode())
        assert tracemalloc.get_traced_memory()[0] < 8 * (1 << 20)
    reader.close()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 * (1 << 20)
