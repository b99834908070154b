"""Breaks plugins and runs contracts against them: a promise that nothing can break promises nothing."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import Phase, settings

from hookway_sdk.testing import PluginContract
from hookway_sdk.testing.async_tests import run_async_test
from hookway_sdk.testing.out_of_time import is_out_of_time

Contract = type[PluginContract]
Case = tuple[str, Contract]

# The first example that breaks a promise is enough: nobody reads it, so none has to be made small.
settings.register_profile(
    "unshrunk", phases=(Phase.generate,), database=None, deadline=None, derandomize=True
)


def broken(contract: Contract, **members: Any) -> Contract:
    """Return a contract of a plugin like the reference, with some members replaced."""
    plugin = type("Broken", (contract.plugin,), {"__doc__": "Do it wrongly.", **members})
    for name in members.keys() & {"Settings", "Row"}:
        setattr(plugin, name, members[name])  # the kind has just set them from its type argument
    return shown(contract, plugin=plugin)


def shown(contract: Contract, **examples: Any) -> Contract:
    """Return a contract with other examples."""
    return type(f"Broken{contract.__name__}", (contract,), examples)


def awaited(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a plain function as an ``async def`` method."""

    async def asynchronous(*arguments: Any) -> Any:
        return method(*arguments)

    return asynchronous


def promises(contract: Contract, *without: type) -> set[str]:
    """Return the promises of a contract that are not those of other classes."""
    names = {name for name in dir(contract) if name.startswith("test_")}
    return names - {name for other in without for name in dir(other)}


def failure(contract: Contract, promise: str) -> BaseException | None:
    """Run one promise as pytest would and return what it failed with; ``None`` if it holds.

    Running out of time is no failure of the promise: pytest-timeout ends the test that asks.
    """
    instance = contract()
    method = getattr(instance, promise)
    profile = settings.get_current_profile_name()
    settings.load_profile("unshrunk")
    try:
        if inspect.iscoroutinefunction(method):
            run_async_test(method)
        else:
            method()
    except pytest.skip.Exception as skipped:
        raise LookupError(f"{promise} was skipped: {skipped}") from skipped
    except (Exception, pytest.fail.Exception) as error:
        if is_out_of_time(error):
            raise
        return error
    finally:
        settings.load_profile(profile)
        getattr(instance, "teardown_method", lambda: None)()
    return None


def each_case(cases: list[Case]) -> pytest.MarkDecorator:
    """Parametrise a test over promises and the contract that has to fail there."""
    counted: dict[str, int] = {}
    ids = []
    for name, _ in cases:
        counted[name] = counted.get(name, 0) + 1
        ids.append(f"{name.removeprefix('test_')}-{counted[name]}")
    return pytest.mark.parametrize(("promise", "contract"), cases, ids=ids)
