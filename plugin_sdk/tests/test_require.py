"""A build machine does not skip what a test needs; what does not apply is skipped everywhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from inner_pytest import run_pytest

SOURCE = """
import pytest

def test_that_runs(): pass

def test_of_a_promise_that_does_not_apply(): pytest.skip("it takes no target out, and needs none")

def test_with_a_server(): pytest.skip("needs redis-server")

@pytest.mark.skipif(True, reason="Needs etcd")
def test_with_another_server(): pass

@pytest.fixture
def database(): pytest.skip("needs postgres")

def test_with_a_fixture(database): pass

@pytest.mark.xfail(reason="needs thought")
def test_that_is_known_to_fail(): assert 0
"""
MODULE = """
import pytest
pytest.skip("needs kafka", allow_module_level=True)
"""


def test_where_nothing_is_required_a_skip_is_a_skip(tmp_path: Path) -> None:
    said = run_pytest(tmp_path, SOURCE, plugin="require")
    assert said.returncode == 0
    assert "1 passed, 4 skipped, 1 xfailed" in said.stdout


def test_where_all_is_required_a_skip_for_want_of_something_fails(tmp_path: Path) -> None:
    (tmp_path / "test_module.py").write_text(MODULE)
    said = run_pytest(
        tmp_path, SOURCE, "--continue-on-collection-errors", plugin="require", HOOKWAY_REQUIRE="all"
    )
    assert said.returncode == pytest.ExitCode.TESTS_FAILED
    assert "1 failed, 1 passed, 1 skipped, 1 xfailed, 3 errors" in said.stdout, said.stdout
    for missing in ("redis-server", "Needs etcd", "needs postgres", "needs kafka"):
        assert f"{missing}, and HOOKWAY_REQUIRE=all says it has to run" in said.stdout


def test_a_misspelt_requirement_is_refused_before_any_test(tmp_path: Path) -> None:
    said = run_pytest(tmp_path, SOURCE, plugin="require", HOOKWAY_REQUIRE="most")
    assert said.returncode == pytest.ExitCode.USAGE_ERROR
    assert "HOOKWAY_REQUIRE is 'most'" in said.stderr
