"""The house's budgets. A test that fails prints every offender, so that one run shows the whole work."""

from __future__ import annotations

import ast
import re
import shutil
import statistics
import subprocess
import sys
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.house.source import ROOT, Function, Source, sources

FUNCTION_LINES = 40
MEDIAN_FUNCTION_LINES = 8
MODULE_LINES = 400
COMPLEXITY = 8
NESTING = 3
TESTS_PER_SOURCE = (1.0, 1.6)

BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.TryStar, ast.Match)
REFUSED_MODULES = {
    "utils",
    "util",
    "common",
    "helpers",
    "helper",
    "misc",
    "manager",
    "managers",
    "handlers",
    "services",
}
REFUSED_CLASS = re.compile(r"(Manager|Service|Handler|Helper)s?$")
REFUSED_VERB = re.compile(r"_*(process|handle|manage|do)(_|$)")
REFUSED_COMMENT = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")

# Where every failure is caught, and why. Elsewhere a handler names what it expects, or raises again.
EDGES = {
    "src/imagemill/queue": "the body of a task: what escaped is recorded, and the worker lives on",
    "src/imagemill/pool": "a child's result: whatever went wrong in it becomes the image's error",
    "src/imagemill/imaging/child": "the same edge, seen from the child: it answers, and lives on",
    "src/imagemill/cli": "the last line: an unforeseen error becomes a message and exit code 1",
}

SRC = sources("src")
TESTS = sources("tests")
EVERYWHERE = [pytest.param(SRC, id="src"), pytest.param(TESTS, id="tests")]


def refuse(offenders: Iterable[str]) -> None:
    listed = list(offenders)
    assert not listed, "\n" + "\n".join(listed)


@pytest.mark.parametrize("files", EVERYWHERE)
def test_functions_are_short(files: tuple[Source, ...]) -> None:
    refuse(
        file.at(function, f"{function.name} has {file.length(function)} lines of code, at most {FUNCTION_LINES}")
        for file in files
        for function in file.functions
        if file.length(function) > FUNCTION_LINES
    )


def test_the_median_function_is_very_short() -> None:
    lengths = [file.length(function) for file in SRC for function in file.functions]
    if not lengths:
        pytest.skip("no function yet")
    median = statistics.median(lengths)
    print(f"median function: {median} lines, of {len(lengths)} functions")
    assert median <= MEDIAN_FUNCTION_LINES


@pytest.mark.parametrize("files", EVERYWHERE)
def test_modules_fit_the_head(files: tuple[Source, ...]) -> None:
    lengths = {file.name: len(file.text.splitlines()) for file in files}
    refuse(f"{name}: {n} lines, at most {MODULE_LINES}" for name, n in lengths.items() if n > MODULE_LINES)


