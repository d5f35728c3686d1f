"""`python -m tests.kill_matrix [--runs N] [--seed S] [--fault F]`: break it at random moments, and audit the ledger.

A run is repeated by its own seed and fault; the moments come again as marks of progress, to the machine's precision.
What a failed run left is kept in build/kill-matrix/. Exit code 1 when one failed, or when no fault was possible.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Final

import msgspec

from tests.kill_matrix.faults import FAULTS
from tests.kill_matrix.play import KEPT, Outcome, play
from tests.kill_matrix.stage import Stage
from tests.postgres_server import PostgresServer

COLUMNS: Final = ("fault", "runs", "passed", "seconds", "longest", "restarts")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.kill_matrix", description=__doc__)
    parser.add_argument("--runs", type=int, default=200, help="[default: 200]")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31), help="of the first run, counted up from")
    parser.add_argument("--fault", choices=sorted(FAULTS), help="this one only, not all in turn")
    parser.add_argument("--postgres", action="store_true", help="keep what is known on a PostgreSQL server")
    parser.add_argument("--at-once", type=int, default=1, help="runs at a time  [default: 1]")
    asked = parser.parse_args()
    reasons = {name: fault.impossible() for name, fault in FAULTS.items() if asked.fault in {None, name}}
    possible = [name for name, reason in reasons.items() if not reason]
    turns = [(possible[n % len(possible)], asked.seed + n) for n in range(asked.runs if possible else 0)]
    outcomes = perform(turns, asked.at_once, on_postgres=asked.postgres)
    tell(outcomes, {name: reason for name, reason in reasons.items() if reason})
    raise SystemExit(not outcomes or any(outcome.complaints for outcome in outcomes))


def perform(turns: Sequence[tuple[str, int]], at_once: int, *, on_postgres: bool) -> list[Outcome]:
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="imagemill-stage-"))
        pool = stack.enter_context(ThreadPool(at_once))
        stage = Stage(Path(folder), stack.enter_context(PostgresServer(fsync="on")) if on_postgres else None)
        outcomes = []
        for outcome in pool.imap(lambda turn: play(stage, *turn), turns):
            outcomes.append(outcome)
            print(f"{outcome.fault} {outcome.seed}: {'; '.join(outcome.complaints) or 'passed'}", flush=True)
    return outcomes


def tell(outcomes: Sequence[Outcome], missed: Mapping[str, str]) -> None:
    """Print the table, how to repeat what failed, and what was not possible; write them as JSON."""
    print()
    line(COLUMNS)
    for name in FAULTS:
        if runs := [outcome for outcome in outcomes if outcome.fault == name]:
            seconds = [outcome.seconds for outcome in runs]
            passed = sum(not outcome.complaints for outcome in runs)
            restarts = sum(outcome.restarts for outcome in runs)
            line((name, len(runs), passed, f"{sum(seconds):.0f}", f"{max(seconds):.1f}", restarts))
        elif name in missed:
            print(f"{name:18}not possible here: {missed[name]}")
    for outcome in outcomes:
        if outcome.complaints:
            print(f"\n{outcome.repeat}\n  at {', '.join(outcome.moments)}", *outcome.complaints, sep="\n  ")
    report = {"runs": msgspec.to_builtins(list(outcomes)), "not_possible": missed}
    KEPT.mkdir(parents=True, exist_ok=True)
    (KEPT / "kill-matrix.json").write_text(json.dumps(report, indent=1) + "\n")


def line(cells: Sequence[object]) -> None:
    print(f"{cells[0]:18}" + "".join(f"{cell:>10}" for cell in cells[1:]))


if __name__ == "__main__":
    main()
