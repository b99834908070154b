"""The scripts behind `make` find the packages of the tree and notice the ones that have gone."""

from __future__ import annotations

import json
from importlib.metadata import Distribution
from pathlib import Path

import install_members
import pytest
import workspace


def installed(site: Path, name: str, origin: str, editable: bool = True) -> Distribution:
    info = site / f"{name.replace('-', '_')}-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: 0.1.0\n")
    (info / "direct_url.json").write_text(json.dumps({"url": origin, "dir_info": {"editable": editable}}))
    return Distribution.at(info)


def test_packages_of_ours_whose_directory_has_gone_are_orphans_and_strangers_are_not(tmp_path: Path) -> None:
    here = tmp_path / "plugins" / "cache_here"
    found = [
        installed(tmp_path, "hookway-cache-here", here.as_uri()),
        installed(tmp_path, "hookway-cache-gone", (tmp_path / "plugins" / "cache_gone").as_uri()),
        installed(tmp_path, "hookway-cache-copied", here.as_uri(), editable=False),
        installed(tmp_path, "stranger", (tmp_path / "stranger").as_uri()),
    ]
    assert install_members.orphans(found, {here}) == ["hookway-cache-copied", "hookway-cache-gone"]


def test_a_directory_without_a_package_is_named_instead_of_breaking_the_installer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspace, "ROOT", tmp_path)
    for room in ("plugin_sdk", "core"):
        (tmp_path / room).mkdir()
        (tmp_path / room / "pyproject.toml").write_text(f'[project]\nname = "{room}"\n')
    (tmp_path / "plugins" / "cache_half").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match=r"cache_half.pyproject\.toml is missing: finish the package"):
        workspace.members()


@pytest.mark.parametrize(
    ("requirement", "name", "ours"),
    [
        ("hookway-sdk>=0.1,<1", "hookway-sdk", True),
        ("hookway_sdk[testing]", "hookway-sdk", True),
        ("hookway", "hookway", True),
        ("hookwayish", "hookwayish", False),
        ("PyYAML>=6; os_name == 'nt'", "pyyaml", False),
        ("ruamel.yaml", "ruamel-yaml", False),
    ],
)
def test_a_requirement_is_told_by_its_name(requirement: str, name: str, ours: bool) -> None:
    assert workspace.requirement_name(requirement) == name
    assert workspace.is_ours(requirement) is ours


def test_a_module_is_named_by_its_place_below_src() -> None:
    src = workspace.ROOT / "plugins" / "cache_x" / "src" / "hookway_plugins" / "cache_x"
    assert workspace.module_name(src / "__init__.py") == "hookway_plugins.cache_x"
    assert workspace.module_name(src / "keys.py") == "hookway_plugins.cache_x.keys"
