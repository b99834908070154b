"""A test that runs out of time has failed, whatever was being tried in it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from breaking import failure
from inner_pytest import run_pytest

from hookway_sdk.testing import PluginContract
from hookway_sdk.testing.async_tests import run_async_test
from hookway_sdk.testing.out_of_time import is_out_of_time

MESSAGE = "Timeout (>60.0s) from pytest-timeout."


def _interrupt() -> None:
    pytest.fail(MESSAGE)


class _Slow(PluginContract):
    def test_plain(self) -> None:
        _interrupt()

    async def test_coroutine(self) -> None:
        _interrupt()

    async def test_callback(self) -> None:
        asyncio.get_running_loop().call_soon(_interrupt)
        await asyncio.sleep(0.01)

    def test_it_fails_by_itself(self) -> None:
        pytest.fail("it is broken")


@pytest.mark.parametrize("promise", ["test_plain", "test_coroutine", "test_callback"])
def test_no_broken_plugin_is_proven_by_running_out_of_time(promise: str) -> None:
    with pytest.raises(pytest.fail.Exception, match="from pytest-timeout"):
        failure(_Slow, promise)


def test_a_failure_of_its_own_is_one() -> None:
    found = failure(_Slow, "test_it_fails_by_itself")
    assert found is not None
    assert not is_out_of_time(found)
    assert not is_out_of_time(AssertionError(MESSAGE))
    with pytest.raises(pytest.fail.Exception, match="it is broken"):
        run_async_test(_fail)


async def _fail() -> None:
    pytest.fail("it is broken")


def test_a_promise_with_examples_ends_when_its_time_is_over(tmp_path: Path) -> None:
    source = """
import time
from hypothesis import strategies as st
from hookway_sdk.memory_state import MemoryState
from hookway_sdk.testing.state_trial import StateTrial, promise_for

class TestSlow(StateTrial):
    def make_state(self, clock): return MemoryState(clock)

    @promise_for(st.integers())
    async def test_slow(self, state, clock, example):
        print("tried")
        time.sleep(20)
"""
    said = run_pytest(tmp_path, source, "-p", "pytest_timeout", "--timeout", "0.3").stdout
    assert "1 failed" in said, said
    assert "from pytest-timeout" in said
    assert said.count("\ntried\n") == 1, "hypothesis has tried again what was out of time"
