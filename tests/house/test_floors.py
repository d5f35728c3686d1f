"""The floors of pyproject.toml hold, core is pure, and no library was forgotten in the list of doors."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.source import ROOT, Source, sources
from tests.house.test_lock import declared

# The standard library's part that reaches out: I/O, clock, randomness, threads, the interpreter itself.
IMPURE = {
    *(
        "asyncio",
        "concurrent",
        "ctypes",
        "fcntl",
        "ftplib",
        "glob",
        "http.client",
        "http.server",
        "importlib",
        "logging",
    ),
    *(
        "mmap",
        "multiprocessing",
        "os",
        "pickle",
        "queue",
        "random",
        "secrets",
        "select",
        "selectors",
        "shelve",
        "shutil",
    ),
    *(
        "signal",
        "smtplib",
        "socket",
        "socketserver",
        "sqlite3",
        "ssl",
        "subprocess",
        "sys",
        "tempfile",
        "threading",
        "time",
    ),
    "urllib.request",
}
READS_THE_WORLD = {"open", "input", "print", "now", "utcnow", "today", "uuid1", "uuid4", "uuid7"}
LIBRARIES = {"pillow": "PIL", "pillow-simd": "PIL"}
NOT_BEHIND_A_DOOR = {"msgspec"}  # structs cross every floor

CORE = [file for file in sources("src") if file.name.startswith("src/imagemill/core/")]


def test_the_contracts_are_kept() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, "\n" + done.stdout + done.stderr


def imported(file: Source) -> Iterator[tuple[ast.AST, str]]:
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node, node.module or ""


def is_pure(module: str) -> bool:
    root = module.split(".", maxsplit=1)[0]
    if root == "imagemill":
        return module.startswith("imagemill.core")
    return root == "msgspec" or (root in sys.stdlib_module_names and not {root, module} & IMPURE)


def test_core_imports_nothing_that_reaches_out() -> None:
    offenders = [file.at(node, module) for file in CORE for node, module in imported(file) if not is_pure(module)]
    assert not offenders, "\n" + "\n".join(offenders)


def test_core_asks_no_clock_and_opens_no_file() -> None:
    offenders = [
        file.at(node, ast.unparse(node))
        for file in CORE
        for node in file.walk(ast.Call)
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in READS_THE_WORLD
    ]
    assert not offenders, "\n" + "\n".join(offenders)


@pytest.mark.parametrize("module", ["json", "datetime", "msgspec", "urllib.parse", "imagemill.core.errors"])
def test_pure(module: str) -> None:
    assert is_pure(module)


@pytest.mark.parametrize("module", ["os", "os.path", "time", "urllib.request", "httpx", "imagemill.settings"])
def test_impure(module: str) -> None:
    assert not is_pure(module)


def test_every_library_has_a_door() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    guarded = {contract["id"]: set(contract.get("forbidden_modules", ())) for contract in contracts}
    libraries = {LIBRARIES.get(name, name) for name in declared("runtime")} - NOT_BEHIND_A_DOOR
    assert not libraries - guarded["doors"]
    assert guarded["core-is-pure"] == guarded["doors"]
