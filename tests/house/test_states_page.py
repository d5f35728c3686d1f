"""The drawn states are the states."""

from __future__ import annotations

import re

from imagemill.core.states import TRANSITIONS, JobState
from tests.house import draw_states


def test_the_page_is_drawn_from_the_tables() -> None:
    page = draw_states.PLACE.read_text(encoding="utf-8")
    assert draw_states.drawn(page) == page, "run `make docs`"


def test_every_move_is_an_arrow() -> None:
    arrows = dict(re.findall(r"(\w+ --> \w+): (.+)", draw_states.images()))
    for (before, move), after in TRANSITIONS.items():
        assert move in arrows[f"{before} --> {after}"].split(", ")


def test_every_state_of_a_job_has_a_case() -> None:
    for state in JobState:
        assert re.search(rf"\| {state} \|$", draw_states.derived(), re.MULTILINE), state
