"""The settings bound the store; all it promises is the state contract's to check."""

from __future__ import annotations

from typing import Any

import pytest

from hookway_plugins.store_memory import MemoryStore
from hookway_sdk import ConfigError, StateUnavailable, walker
from hookway_sdk.state import Set
from hookway_sdk.testing.contracts.store import StoreContract
from hookway_sdk.testing.services import make_services


def make(**settings: Any) -> MemoryStore:
    return MemoryStore("store_memory", walker.convert(settings, MemoryStore.Settings), make_services())


class TestContract(StoreContract):
    plugin = MemoryStore


async def test_keys_beyond_the_bound_are_refused_and_existing_ones_go_on() -> None:
    state = make(max_keys=2).state()
    await state.apply((Set("a", b"1", 60.0), Set("b", b"1", 60.0)))
    with pytest.raises(StateUnavailable):
        await state.scope("another").apply((Set("c", b"1", 60.0),))
    await state.apply((Set("a", b"2", 60.0),))


async def test_bytes_of_values_beyond_the_bound_are_refused() -> None:
    state = make(max_value_size="1KiB").state()
    await state.apply((Set("a", b"x" * 1_000, 60.0),))
    with pytest.raises(StateUnavailable):
        await state.apply((Set("b", b"x" * 100, 60.0),))


@pytest.mark.parametrize("settings", [{"max_keys": 0}, {"max_value_size": -1}, {"max_value_size": "much"}])
def test_a_bound_that_is_none_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        make(**settings)
