"""The runner for ``async def`` tests, run the way an author meets it: in a pytest process of its own."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inner_pytest import run_pytest

from hookway_sdk.testing.async_tests import LeftBehind, run_async_test


async def test_a_coroutine_test_gets_its_fixtures(tmp_path: Path) -> None:
    assert tmp_path.is_dir()


@pytest.mark.parametrize("number", [1, 2])
async def test_a_coroutine_test_gets_its_parameters(number: int) -> None:
    assert number in {1, 2}


class TestInAClass:
    async def test_a_coroutine_method_is_run_on_an_instance(self) -> None:
        assert isinstance(self, TestInAClass)


examples_seen: list[int] = []


@given(st.integers())
async def test_hypothesis_runs_a_coroutine_test(number: int) -> None:
    await asyncio.sleep(0)
    examples_seen.append(number)


def test_hypothesis_awaited_the_coroutine_of_each_example() -> None:
    assert len(examples_seen) > 1


def test_each_test_gets_a_fresh_loop_that_is_closed_afterwards() -> None:
    loops: list[asyncio.AbstractEventLoop] = []

    async def keep_loop() -> None:
        loops.append(asyncio.get_running_loop())

    run_async_test(keep_loop)
    run_async_test(keep_loop)

    assert loops[0] is not loops[1]
    assert all(loop.is_closed() for loop in loops)


def test_a_task_left_running_fails_the_test_by_name_and_is_cancelled() -> None:
    cancelled: list[str] = []

    async def linger() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append("linger")
            raise

    async def leave() -> None:
        leave.task = asyncio.create_task(linger(), name="the-lingering-one")  # type: ignore[attr-defined]
        await asyncio.sleep(0)

    with pytest.raises(LeftBehind, match=r"still running after the test.*the-lingering-one"):
        run_async_test(leave)
    assert cancelled == ["linger"]


def test_a_task_about_to_end_is_not_held_against_the_test() -> None:
    async def leave() -> None:
        leave.task = asyncio.create_task(asyncio.sleep(0.01))  # type: ignore[attr-defined]

    run_async_test(leave)


def test_an_exception_in_a_callback_fails_the_test() -> None:
    async def schedule() -> None:
        asyncio.get_running_loop().call_soon(lambda: 1 / 0)
        await asyncio.sleep(0.01)

    with pytest.raises(LeftBehind, match="ZeroDivisionError"):
        run_async_test(schedule)


def test_an_exception_in_a_task_that_nobody_awaits_fails_the_test() -> None:
    async def fail() -> None:
        raise ValueError("lost")

    async def schedule() -> None:
        task = asyncio.create_task(fail())
        await asyncio.sleep(0.01)
        del task

    with pytest.raises(LeftBehind, match="lost"):
        run_async_test(schedule)


def test_the_error_of_the_test_itself_comes_through() -> None:
    async def fail() -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        run_async_test(fail)


def test_failures_and_leftovers_are_reported_by_pytest(tmp_path: Path) -> None:
    result = run_pytest(
        tmp_path,
        """
import asyncio

async def test_passes(): await asyncio.sleep(0)

async def test_fails(): assert 1 == 2

async def test_leaves():
    asyncio.get_running_loop().kept = asyncio.create_task(asyncio.sleep(60), name="left-one")

def test_plain(): pass
""",
    )
    assert "2 failed, 2 passed" in result.stdout, result.stdout
    assert "left-one" in result.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="uvloop does not exist there")
def test_the_same_tests_run_on_uvloop_when_asked(tmp_path: Path) -> None:
    source = """
import asyncio

async def test_loop(): assert type(asyncio.get_running_loop()).__module__.startswith("uvloop")
"""
    assert "1 passed" in run_pytest(tmp_path, source, HOOKWAY_LOOP="uvloop").stdout
    assert "1 failed" in run_pytest(tmp_path, source, HOOKWAY_LOOP="asyncio").stdout


def test_a_misspelt_loop_is_refused_before_any_test(tmp_path: Path) -> None:
    result = run_pytest(tmp_path, "def test_it(): pass", HOOKWAY_LOOP="uvlop")
    assert result.returncode == pytest.ExitCode.USAGE_ERROR
    assert "'uvlop'; it can be one of asyncio, uvloop" in result.stderr


def test_what_a_contract_asserts_is_explained(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("from hookway_sdk.testing import StrategyContract")
    source = """
from hookway_sdk import NoSettings, Strategy
from hookway_sdk.testing import StrategyContract

class Adding(Strategy[NoSettings]):
    async def order(self, exchange, group, tier): return [*tier, tier[0]]

class TestAdding(StrategyContract):
    plugin = Adding
    name = "strategy_adding"
"""
    said = run_pytest(tmp_path, source, "-k", "twice or at_most_once").stdout
    assert "1 failed" in said, said
    assert "assert 4 == 5" in said
