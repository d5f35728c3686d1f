"""Each code is told in words that a person can act on."""

from __future__ import annotations

from imagemill.core.errors import ImageCode
from imagemill.core.failures import CAUSES, NEXT_STEPS, cause, next_step


def test_every_code_says_what_it_is_and_what_to_do() -> None:
    assert set(NEXT_STEPS) == set(CAUSES) == set(ImageCode)
    assert all(map(next_step, ImageCode))
    assert all(len(cause(code)) < 40 for code in ImageCode)
    assert len({*CAUSES.values()}) == len(CAUSES)


def test_a_code_of_a_later_version_is_shown_as_it_is() -> None:
    assert (cause("of_a_later_version"), next_step("of_a_later_version")) == ("of_a_later_version", "")
