"""What is installed is found without importing it, and a manifest is believed only by the plugin it names."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import msgspec
import pytest

from hookway.discovery import find_installed, package_directory, read_manifest
from hookway_sdk import Manifest

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


def test_finding_plugins_imports_none_of_them() -> None:
    installed = find_installed()
    assert {"provider_echo", "dialect_openai", "auth_keys"} <= set(installed)
    for name, one in installed.items():
        assert one.name == name
        assert one.distribution == "hookway-" + name.replace("_", "-")
        assert one.version
