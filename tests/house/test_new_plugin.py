"""`make new-plugin` gives a plugin that obeys the rules of the house under its new name."""

from __future__ import annotations

import ast
import shutil
import tomllib
from pathlib import Path

import new_plugin
import pytest
from workspace import plugin_directories

PLUGINS = plugin_directories()


def copy_of(room: Path, directory: Path) -> Path:
    """Return a ``plugins`` directory that holds one plugin of this tree."""
    shutil.copytree(room, directory / room.name, ignore=shutil.ignore_patterns("__pycache__"))
    return directory


@pytest.mark.parametrize("room", PLUGINS, ids=[room.name for room in PLUGINS])
def test_a_copy_carries_the_new_token_everywhere_and_the_old_nowhere(room: Path, tmp_path: Path) -> None:
    kind, _, name = room.name.partition("_")
    source, made = new_plugin.create(copy_of(room, tmp_path), f"{kind}_zeta_two")

    assert source.name == room.name
    project = tomllib.loads((made / "pyproject.toml").read_text())["project"]
    assert project["name"] == f"hookway-{kind}-zeta-two"
    assert list(project["entry-points"]["hookway.plugins"]) == [f"{kind}_zeta_two"]
    assert (made / "src" / "hookway_plugins" / f"{kind}_zeta_two" / "__init__.py").is_file()
    files = [path for path in made.rglob("*") if path.is_file()]
    originals = [path for path in room.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert len(files) == len(originals)
    for path in files:
        text = path.read_text()
        assert room.name not in text, path
        assert room.name.replace("_", "-") not in text, path
        assert f'"{name}"' not in text, path
        if path.suffix == ".py":
            ast.parse(text)


@pytest.mark.parametrize(
    ("token", "complaint"),
    [
        ("acme", "<kind>_<name>"),
        ("provider_Acme", "<kind>_<name>"),
        ("../provider_acme", "<kind>_<name>"),
        ("widget_acme", "no kind of plugin"),
        ("provider_there", "exists already"),
        ("cache_acme", "no cache in plugins/ to copy yet; docs/first-plugin.md"),
    ],
)
def test_a_name_that_cannot_be_is_refused_with_the_reason(token: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "provider_there").mkdir()
    with pytest.raises(new_plugin.Refused, match=complaint):
        new_plugin.create(tmp_path, token)
    assert [path.name for path in tmp_path.iterdir()] == ["provider_there"]


def test_the_smallest_plugin_of_the_kind_is_copied(tmp_path: Path) -> None:
    for token, source in {
        "provider_echo": "x = 1",
        "provider_large": "x = 1" * 9,
        "cache_only": "x = 1" * 99,
    }.items():
        package = tmp_path / token / "src" / "hookway_plugins" / token
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(source)
        (tmp_path / token / "pyproject.toml").write_text("")
    assert new_plugin.choose_source(tmp_path, "provider").name == "provider_echo"
    assert new_plugin.choose_source(tmp_path, "cache").name == "cache_only"


def test_classes_and_quoted_ids_are_renamed_and_prose_is_not(tmp_path: Path) -> None:
    package = tmp_path / "provider_openai" / "src" / "hookway_plugins" / "provider_openai"
    package.mkdir(parents=True)
    (tmp_path / "provider_openai" / "pyproject.toml").write_text("")
    source = '"""An openai thing."""\nclass OpenAIProvider:\n    name = "openai"\n    wire = "openai.chat"\n'
    (package / "__init__.py").write_text(source)
    _, made = new_plugin.create(tmp_path, "provider_acme")
    renamed = (made / "src" / "hookway_plugins" / "provider_acme" / "__init__.py").read_text()
    assert (
        renamed == '"""An openai thing."""\nclass AcmeProvider:\n    name = "acme"\n    wire = "acme.chat"\n'
    )
