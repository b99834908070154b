"""The documentation says what the code does: generated pages are current, links lead somewhere, code runs."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gen_docs
import pytest
from workspace import ROOT

import hookway_sdk
import hookway_sdk.testing
from hookway_sdk import Kind, errors, hookspecs, priorities
from hookway_sdk.phases import RULES, Phase

DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
SECTIONS = ("When", "May change", "To refuse", "If it fails", "Usual priority")
HOOKS: dict[str, Callable[..., Any]] = {
    name: value for name, value in vars(hookspecs).items() if hasattr(value, "hookway_spec")
}

each_page = pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
each_hook = pytest.mark.parametrize("name", HOOKS)


def text_of(name: str) -> str:
    return (DOCS / name).read_text()


def section(name: str, heading: str) -> str:
    """Return what stands below a heading of the second level."""
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text_of(name), re.MULTILINE | re.DOTALL)
    assert found, f"{name} has no heading '{heading}'"
    return found[1]


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, made as code hosts make them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


# ── pages ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", gen_docs.PAGES)
def test_a_generated_page_is_current(name: str) -> None:
    assert text_of(name) == gen_docs.PAGES[name](), f"run tools/gen_docs.py: docs/{name} is out of date"


@each_page
def test_every_page_stands_in_the_index(page: Path) -> None:
    assert page.name == "README.md" or f"]({page.name})" in text_of("README.md")


@each_page
def test_every_link_leads_somewhere(page: Path) -> None:
    prose = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        name, _, anchor = target.partition("#")
        path = page.parent / name if name else page
        assert path.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors(path), f"{page.name} links to {target}"


@each_page
def test_every_name_of_the_sdk_in_a_page_exists(page: Path) -> None:
    for dotted in set(re.findall(r"`(hookway_sdk(?:\.\w+)+)`", page.read_text())):
        assert _exists(dotted), f"{page.name} speaks of {dotted}"


def _exists(dotted: str) -> bool:
    module, _, name = dotted.rpartition(".")
    try:
        return hasattr(importlib.import_module(module), name) or bool(importlib.import_module(dotted))
    except ModuleNotFoundError:
        return False


# ── hooks ───────────────────────────────────────────────────────────────────────────────────


@each_hook
def test_a_hook_has_its_heading_and_exact_signature(name: str) -> None:
    spec = HOOKS[name]
    signature = inspect.signature(spec)
    parameters = ", ".join(f"{one.name}: {one.annotation}" for one in signature.parameters.values())
    colour = "async def" if inspect.iscoroutinefunction(spec) else "def"
    exact = f"```python\n{colour} {name}({parameters}) -> {signature.return_annotation}\n```"
    assert exact in section("hooks.md", name)


@each_hook
def test_a_hook_says_everything_its_specification_says(name: str) -> None:
    said = section("hooks.md", name)
    words = re.sub(r"[\s`*-]+", " ", said)
    for line in (inspect.getdoc(HOOKS[name]) or "").splitlines():
        assert re.sub(r"[\s`*-]+", " ", line).strip() in words
    assert re.findall(r"\*\*([A-Z][a-z ]+):\*\*", said) == list(SECTIONS)


def test_the_table_of_phases_is_complete_and_in_order() -> None:
    rows = re.findall(
        r"^\| \[`(\w+)`\]\(#\w+\) \| (\w+) \| (\w+) \| (\w+) \|", text_of("hooks.md"), re.MULTILINE
    )
    expected = [
        (
            phase.value,
            "async" if RULES[phase].asynchronous else "plain",
            RULES[phase].mode.value,
            RULES[phase].on_error.value,
        )
        for phase in Phase
    ]
    assert rows == expected


def test_the_picture_of_the_lifecycle_names_every_phase_in_order() -> None:
    picture = text_of("concepts.md").partition("```\n")[2].partition("```")[0]
    places = [re.search(rf"(?<!\w){phase}(?!\w)", picture) for phase in Phase]
    missing = [phase.value for phase, place in zip(Phase, places, strict=True) if place is None]
    assert missing == []
    # An answer is settled before it is delivered, and stored after it has left.
    late = {Phase.STORE, Phase.SETTLE, Phase.RECORD}
    starts = [
        place.start() for phase, place in zip(Phase, places, strict=True) if place and phase not in late
    ]
    assert starts == sorted(starts)
    ends = [picture.index(word) for word in ("settle", "deliver", "record", "store")]
    assert ends == sorted(ends)


# ── kinds, errors, priorities ───────────────────────────────────────────────────────────────


def test_every_kind_has_its_methods_and_its_contract() -> None:
    kinds = {
        name: value
        for name, value in vars(hookway_sdk).items()
        if inspect.isclass(value) and issubclass(value, Kind) and name not in ("Kind", "EntryKind", "RowKind")
    }
    assert set(gen_docs.KIND_ORDER) == set(kinds)
    for name, kind in kinds.items():
        said = section("kinds.md", name)
        shared = ("start", "stop", "compile", "prepare")
        for method, function in inspect.getmembers(kind, inspect.isfunction):
            if not method.startswith("_") and method not in shared:
                colour = "async def" if inspect.iscoroutinefunction(function) else "def"
                assert f"\n{colour} {method}(" in said, f"{name} lacks {method}"
        contract = re.search(r"`hookway_sdk\.testing\.(\w+)`", said)
        assert contract, f"{name} names no contract"
        assert contract[1] in hookway_sdk.testing.__all__


def test_every_error_stands_in_its_table() -> None:
    page = text_of("errors.md")
    for name, cls in vars(errors).items():
        if inspect.isclass(cls) and issubclass(cls, errors.HookwayError) and cls is not errors.HookwayError:
            assert f"| `{name}` |" in page
    for row in ("| `ContentBlocked` | 422 | `content_filter` |", "| `UpstreamTimeout` | 504 | `timeout` |"):
        assert row in page


def test_every_band_stands_in_its_table() -> None:
    for band, number in priorities.BANDS.items():
        assert f"| {number} | `{band}` | " in text_of("priorities.md")


def test_every_contract_stands_on_the_page_about_testing() -> None:
    named = set(re.findall(r"^\| `(\w+Contract)` \|", text_of("testing.md"), re.MULTILINE))
    assert named == {name for name in hookway_sdk.testing.__all__ if name.endswith("Contract")}


def test_every_function_of_the_test_kit_that_is_named_exists() -> None:
    named = set(re.findall(r"`(make_\w+|Scripted\w+)", text_of("testing.md")))
    assert len(named) > 5
    assert named <= set(hookway_sdk.testing.__all__)


# ── the first plugin ────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def first_plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with the files of ``first-plugin.md``."""
    directory = tmp_path_factory.mktemp("first_plugin")
    found = re.findall(r"<!-- file: (\S+) -->\n```\w+\n(.*?)^```", text_of("first-plugin.md"), re.M | re.S)
    assert [name for name, _ in found] == [
        "hookway_shout/__init__.py",
        "pyproject.toml",
        "test_shout.py",
        "test_gateway.py",
    ]
    for name, text in found:
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_text(text)
    return directory


