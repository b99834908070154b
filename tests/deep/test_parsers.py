"""The parsers' own property tests once more, with the thousands of examples of ``HOOKWAY_DEEP=1``."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from types import ModuleType

import pytest
from hypothesis import is_hypothesis_test
from workspace import ROOT

from hookway_sdk.testing.examples import DEEP_EXAMPLES

MODULES = {
    "server-sent events": "core/tests/test_framing.py",
    "heads of answers": "core/tests/upstream/test_heads.py",
    "JSON bodies": "plugin_sdk/tests/test_envelope_and_frames.py",
    "YAML and JSON documents": "core/tests/config/test_yaml12.py",
    "variables": "core/tests/config/test_interpolation.py",
    "layers": "core/tests/config/test_conf_d.py",
    "rows and settings": "plugin_sdk/tests/test_walker.py",
    "texts and masks": "plugin_sdk/tests/test_texts.py",
}


def load(path: str) -> ModuleType:
    """Import a test module under a name of its own."""
    name = f"deep_{path.replace('/', '_').removesuffix('.py')}"
    spec = importlib.util.spec_from_file_location(name, ROOT / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def properties(path: str) -> list[tuple[str, Callable[[], None]]]:
    """Return the property tests of a module by name; each calls for its own examples."""
    return [(name, value) for name, value in vars(load(path)).items() if is_hypothesis_test(value)]


CASES = {f"{what}: {name}": test for what, path in MODULES.items() for name, test in properties(path)}


def test_every_parser_has_properties() -> None:
    assert {case.partition(":")[0] for case in CASES} == set(MODULES)


@pytest.mark.parametrize("case", CASES)
def test_a_property_holds_for_thousands_of_examples(case: str) -> None:
    test = CASES[case]
    chosen = test._hypothesis_internal_use_settings.max_examples  # type: ignore[attr-defined]
    assert chosen == DEEP_EXAMPLES, "it names a number of its own: leave that to the profile"
    test()
