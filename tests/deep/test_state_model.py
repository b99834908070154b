"""The memory state against plain models of windows, leases and values, with thousands of random histories."""

from __future__ import annotations

from hookway_sdk.clock import Clock
from hookway_sdk.memory_state import MemoryState
from hookway_sdk.state import State
from hookway_sdk.testing.state_contract import StateContract

EXAMPLES = 2_000


class TestMemoryState(StateContract):
    examples = EXAMPLES

    def make_state(self, clock: Clock) -> State:
        return MemoryState(clock)


class TestScopeOfMemoryState(StateContract):
    examples = EXAMPLES

    def make_state(self, clock: Clock) -> State:
        return MemoryState(clock).scope("plugin")