def run(*command: str, directory: Path, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=directory,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=55,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_first_plugin_is_strictly_typed(first_plugin: Path) -> None:
    run(
        *("mypy", "--strict", "--cache-dir", str(ROOT / ".mypy_cache" / "docs"), "--follow-imports=silent"),
        *("--explicit-package-bases", "hookway_shout"),
        directory=first_plugin,
        MYPYPATH=f"{ROOT / 'plugin_sdk' / 'src'}:{first_plugin}",
    )


def test_the_first_plugin_keeps_the_contract_of_its_kind(first_plugin: Path) -> None:
    options = ("-q", "-W", "error", "-p", "no:cacheprovider", "-p", "hookway_sdk.testing.async_tests")
    said = run("pytest", *options, "--rootdir", ".", "test_shout.py", directory=first_plugin, PYTHONPATH=".")
    assert "passed" in said
    assert "failed" not in said


def test_the_first_plugin_works_in_a_gateway(first_plugin: Path) -> None:
    options = ("-q", "-W", "error", "-p", "no:cacheprovider", "--rootdir", ".")
    assert "1 passed" in run("pytest", *options, "test_gateway.py", directory=first_plugin, PYTHONPATH=".")


def test_the_first_plugins_entry_point_begins_with_its_kind(first_plugin: Path) -> None:
    text = (first_plugin / "pyproject.toml").read_text()
    assert '[project.entry-points."hookway.plugins"]\nguardrail_shout = "hookway_shout:Shout"' in text
    assert "kind: shout" in text_of("first-plugin.md")
