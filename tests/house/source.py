"""The repository's Python files as the house tests read them: parsed, with the lines that hold code."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NO_CODE = {
    tokenize.COMMENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
    tokenize.INDENT,
    tokenize.NEWLINE,
    tokenize.NL,
}

Function = ast.FunctionDef | ast.AsyncFunctionDef
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Source:
    path: Path
    text: str

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, filename=self.name)

    @cached_property
    def tokens(self) -> list[tokenize.TokenInfo]:
        return list(tokenize.generate_tokens(io.StringIO(self.text).readline))

    @cached_property
    def code_lines(self) -> set[int]:
        """Numbers of the lines that hold code: no blank line, no comment, no docstring."""
        held = {n for t in self.tokens if t.type not in NO_CODE for n in range(t.start[0], t.end[0] + 1)}
        return held - {n for node in self.walk(*DOCUMENTED) for n in docstring_lines(node)}

    def walk(self, *kinds: type[ast.AST]) -> Iterator[ast.AST]:
        return (node for node in ast.walk(self.tree) if isinstance(node, kinds))

    @cached_property
    def functions(self) -> list[Function]:
        return [node for node in ast.walk(self.tree) if isinstance(node, Function)]

    def length(self, function: Function) -> int:
        """Lines of code from `def` to the end, without the docstring, comments and blank lines."""
        return len(self.code_lines.intersection(range(function.lineno, (function.end_lineno or 0) + 1)))

    def at(self, node: ast.AST, why: str) -> str:
        return f"{self.name}:{getattr(node, 'lineno', 1)}: {why}"


def docstring_lines(node: ast.AST) -> range:
    body = getattr(node, "body", [])
    if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        first = body[0]
        if isinstance(first.value.value, str):  # type: ignore[attr-defined]
            return range(first.lineno, (first.end_lineno or first.lineno) + 1)
    return range(0)


@cache
def sources(folder: str) -> tuple[Source, ...]:
    """Every Python file below `folder` ("src" or "tests"), in the order of their names."""
    return tuple(Source(path, path.read_text(encoding="utf-8")) for path in sorted((ROOT / folder).rglob("*.py")))
