"""Sheets made to cost: time grows with their size and no faster, memory not at all."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable

import pytest

from imagemill.core.sheet import Rules, SheetReader
from tests.core.sheet.tables import HEAD, A, read

MIB = 1 << 20
SECONDS = 20  # a thousand times what a quadratic reader would be allowed on a fast machine, a tenth of what it would take


@pytest.mark.parametrize(
    "text",
    [
        '"' * MIB,
        '""' * MIB + "\n",
        HEAD + '"' + '\n""' * MIB,
        HEAD + "1,x," + '"' * (MIB - 1) + "\n",
        HEAD + '1,x,"' + "a\n" * MIB,
        HEAD + '1,"x\n' * 20_000,
        HEAD + "\n" * MIB,
        "x\n" * MIB,
        '"x\n' + "y\n" * MIB,
        '\n"\n' * 200_000,
        HEAD + "1,x,//" + "/@" * 60_000 + "\n",
        HEAD + '1,x,"' + ",w_" * 40_000 + '"\n',
        HEAD + "1,x," + "," * MIB,
        "Images" + "," * (MIB - 10) + f"\n{A}\n",
    ],
    ids=range(14),
)
def test_time_is_linear(text: str) -> None:
    began = time.process_time()
    read(text)
    assert time.process_time() - began < SECONDS


@pytest.mark.parametrize(
    "piece",
    [
        lambda n: f"{n},SKU{n},{A}\r\n" * 1000,
        lambda n: f'{n},"SKU\n{n}","{A}, {A}"\n' * 700,
        lambda n: f"{n},SKU{n},1.jpg\n" * 2000,
        lambda n: f"{n},SKU{n},\n" * 2000,
        lambda n: "\n" * 40_000,
        lambda n: "x" * 40_000,
        lambda n: f'"{n}\n' + "y\n" * 20_000,
    ],
    ids=["plain", "quoted", "bad", "empty", "blank", "no line end", "open quote"],
)
def test_memory_does_not_grow_with_the_sheet(piece: Callable[[int], str]) -> None:
    reader = SheetReader(Rules())
    reader.feed(HEAD.encode())
    tracemalloc.start()
    for number in range(150):
        reader.feed(piece(number).encode())
        assert tracemalloc.get_traced_memory()[0] < 16 * MIB
    reader.close()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 80 * MIB
