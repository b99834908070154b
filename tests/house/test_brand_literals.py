"""The gateway's outward names stand in ``hookway_sdk/brand.py`` alone: a drop-in mode swaps them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest
from workspace import ROOT, members

BRAND = ROOT / "plugin_sdk/src/hookway_sdk/brand.py"
# Header prefix, metric prefix (hookway_sdk and hookway_plugins are imports), server token.
# The marks that the SDK's decorators leave on functions never leave the process.
INSIDE = "sdk|plugins|phase|priority|impl|spec"
LITERAL = re.compile(rf"(?i:x-hookway)|\bhookway_(?!({INSIDE})\b)|\bHookway/")


def string_constants(source: str) -> Iterator[tuple[int, str]]:
    """Yield line and text of each string or bytes constant that is not a docstring."""
    tree = ast.parse(source)
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in prose:
            if isinstance(node.value, bytes):
                yield node.lineno, node.value.decode("latin-1")
            elif isinstance(node.value, str):
                yield node.lineno, node.value


def branded(source: str) -> list[tuple[int, str]]:
    return [(line, text) for line, text in string_constants(source) if LITERAL.search(text)]


def test_no_shipped_module_but_the_brand_spells_the_brand() -> None:
    modules = [path for member in members() for path in member.modules if path != BRAND]
    assert modules
    found = {str(path.relative_to(ROOT)): lines for path in modules if (lines := branded(path.read_text()))}
    assert found == {}, "take it from hookway_sdk.brand"


@pytest.mark.parametrize(
    "source", ['h = "x-hookway-dropped"', 'h = b"X-Hookway-Id"', 'm = f"hookway_{x}"', 's = "Hookway/1"']
)
def test_a_literal_of_the_brand_is_found(source: str) -> None:
    assert branded(source)


@pytest.mark.parametrize(
    "source",
    ['"""Sends x-hookway-id."""', 'g = "hookway.plugins"', 'm = "hookway_sdk.errors"', 'e = "HOOKWAY_KEY"'],
)
def test_prose_and_names_of_packages_are_not_the_brand(source: str) -> None:
    assert not branded(source)


def test_the_brand_is_spelt_where_it_belongs() -> None:
    assert len(branded(BRAND.read_text())) >= 3
