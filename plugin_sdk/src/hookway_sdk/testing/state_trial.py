"""How a promise about a store is put to the test: the store, its clock, and what a subclass may change."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeAlias, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy

from hookway_sdk.clock import Clock
from hookway_sdk.state import CountResult, LeaseResult, Op, Result, State, ValueResult, WindowResult
from hookway_sdk.testing.async_tests import run_async_test
from hookway_sdk.testing.fake_clock import FakeClock
from hookway_sdk.testing.out_of_time import is_out_of_time

ExampleT = TypeVar("ExampleT")
_Body: TypeAlias = Callable[..., Coroutine[Any, Any, None]]


class StateTrial:
    """What the promises need to know about the store under test.

    A store with a clock of its own overrides :meth:`make_clock` (to one that tells real time) and
    :meth:`pass_time` (to sleep), and sets a short ``window``, few ``examples``, some ``slack``, and
    ``turns_wall_clock = False``.

    Attributes:
        window: length in seconds of the windows that are tried.
        examples: how many random cases each property is tried with.
        slack: seconds by which the store's time and the test's may differ.
        turns_wall_clock: the clock has a ``jump`` that sets the store's wall clock.
    """

    window: float = 60.0
    examples: int = 60
    slack: float = 0.0
    turns_wall_clock: bool = True

    def make_clock(self) -> Clock:
        """Return the clock the store is to count with."""
        return FakeClock()

    def make_state(self, clock: Clock) -> State | Awaitable[State]:
        """Return an empty store; may be ``async def``."""
        raise NotImplementedError("a contract class needs make_state(clock): return an empty store")

    async def close_state(self, state: State) -> None:
        """Let go of what :meth:`make_state` opened."""

    async def pass_time(self, clock: Clock, seconds: float) -> None:
        """Let time pass for the store."""
        assert isinstance(clock, FakeClock)
        clock.advance(seconds)

    async def lose_data(self, state: State) -> bool:
        """Make the store lose everything it holds; return False if that cannot be done here."""
        return False

    async def try_with(self, body: Callable[[State, Clock], Awaitable[None]]) -> None:
        """Run one test against a new store."""
        clock = self.make_clock()
        made = self.make_state(clock)
        state = await made if inspect.isawaitable(made) else made
        try:
            await body(state, clock)
        finally:
            await self.close_state(state)


class _OutOfTime(BaseException):
    """Takes the end of a test's time past hypothesis, which would try smaller and smaller examples of it."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


def promise(body: _Body) -> Callable[..., None]:
    """Turn ``async def test_…(self, state, clock, …)`` into a test with its own loop."""

    def test(self: StateTrial, **arguments: Any) -> None:
        async def run(state: State, clock: Clock) -> None:
            await body(self, state, clock, **arguments)

        run_async_test(self.try_with, run)

    functools.update_wrapper(test, body)
    del test.__wrapped__  # type: ignore[attr-defined]  # pytest would take its arguments for fixtures
    signature = inspect.signature(body)
    kept = [parameter for name, parameter in signature.parameters.items() if name not in ("state", "clock")]
    test.__signature__ = signature.replace(parameters=kept)  # type: ignore[attr-defined]
    return test


def promise_for(examples: SearchStrategy[ExampleT]) -> Callable[[_Body], Callable[[StateTrial], None]]:
    """Like :func:`promise`, for ``async def test_…(self, state, clock, example)`` and random examples."""

    def mark(body: _Body) -> Callable[[StateTrial], None]:
        def test(self: StateTrial) -> None:
            @settings(
                max_examples=self.examples,
                deadline=None,
                suppress_health_check=[HealthCheck.too_slow],
                database=None,
            )
            @given(examples)
            def check(example: ExampleT) -> None:
                async def run(state: State, clock: Clock) -> None:
                    await body(self, state, clock, example)

                try:
                    run_async_test(self.try_with, run)
                except pytest.fail.Exception as error:
                    if is_out_of_time(error):
                        raise _OutOfTime(error) from None
                    raise

            try:
                check()
            except _OutOfTime as out:
                raise out.error from None

        functools.update_wrapper(test, body)
        del test.__wrapped__  # type: ignore[attr-defined]  # pytest would take its arguments for fixtures
        return test

    return mark


async def one(state: State, op: Op) -> Result:
    """Apply one operation."""
    (result,) = await state.apply((op,))
    return result


async def window(state: State, op: Op) -> WindowResult:
    """Apply one operation on a window."""
    result = await one(state, op)
    assert isinstance(result, WindowResult)
    return result


async def lease(state: State, op: Op) -> LeaseResult:
    """Apply one operation on leases."""
    result = await one(state, op)
    assert isinstance(result, LeaseResult)
    return result


async def value(state: State, op: Op) -> bytes | None:
    """Apply one operation on a value that must not refuse."""
    result = await one(state, op)
    assert isinstance(result, ValueResult)
    assert result.allowed
    return result.value


async def count(state: State, op: Op) -> int:
    """Apply one operation that answers a number."""
    result = await one(state, op)
    assert isinstance(result, CountResult)
    return result.value
