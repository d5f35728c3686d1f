"""Physical lines: three line ends and no other, bounded, the same for every way of cutting the text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagemill.core.sheet.lines import Lines


def cut(text: str, size: int, max_chars: int = 100) -> tuple[list[str], Lines]:
    lines = Lines(max_chars)
    found = [line for start in range(0, len(text), size) for line in lines.feed(text[start : start + size])]
    return found + lines.close(), lines


@pytest.mark.parametrize("size", [1, 2, 100])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("a", ["a"]),
        ("a\n", ["a\n"]),
        ("a\r\nb\rc\nd", ["a\r\n", "b\r", "c\n", "d"]),
        ("\n\r\n\r\r", ["\n", "\r\n", "\r", "\r"]),
        ("a\x0bb\x0c\x1c\x1d\x1e\x85\u2028\u2029c", ["a\x0bb\x0c\x1c\x1d\x1e\x85\u2028\u2029c"]),
    ],
)
def test_lines(text: str, expected: list[str], size: int) -> None:
    found, lines = cut(text, size)
    assert found == expected
    assert not lines.is_binary
    assert not lines.is_overlong


@pytest.mark.parametrize("size", [1, 3, 100])
def test_a_nul_ends_it_and_takes_its_own_line_with_it(size: int) -> None:
    found, lines = cut("a\nb\rc\0d\ne\n", size)
    assert (found, lines.is_binary) == (["a\n", "b\r"], True)


@pytest.mark.parametrize("size", [1, 4, 100])
def test_an_overlong_line_ends_it_and_is_not_kept(size: int) -> None:
    found, lines = cut("abc\nabcd\nabcde\nab\n", size, max_chars=5)
    assert (found, lines.is_overlong) == (["abc\n", "abcd\n"], True)
    assert lines.feed("x\n") == []


@given(st.text(st.sampled_from("ab\r\n"), max_size=20), st.integers(1, 20))
def test_nothing_is_lost(text: str, size: int) -> None:
    found, _ = cut(text, size)
    assert "".join(found) == text
    expected = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    assert [line.rstrip("\r\n") for line in found] == expected[: len(found)]
