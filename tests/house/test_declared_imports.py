"""A package imports what it declares and nothing of a room it must not know.

All packages share one environment here, so an import that nobody declared would work on every developer's
machine and fail on a user's.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from workspace import ROOT, Member, is_ours, members, module_name, requirement_name

PACKAGES = members()[:-1]
each_package = pytest.mark.parametrize("member", PACKAGES, ids=[member.path for member in PACKAGES])


@cache
def installed() -> Mapping[str, list[str]]:
    return packages_distributions()


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and dotted name of each absolute import in a file, those inside functions included."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            # `from hookway_plugins import x` names the plugin only in the second half.
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def undeclared(files: Iterable[Path], requirements: Iterable[str]) -> list[str]:
    """Return each import, neighbours apart, whose distribution is not among the requirements."""
    names = {requirement_name(line) for line in requirements}
    return [
        f"{path.relative_to(ROOT)}:{line} imports {name}, which pyproject.toml does not declare"
        for path in files
        for line, name in imported(path)
        if (top := name.partition(".")[0]) not in sys.stdlib_module_names
        and not top.startswith("hookway")
        and not names & {requirement_name(dist) for dist in installed().get(top, [])}
        and not path.with_name(f"{top}.py").is_file()
    ]


def outside(files: Iterable[Path], allowed: tuple[str, ...]) -> list[str]:
    """Return each import of a room of this tree that is not one of the allowed dotted names, or below one."""
    return [
        f"{path.relative_to(ROOT)}:{line} imports {name}; allowed here: {', '.join(allowed)}"
        for path in files
        for line, name in imported(path)
        if name.startswith("hookway") and not any(f"{name}.".startswith(f"{room}.") for room in allowed)
    ]


def rooms_of(member: Member) -> tuple[str, ...]:
    """Return what the shipped modules of a package may import from this tree."""
    own = {"plugin_sdk": "hookway_sdk", "core": "hookway"}
    return ("hookway_sdk", own.get(member.path, f"hookway_plugins.{member.directory.name}"))


@each_package
def test_shipped_modules_import_only_what_is_declared(member: Member) -> None:
    kit = [path for path in member.modules if "testing" in module_name(path).split(".")]
    rest = [path for path in member.modules if path not in kit]
    requirements = [*member.dependencies, *member.optional_dependencies]
    assert undeclared(rest, requirements) == []
    assert undeclared(kit, [*requirements, *member.test_dependencies]) == []


@each_package
def test_shipped_modules_stay_in_their_rooms(member: Member) -> None:
    assert outside(member.modules, rooms_of(member)) == []


@each_package
def test_tests_of_a_plugin_see_the_plugin_the_sdk_and_the_test_kits(member: Member) -> None:
    if member.directory.parent.name == "plugins":
        assert outside(member.tests, (*rooms_of(member), "hookway.testing")) == []


@each_package
def test_tests_of_a_plugin_import_only_what_is_declared(member: Member) -> None:
    if member.directory.parent.name == "plugins":
        sdk = next(package for package in PACKAGES if package.path == "plugin_sdk")
        requirements = [*member.dependencies, *member.optional_dependencies, *member.test_dependencies]
        assert undeclared(member.tests, [*requirements, *sdk.test_dependencies]) == []


def test_an_undeclared_import_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    module = tmp_path / "module.py"
    module.write_text("def late():\n    import yaml\nimport json\nfrom hookway_plugins import cache_redis\n")
    assert undeclared([module], ["msgspec"]) == [
        "module.py:2 imports yaml, which pyproject.toml does not declare"
    ]
    assert undeclared([module], ["PyYAML>=6"]) == []
    assert len(outside([module], ("hookway_sdk", "hookway_plugins.cache_red"))) == 1
    assert outside([module], ("hookway_plugins.cache_redis",)) == []
    assert not is_ours("hookwaysomething")
