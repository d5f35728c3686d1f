"""`python -m tests.house.draw_states` draws the tables of core/states.py into docs/states.md, between its markers."""

from __future__ import annotations

import re
from typing import Final

from imagemill.core.states import JOB_MOVES, TRANSITIONS, ImageState, JobState, Verb, job_state
from tests.house.source import ROOT

PLACE: Final = ROOT / "docs" / "states.md"
ENDS: Final = (ImageState.DONE, ImageState.FAILED, ImageState.CANCELLED)
_CELL: Final = "| {} | {} |"

# (in words, images, facts): what decides a job's state, in the order in which it is asked.
CASES: Final[tuple[tuple[str, str, str], ...]] = (
    ("some wait or run, and it is paused", "pending", "started paused"),
    ("some wait or run, and none was ever claimed", "pending", ""),
    ("some wait or run", "pending", "started"),
    ("all have ended, and it was cancelled", "done cancelled", "started cancelled"),
    ("all are done", "done", "started"),
    ("some are done, some are not", "done failed", "started"),
    ("none is done", "failed", "started"),
)


def images() -> str:
    """Return the diagram of an image's states."""
    moves: dict[tuple[ImageState, ImageState], list[str]] = {}
    for (before, move), after in TRANSITIONS.items():
        moves.setdefault((before, after), []).append(move)
    arrows = [f"    {before} --> {after}: {', '.join(names)}" for (before, after), names in moves.items()]
    ends = [f"    {state} --> [*]" for state in ENDS]
    return _mermaid(["    [*] --> pending: accept", *arrows, *ends])


def verbs() -> str:
    """Return the diagram of what verbs do to a job; those that change nothing are left out, delete goes from each."""
    moves: dict[tuple[JobState, JobState], list[str]] = {}
    for (before, verb), reached in JOB_MOVES.items():
        for after in reached:
            if before not in reached:
                moves.setdefault((before, after), []).append(verb)
    return _mermaid([f"    {before} --> {after}: {', '.join(names)}" for (before, after), names in moves.items()])


def allowed() -> str:
    """Return the table of verbs by state."""
    rows = [f"| {state} | {' | '.join(_reached(state, verb) for verb in Verb)} |" for state in JobState]
    return "\n".join([f"| a job that is | {' | '.join(Verb)} |", f"| --- |{' --- |' * len(Verb)}", *rows])


def derived() -> str:
    """Return the table of how a job's state follows from its images."""
    rows = [_CELL.format(words, _state(states, facts)) for words, states, facts in CASES]
    return "\n".join([_CELL.format("its images", "the job is"), _CELL.format("---", "---"), *rows])


def drawn(text: str) -> str:
    """Return the page with everything between its markers drawn anew."""
    for draw in (images, derived, verbs, allowed):
        name = draw.__name__
        pattern = rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
        text, found = re.subn(pattern, lambda match: f"{match[1]}{draw()}\n{match[2]}", text, flags=re.DOTALL)  # noqa: B023
        assert found == 1, f"{PLACE} has no place for {name}"
    return text


def _mermaid(lines: list[str]) -> str:
    return "\n".join(["```mermaid", "stateDiagram-v2", *lines, "```"])


def _reached(state: JobState, verb: Verb) -> str:
    if (state, verb) not in JOB_MOVES:
        return "409"
    return " or ".join(JOB_MOVES[state, verb]) or "gone"


def _state(images: str, facts: str) -> JobState:
    known = {name: name in facts.split() for name in ("started", "paused", "cancelled")}
    return job_state(dict.fromkeys(map(ImageState, images.split()), 1), **known)


if __name__ == "__main__":
    PLACE.write_text(drawn(PLACE.read_text(encoding="utf-8")), encoding="utf-8")