def test_functions_decide_little() -> None:
    ruff = shutil.which("ruff", path=str(Path(sys.executable).parent)) or "ruff"
    limit = f"lint.mccabe.max-complexity={COMPLEXITY}"
    command = [
        ruff,
        "check",
        "--isolated",
        "--select=C901",
        "--config",
        limit,
        "--output-format=concise",
        "src",
        "tests",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, "\n" + done.stdout + done.stderr


def inner_blocks(node: ast.AST) -> Iterator[tuple[ast.AST, int]]:
    """What `node` holds, 1 where it opens a block; `elif` goes on with its `if`, an inner function begins anew."""
    for field, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not isinstance(child, Function):
                is_elif = (
                    isinstance(node, ast.If) and field == "orelse" and isinstance(child, ast.If) and len(value) == 1
                )
                yield child, int(isinstance(child, BLOCKS) and not is_elif)


def depth(node: ast.AST) -> int:
    return max((opened + depth(child) for child, opened in inner_blocks(node)), default=0)


@pytest.mark.parametrize("files", EVERYWHERE)
def test_blocks_nest_little(files: tuple[Source, ...]) -> None:
    refuse(
        file.at(function, f"{function.name} nests {depth(function)} blocks, at most {NESTING}")
        for file in files
        for function in file.functions
        if depth(function) > NESTING
    )


def test_depth_counts_blocks_and_not_elif() -> None:
    flat = "def f():\n if a:\n  pass\n elif b:\n  pass\n elif c:\n  with d:\n   pass"
    assert depth(ast.parse(flat).body[0]) == 2
    deep = (
        "def f():\n for a in b:\n  if a:\n   pass\n  else:\n   while c:\n    try:\n     pass\n    finally:\n     pass"
    )
    assert depth(ast.parse(deep).body[0]) == 4


def test_tests_weigh_as_much_as_the_source() -> None:
    written = {name: sum(len(file.code_lines) for file in files) for name, files in (("src", SRC), ("tests", TESTS))}
    ratio = written["tests"] / written["src"]
    print(f"lines of code: {written['src']} in src, {written['tests']} in tests, ratio {ratio:.2f}")
    least, most = TESTS_PER_SOURCE
    assert least <= ratio <= most


def test_modules_are_named_for_what_they_own() -> None:
    refuse(f"{file.name}: says nothing" for file in (*SRC, *TESTS) if file.path.stem in REFUSED_MODULES)


def test_classes_are_named_for_what_they_are() -> None:
    refuse(
        file.at(node, f"{node.name}: what is it?")
        for file in (*SRC, *TESTS)
        for node in file.walk(ast.ClassDef)
        if isinstance(node, ast.ClassDef) and REFUSED_CLASS.search(node.name)
    )


def test_functions_are_named_for_what_they_do() -> None:
    refuse(
        file.at(function, f"{function.name}: say what it does")
        for file in SRC
        for function in file.functions
        if REFUSED_VERB.match(function.name)
    )


def test_nothing_is_put_off_in_a_comment() -> None:
    refuse(
        f"{file.name}:{token.start[0]}: {token.string}"
        for file in (*SRC, *TESTS)
        for token in file.tokens
        if token.type == tokenize.COMMENT and REFUSED_COMMENT.search(token.string)
    )


def catches_everything(node: ast.AST | None) -> bool:
    if isinstance(node, ast.Tuple):
        return any(catches_everything(element) for element in node.elts)
    return node is None or (isinstance(node, ast.Name) and node.id in {"Exception", "BaseException"})


def swallows(node: ast.AST) -> bool:
    if isinstance(node, ast.ExceptHandler):
        raises_again = isinstance(node.body[-1], ast.Raise)
        return catches_everything(node.type) and not raises_again
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
        return any(catches_everything(argument) for argument in node.args)
    return False


def test_failures_are_swallowed_at_the_edges_only() -> None:
    refuse(
        file.at(node, "catches every exception")
        for file in SRC
        for node in file.walk(ast.ExceptHandler, ast.Call)
        if swallows(node) and not file.name.startswith(tuple(f"{edge}{end}" for edge in EDGES for end in (".py", "/")))
    )


def test_tests_wait_for_something() -> None:
    """A sleep belongs into a loop that looks for a condition and has a deadline."""
    looped = {
        id(call)
        for file in TESTS
        for loop in file.walk(ast.While, ast.For)
        for call in ast.walk(loop)
        if isinstance(call, ast.Call)
    }
    refuse(
        file.at(call, "sleeps without looking")
        for file in TESTS
        for function in file.functions
        if function.name.startswith("test_")
        for call in ast.walk(function)
        if isinstance(call, ast.Call) and ast.unparse(call.func).endswith("sleep") and id(call) not in looped
    )


def test_our_own_modules_are_not_mocked() -> None:
    refuse(
        file.at(node, "a fake or the real thing, no mock")
        for file in TESTS
        for node in file.walk(ast.Import, ast.ImportFrom)
        if "unittest.mock" in ast.unparse(node) or ast.unparse(node).startswith("from unittest import mock")
    )
