"""What operators read says what the code does: settings, resources, commands, metrics, endpoints."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import gen_operator_docs
import pytest
from workspace import ROOT

from hookway.discovery import find_installed
from hookway.manager import load_class
from hookway.testing import GatewayFactory
from hookway_plugins.sink_prometheus.families import FAMILIES

DOCS = ROOT / "docs"
PLUGINS = sorted(path for path in (ROOT / "plugins").iterdir() if (path / "pyproject.toml").is_file())

each_plugin = pytest.mark.parametrize("plugin", PLUGINS, ids=[path.name for path in PLUGINS])


@pytest.mark.parametrize("name", gen_operator_docs.PAGES)
def test_a_generated_page_is_current(name: str) -> None:
    written = (DOCS / name).read_text()
    assert written == gen_operator_docs.PAGES[name](), (
        f"run tools/gen_operator_docs.py: docs/{name} is out of date"
    )


@each_plugin
def test_the_readme_of_a_plugin_names_each_of_its_settings(plugin: Path) -> None:
    readme = (plugin / "README.md").read_text()
    settings = load_class(find_installed()[plugin.name]).Settings.__struct_fields__
    assert [name for name in settings if f"`{name}" not in readme] == []


def declared_metrics() -> Iterator[str]:
    """Yield the name of every metric family that shipped code declares, and of the sink's own."""
    yield from (one.name for one in FAMILIES)
    for path in [*(ROOT / "core/src").rglob("*.py"), *(ROOT / "plugins").glob("*/src/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in ("counter", "gauge", "histogram")
                and node.args
                and isinstance(node.args[0], ast.Constant)
            ):
                yield str(node.args[0].value)


def test_every_metric_is_documented_and_every_documented_metric_exists() -> None:
    listed = re.findall(r"^\| `(\w+)` \|", (DOCS / "metrics.md").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(set(declared_metrics()))


def test_every_endpoint_stands_in_the_readme_of_its_plugin(gateway: GatewayFactory) -> None:
    running = gateway()
    missing = [
        f"{method} {path}"
        for method, path, owner in running.gateway.serve.runtime.routes.items()
        if path not in (ROOT / "plugins" / owner.partition(".")[0] / "README.md").read_text()
    ]
    assert missing == []


def test_every_page_of_the_documentation_is_listed() -> None:
    index = (DOCS / "README.md").read_text()
    assert [
        page.name for page in DOCS.glob("*.md") if page.name != "README.md" and f"({page.name})" not in index
    ] == []
