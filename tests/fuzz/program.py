"""A fuzzing program: C that is built with sanitizers and run for so many executions. No Python is in it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

FLAGS = ["-O2", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


def compiler() -> str | None:
    return shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")


def built(folder: Path, name: str, *further: str) -> Path:
    """Compile NAME.c beside this file; `further` sources, libraries and flags come behind it."""
    program = folder / name
    source = Path(__file__).with_name(f"{name}.c")
    command = [str(compiler()), *FLAGS, str(source), *further, "-lm", "-o", str(program)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return program


def run(program: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(program), *map(str, arguments)], capture_output=True, text=True, check=False)


def main(fuzz: Callable[[int, int, Path], subprocess.CompletedProcess[str]]) -> None:
    """Read EXECUTIONS [SEED] from the command line, print what came out, and end as it ended."""
    executions, seed = int(sys.argv[1]), int(sys.argv[2]) if sys.argv[2:] else 1
    with tempfile.TemporaryDirectory() as folder:
        done = fuzz(executions, seed, Path(folder))
    print(done.stdout + done.stderr, end="")
    raise SystemExit(done.returncode)
