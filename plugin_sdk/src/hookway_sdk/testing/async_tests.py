"""A pytest plugin that runs ``async def`` tests, each in an event loop of its own.

Load it with ``-p hookway_sdk.testing.async_tests`` in ``addopts``. A test may ask for any fixture; fixtures
themselves are plain functions. A test that passes still fails when it leaves a task running, or when a
callback or a task raised and nobody looked.

``HOOKWAY_LOOP=uvloop`` runs the same tests on uvloop; unset or ``asyncio`` means the standard library's.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from hookway_sdk.testing.out_of_time import is_out_of_time

LOOPS = ("asyncio", "uvloop")
# A task that has been cancelled, or whose peer has just closed, needs a few turns of the loop to end.
GRACE_SECONDS = 0.1
# Where the test kit itself asserts; pytest explains these as it does the asserts of a test module.
EXPLAINED = (
    "hookway_sdk.testing.contracts",
    *(f"hookway_sdk.testing.state_{room}_promises" for room in ("batch", "lease", "value", "window")),
)

_AsyncTest = Callable[..., Coroutine[Any, Any, object]]
_LoopFactory = Callable[[], asyncio.AbstractEventLoop]


class LeftBehind(AssertionError):
    """A test passed, but something it started was still running or had failed unseen."""


def loop_factory(name: str) -> _LoopFactory | None:
    """Return what makes a loop of the given kind, or None for the standard one.

    Raises:
        pytest.UsageError: the name is not one of ``LOOPS``.
    """
    if name not in LOOPS:
        raise pytest.UsageError(f"HOOKWAY_LOOP is {name!r}; it can be one of {', '.join(LOOPS)}")
    if name == "asyncio":
        return None
    import uvloop

    factory: _LoopFactory = uvloop.new_event_loop
    return factory


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    """Have the promises of contracts explained; before any conftest has imported them."""
    pytest.register_assert_rewrite(*(name for name in EXPLAINED if name not in sys.modules))


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a misspelt loop before any test runs."""
    loop_factory(_chosen_loop())


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run the test if it is ``async def``; leave every other test to pytest."""
    function = pyfuncitem.obj
    if not inspect.iscoroutinefunction(function):
        _teach_hypothesis(function)
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    run_async_test(function, **arguments)
    return True


def run_async_test(function: _AsyncTest, *positional: object, **arguments: object) -> None:
    """Run one coroutine function in a fresh loop and close the loop.

    Raises:
        LeftBehind: the function returned, but a task of it was still running (it is cancelled), or something
            failed unseen.
    """
    unseen: list[dict[str, Any]] = []
    with asyncio.Runner(loop_factory=loop_factory(_chosen_loop())) as runner:
        runner.get_loop().set_exception_handler(lambda _, context: unseen.append(context))
        still_running = runner.run(_run_and_look_around(function(*positional, **arguments)))
    for context in unseen:
        if is_out_of_time(error := context.get("exception")):
            raise error
    if faults := [f"still running after the test: {task}" for task in still_running] + [
        *map(_describe, unseen)
    ]:
        raise LeftBehind("\n".join(faults))


async def _run_and_look_around(test: Coroutine[Any, Any, object]) -> list[str]:
    await test
    left = asyncio.all_tasks() - {asyncio.current_task()}
    if not left:
        return []
    _, pending = await asyncio.wait(left, timeout=GRACE_SECONDS)
    for task in pending:
        task.cancel()
    return sorted(repr(task) for task in pending)


def _describe(context: dict[str, Any]) -> str:
    error = context.get("exception")
    return f"failed unseen: {context['message']}" + (f": {error!r}" if error is not None else "")


def _teach_hypothesis(function: Any) -> None:
    # @given hides the coroutine function in a plain one, and calls it per example, wanting no coroutine back.
    hypothesis = getattr(function, "hypothesis", None)
    if hypothesis is not None and inspect.iscoroutinefunction(hypothesis.inner_test):
        hypothesis.inner_test = _in_own_loop(hypothesis.inner_test)


def _in_own_loop(test: _AsyncTest) -> Callable[..., None]:
    @functools.wraps(test)
    def run(*positional: object, **arguments: object) -> None:
        run_async_test(test, *positional, **arguments)

    return run


def _chosen_loop() -> str:
    return os.environ.get("HOOKWAY_LOOP") or "asyncio"
