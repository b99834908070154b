"""What is installed is found without importing it, and a manifest is believed only by the plugin it names."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import msgspec
import pytest

import hookway.discovery
from hookway.discovery import find_installed, package_directory, read_manifest
from hookway_sdk import Manifest, PluginError

FILE = "hookway-plugin.json"


def manifest(name: str) -> bytes:
    return msgspec.json.encode(Manifest(name=name, version="1", api=1))


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that must not be imported, beside a single module."""
    monkeypatch.syspath_prepend(str(tmp_path))
    directory = tmp_path / "acme_plugin"
    directory.mkdir()
    for path in (directory / "__init__.py", tmp_path / "acme_single.py"):
        path.write_text("raise AssertionError('imported')\n")
    return directory


def point(name: str, module: str = "acme_plugin") -> EntryPoint:
    return EntryPoint(name, f"{module}:Acme", "hookway.plugins")


def test_a_manifest_is_read_without_importing_the_plugin(package: Path) -> None:
    (package / FILE).write_bytes(manifest("limit_acme"))
    found = read_manifest(point("limit_acme"))
    assert found is not None
    assert found.name == "limit_acme"
    assert "acme_plugin" not in sys.modules


def test_a_plugin_in_a_module_of_its_package_is_found_without_importing_either(package: Path) -> None:
    (package / "limits.py").write_text("raise AssertionError('imported')\n")
    (package / FILE).write_bytes(manifest("limit_acme"))
    found = read_manifest(point("limit_acme", "acme_plugin.limits"))
    assert found is not None
    assert not [name for name in sys.modules if name.startswith("acme_plugin")]
    assert read_manifest(point("limit_acme", "acme_plugin.limits.deeper")) is None
    assert read_manifest(point("limit_acme", "acme_plugin.nothing")) is None


def test_a_plugin_in_nested_namespaces_is_found_without_importing_it(package: Path) -> None:
    inner = package.parent / "acme_corp" / "gateway" / "limits"
    inner.mkdir(parents=True)
    (inner / "__init__.py").write_text("raise AssertionError('imported')\n")
    assert package_directory("acme_corp.gateway.limits") == inner
    assert package_directory("acme_corp.gateway.nothing") is None
    assert "acme_corp" not in sys.modules


def test_a_manifest_of_another_plugin_is_not_taken_for_ones_own(package: Path) -> None:
    (package / FILE).write_bytes(manifest("limit_acme"))
    assert read_manifest(point("limit_other")) is None
    (package.parent / FILE).write_bytes(manifest("limit_somebody"))
    assert read_manifest(point("guardrail_single", "acme_single")) is None


@pytest.mark.parametrize("data", [None, b"", b"{", b"[]", b'{"name": 5}', b"\xff\xfe"])
def test_a_manifest_that_is_missing_or_broken_is_none(package: Path, data: bytes | None) -> None:
    if data is not None:
        (package / FILE).write_bytes(data)
    assert read_manifest(point("limit_acme")) is None


def test_a_module_that_is_not_there_has_no_directory() -> None:
    assert package_directory("no_such_module_anywhere") is None
    assert package_directory("no_such_package.module") is None


def test_two_packages_with_a_plugin_of_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [point("limit_acme"), point("limit_acme", "evil_plugin")]
    monkeypatch.setattr(hookway.discovery, "entry_points", lambda group: points)
    with pytest.raises(PluginError, match="'limit_acme': is brought by both"):
        find_installed()


def test_finding_plugins_imports_none_of_them() -> None:
    installed = find_installed()
    assert {"provider_echo", "dialect_openai", "auth_keys"} <= set(installed)
    for name, one in installed.items():
        assert one.name == name
        assert one.distribution == "hookway-" + name.replace("_", "-")
        assert one.version
