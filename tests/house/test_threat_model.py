"""THREAT_MODEL.md names modules and tests that exist, for every threat, and people find it."""

from __future__ import annotations

import ast
import re
from functools import cache
from typing import NamedTuple

import pytest
from workspace import ROOT

PAGE = ROOT / "THREAT_MODEL.md"


class Threat(NamedTuple):
    """A section of the page.

    Args:
        number: as its heading has it.
        modules: paths of the modules that stand against it.
        tests: path and function of each test that shows it.
    """

    number: int
    modules: tuple[str, ...]
    tests: tuple[tuple[str, str], ...]


def threats_of(text: str) -> list[Threat]:
    """Return a page's threats in their order; code is named in backticks, tests with ``::``."""
    _, *parts = re.split(r"^(?=#{1,3} )", text, flags=re.MULTILINE)
    found = []
    for part in parts:
        heading = re.match(r"### T(\d+)\. \S", part)
        if heading:
            modules = re.findall(r"`([\w/.-]+\.py)`", part)
            tests = re.findall(r"`([\w/.-]+\.py)::(\w+)`", part)
            found.append(Threat(int(heading[1]), tuple(modules), tuple(tests)))
    return found


@cache
def functions_of(path: str) -> frozenset[str]:
    """Return the names of a file's test functions and methods; none if there is no such file."""
    file = ROOT / path
    if not file.is_file():
        return frozenset()
    nodes = ast.walk(ast.parse(file.read_text()))
    return frozenset(node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


THREATS = threats_of(PAGE.read_text())

each_threat = pytest.mark.parametrize("threat", THREATS, ids=[f"T{threat.number}" for threat in THREATS])


def test_threats_are_numbered_in_order() -> None:
    assert THREATS
    assert [threat.number for threat in THREATS] == list(range(1, len(THREATS) + 1))


def test_every_heading_of_the_third_level_is_a_threat() -> None:
    assert len(re.findall(r"^### ", PAGE.read_text(), re.MULTILINE)) == len(THREATS)


@each_threat
def test_something_stands_against_every_threat_and_a_test_shows_it(threat: Threat) -> None:
    assert threat.modules
    assert threat.tests


@each_threat
def test_every_module_that_is_named_exists_and_is_shipped(threat: Threat) -> None:
    for path in threat.modules:
        assert (ROOT / path).is_file(), path
        assert "/src/" in path, f"{path} is no module of a package"


@each_threat
def test_every_test_that_is_named_exists_and_is_run(threat: Threat) -> None:
    for path, name in threat.tests:
        assert name.startswith("test_"), name
        assert path.rpartition("/")[2].startswith("test_"), f"pytest does not collect {path}"
        assert name in functions_of(path), f"{path}::{name}"


def test_no_path_stands_outside_backticks_or_is_written_otherwise() -> None:
    text = PAGE.read_text()
    named = len(re.findall(r"`[\w/.-]+\.py(?:::\w+)?`", text))
    assert len(re.findall(r"\.py\b", text)) == named


def test_there_is_a_list_of_what_is_not_defended() -> None:
    _, _, rest = PAGE.read_text().partition("\n## Not defended\n")
    assert len(re.findall(r"^- ", rest, re.MULTILINE)) > 5


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_those_who_read_the_first_pages_find_it(name: str) -> None:
    assert f"]({PAGE.name})" in (ROOT / name).read_text()


def test_a_threat_is_read_with_its_modules_and_tests() -> None:
    text = "# A\n## B\n### T7. One\n- Against: `a/src/b.py`\n- Shown: `c/test_d.py::test_e`\n## C\n`x.py`\n"
    assert threats_of(text) == [Threat(7, ("a/src/b.py",), (("c/test_d.py", "test_e"),))]


def test_a_test_that_is_gone_is_missed() -> None:
    own = "tests/house/test_threat_model.py"
    assert "test_a_test_that_is_gone_is_missed" in functions_of(own)
    assert "test_of_yesterday" not in functions_of(own)
    assert functions_of("tests/house/test_nothing.py") == frozenset()
