"""The contract of a store: subclass it, say how to make one, and pytest tries every promise.

::

    class TestMemoryState(StateContract):
        def make_state(self, clock: Clock) -> State:
            return MemoryState(clock)

A store that keeps its own time (Redis) sets the attributes described at
:class:`~hookway_sdk.testing.state_trial.StateTrial`. Needs ``pip install hookway-sdk[testing]``.
"""

from __future__ import annotations

from hookway_sdk.testing.state_batch_promises import BatchPromises
from hookway_sdk.testing.state_lease_promises import LeasePromises
from hookway_sdk.testing.state_value_promises import ValuePromises
from hookway_sdk.testing.state_window_promises import WindowPromises


class StateContract(WindowPromises, LeasePromises, ValuePromises, BatchPromises):
    """Everything :class:`hookway_sdk.state.State` promises."""
