"""docs/operations.md knows every metric, every line of the log and every code, and none that is no more."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator

import imagemill
from imagemill.api import problems
from imagemill.cli.console import ExitCode
from imagemill.core.errors import ImageCode, ImagemillError
from imagemill.core.failures import NEXT_STEPS
from imagemill.core.sheet import FAULT_CODES
from tests.house.source import ROOT, sources

PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
LOGGERS = {"log", "logger"}
LEVELS = {"debug": "debug", "info": "info", "warning": "warning", "error": "error", "exception": "error"}
MEASURES = {"Counter", "Histogram", "gauge", "gauges", "count", "Family"}
FILLED_IN = re.compile(r"%[-+0-9.]*[a-z]")


def table(title: str) -> dict[str, list[str]]:
    """The rows below a title by their first cell, without its backticks."""
    part = PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in part.splitlines() if line[:1] == "|"]
    return {row[0].strip("` "): row[1:] for row in rows[2:]}


def calls() -> Iterator[ast.Call]:
    for file in sources("src"):
        yield from (node for node in file.walk(ast.Call) if isinstance(node, ast.Call))


def texts(call: ast.Call) -> list[str]:
    return [each.value for each in call.args if isinstance(each, ast.Constant) and isinstance(each.value, str)]


def name_of(function: ast.expr) -> str:
    return ast.unparse(function).rpartition(".")[2]


def lines_of_the_log() -> Iterator[tuple[str, str]]:
    """Each line that the source logs, as (event, level); `log.log` has its level elsewhere."""
    for call in calls():
        is_logger = isinstance(call.func, ast.Attribute) and (
            ast.unparse(call.func.value) in LOGGERS or "getLogger" in ast.unparse(call.func.value)
        )
        if is_logger and name_of(call.func) in {*LEVELS, "log"}:
            assert texts(call), f"{ast.unparse(call)}: the text of a line is written where it is logged"
            yield FILLED_IN.sub("…", texts(call)[0]), LEVELS.get(name_of(call.func), "")


def assert_same(found: set[str], told: set[str], title: str) -> None:
    assert not found - told, f"docs/operations.md, {title}: add a row for each of these"
    assert not told - found, f"docs/operations.md, {title}: these are no more"


def test_every_metric() -> None:
    found = {texts(call)[0] for call in calls() if name_of(call.func) in MEASURES and texts(call)}
    assert_same({name for name in found if name.startswith("imagemill_")}, set(table("Metrics")), "Metrics")
    assert all(len(row) == 2 and all(row) for row in table("Metrics").values())


def test_every_line_of_the_log_with_its_level() -> None:
    told = table("The log")
    found = set(lines_of_the_log())
    assert_same({event for event, _ in found} | {"… more lines of this kind were left out: …"}, set(told), "The log")
    assert [(event, level) for event, level in found if level not in told[event][0]] == []
    assert all(len(row) == 2 and all(row) for row in told.values())


def test_every_code_of_an_image_in_the_program_s_words() -> None:
    told = table("Why an image failed")
    assert_same(set(ImageCode), set(told), "Why an image failed")
    assert {code: [step] for code, step in NEXT_STEPS.items()} == told


def subclasses(kind: type[ImagemillError]) -> Iterator[type[ImagemillError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from subclasses(child)


def test_every_code_of_an_error() -> None:
    for module in pkgutil.walk_packages(imagemill.__path__, "imagemill."):
        if "__main__" not in module.name:
            importlib.import_module(module.name)
    ours = {kind for kind in subclasses(ImagemillError) if kind.__module__.startswith("imagemill.")}
    told = table("Why a request, or a command, failed")
    assert_same(
        {kind.code for kind in ours} | {*problems._CODES.values(), "refused"}, set(told), "Why a request failed"
    )
    statuses = {kind.code: str(how.status) for kind, how in problems.TABLE.items() if how.status != 500}
    assert {code: told[code][0] for code in statuses} == statuses
    assert all(row[-1] for row in told.values())


def test_every_fault_of_a_sheet() -> None:
    files = [file for file in sources("src") if "/core/sheet/" in file.name]
    found = {
        text
        for file in files
        for call in file.walk(ast.Call)
        if isinstance(call, ast.Call) and name_of(call.func) in {"Fault", "fault"}
        for text in texts(call)
        if re.fullmatch(r"[a-z]+(_[a-z]+)+", text)
    }
    told = table("What is wrong with a sheet")
    assert_same(found, set(told), "What is wrong with a sheet")
    assert found == set(FAULT_CODES)
    assert all(row[-1] for row in told.values())


def test_every_exit_code() -> None:
    assert [int(code) for code in table("Exit codes")] == sorted(ExitCode)
