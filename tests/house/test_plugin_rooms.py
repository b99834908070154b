"""One token names everything of a plugin, and every plugin's directory is laid out alike."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from workspace import KINDS, ROOT, is_ours, members, plugin_directories, requirement_name

PLUGINS = plugin_directories()
each_plugin = pytest.mark.parametrize("room", PLUGINS, ids=[room.name for room in PLUGINS])


def declared(room: Path) -> dict:
    return tomllib.loads((room / "pyproject.toml").read_text())


def test_there_are_plugins_and_nothing_else_under_plugins() -> None:
    assert PLUGINS
    assert [path.name for path in (ROOT / "plugins").iterdir() if path.is_file()] == []


@each_plugin
def test_a_plugin_has_its_pyproject_readme_tests_and_package(room: Path) -> None:
    assert (room / "pyproject.toml").is_file(), (
        f"{room.name} is not a package yet: add pyproject.toml or remove it"
    )
    assert f"hookway-{room.name.replace('_', '-')}" in (room / "README.md").read_text()
    assert list((room / "tests").glob("test_*.py")), f"{room.name} has no tests"
    assert (room / "src" / "hookway_plugins" / room.name / "__init__.py").is_file()


@each_plugin
def test_one_token_names_directory_distribution_import_and_entry_point(room: Path) -> None:
    token, tables = room.name, declared(room)
    kind, _, name = token.partition("_")
    assert kind in KINDS, f"{token}: the first word is the kind, one of {', '.join(KINDS)}"
    assert name
    assert tables["project"]["name"] == f"hookway-{token.replace('_', '-')}"
    assert tables["tool"]["uv"]["build-backend"]["module-name"] == f"hookway_plugins.{token}"
    entry_points = tables["project"]["entry-points"]["hookway.plugins"]
    assert list(entry_points) == [token]
    assert entry_points[token].partition(":")[0].startswith(f"hookway_plugins.{token}")


@each_plugin
def test_no_file_stands_at_the_level_of_the_namespace(room: Path) -> None:
    # An __init__.py there would hide every other plugin.
    below_src = [path.name for path in (room / "src").iterdir() if path.name != "__pycache__"]
    in_namespace = [
        path.name for path in (room / "src" / "hookway_plugins").iterdir() if path.name != "__pycache__"
    ]
    assert below_src == ["hookway_plugins"]
    assert in_namespace == [room.name]


@each_plugin
def test_a_plugin_stands_on_the_sdk_alone(room: Path) -> None:
    ours = [line for line in declared(room)["project"]["dependencies"] if is_ours(line)]
    assert ours == ["hookway-sdk>=0.1,<1"]


@each_plugin
def test_the_tests_of_a_plugin_can_be_run_with_its_test_extra(room: Path) -> None:
    extra = declared(room)["project"]["optional-dependencies"]["test"]
    assert "hookway-sdk[testing]" in extra


def test_every_package_has_the_same_version_licence_python_and_build_system() -> None:
    tables = {member.path: declared(member.directory) for member in members()}
    for fact in ("version", "license", "requires-python"):
        assert len({table["project"][fact] for table in tables.values()}) == 1, fact
    systems = {path: table["build-system"] for path, table in tables.items()}
    assert {path: system for path, system in systems.items() if system != systems["."]} == {}


def test_every_package_has_a_description_and_a_readme() -> None:
    for member in members():
        assert member.project["description"][-1] != ".", (
            f"{member.path}: a description is a phrase, not a sentence"
        )
        assert member.project.get("readme") == "README.md", (
            f"{member.path}: name the README in pyproject.toml"
        )
        assert (member.directory / "README.md").read_text().strip(), member.path


def test_the_metapackage_names_the_core_and_plugins_of_this_tree_only() -> None:
    *packages, meta = members()
    names = {member.project["name"] for member in packages}
    assert {requirement_name(line) for line in meta.dependencies} <= names
    assert "hookway-core" in {requirement_name(line) for line in meta.dependencies}
    assert all(line.endswith(">=0.1,<1") for line in meta.dependencies)


def test_no_two_packages_of_the_tree_share_a_name() -> None:
    names = [member.project["name"] for member in members()]
    assert len(names) == len(set(names))
