"""A module fits in 500 lines and a function in 50; what must be longer is listed with its reason."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from workspace import ROOT, members

MODULE_LINES = 500
FUNCTION_LINES = 50
LIST = Path(__file__).with_name("long_for_a_reason.toml")


def functions(node: ast.AST, prefix: str = "") -> Iterator[tuple[str, int]]:
    """Yield dotted name and number of lines of each function below a node."""
    for child in ast.iter_child_nodes(node):
        name = f"{prefix}{getattr(child, 'name', '')}"
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield name, (child.end_lineno or child.lineno) - child.lineno + 1
        inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        yield from functions(child, f"{name}." if inside else prefix)


@cache
def long_ones() -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {"modules": {}, "functions": {}}
    for path in [*(path for member in members() for path in member.modules), *(ROOT / "tools").glob("*.py")]:
        name, text = path.relative_to(ROOT).as_posix(), path.read_text()
        if text.count("\n") > MODULE_LINES:
            found["modules"][name] = text.count("\n")
        for function, lines in functions(ast.parse(text)):
            if lines > FUNCTION_LINES:
                found["functions"][f"{name}:{function}"] = lines
    return found


def allowed(what: str) -> dict[str, str]:
    reasons: dict[str, str] = tomllib.loads(LIST.read_text()).get(what, {})
    return reasons


@pytest.mark.parametrize("what", ["modules", "functions"])
def test_nothing_is_long_without_a_reason(what: str) -> None:
    assert {name: lines for name, lines in long_ones()[what].items() if name not in allowed(what)} == {}


@pytest.mark.parametrize("what", ["modules", "functions"])
def test_every_exception_is_still_needed_and_says_why(what: str) -> None:
    assert [name for name in allowed(what) if name not in long_ones()[what]] == []
    assert [name for name, reason in allowed(what).items() if len(reason.split()) < 4] == []


def test_lengths_are_counted_per_function() -> None:
    source = "class A:\n    async def b(self):\n        def c():\n            pass\n        return c\n"
    assert dict(functions(ast.parse(source))) == {"A.b": 4, "A.b.c": 2}
