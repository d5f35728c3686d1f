"""Generated pictures through palette and likeness under sanitizers: python -m tests.fuzz.pictures EXECUTIONS [SEED]."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.fuzz import program


def run(executions: int, seed: int, folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    return program.run(program.built(folder, "pictures_fuzz", *flags), seed, executions)


if __name__ == "__main__":
    program.main(run)
