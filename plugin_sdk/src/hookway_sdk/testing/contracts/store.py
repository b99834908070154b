"""What a ``store_`` plugin promises: everything of the state contract, through a plugin's life."""

from __future__ import annotations

from typing import Any, ClassVar

from hookway_sdk.clock import Clock
from hookway_sdk.kinds.store import Store
from hookway_sdk.state import Get, Set, State, ValueResult
from hookway_sdk.testing.contracts.plugin import PluginContract
from hookway_sdk.testing.fake_clock import FakeClock
from hookway_sdk.testing.services import RecordingServices, make_services
from hookway_sdk.testing.state_contract import StateContract


class StoreContract(PluginContract, StateContract):
    """Promises of a store. What its backend needs from a test is said in :class:`StateTrial`."""

    plugin: ClassVar[type[Store[Any]]]

    def services_at(self, clock: Clock) -> RecordingServices:
        """Make services whose time is that of the state contract."""
        services = make_services(self.token(), provided=self.provided())
        if isinstance(clock, FakeClock):
            services = make_services(self.token(), provided=self.provided(), clock=clock)
        return services

    async def make_state(self, clock: Clock) -> State:
        """Start a plugin and return its state."""
        instance = self.make(self.services_at(clock))
        await instance.start()
        state: State = instance.state()
        self._started().append((state, instance))
        return state

    async def close_state(self, state: State) -> None:
        """Stop the plugin that a state came from."""
        for pair in list(self._started()):
            if pair[0] is state:
                self._started().remove(pair)
                await pair[1].stop()

    def _started(self) -> list[tuple[State, Any]]:
        pairs: list[tuple[State, Any]] = self.__dict__.setdefault("_pairs", [])
        return pairs

    async def test_it_gives_the_same_state_each_time(self) -> None:
        async with self.running() as store:
            await store.state().scope("a").apply((Set("k", b"v", 60.0),))
            (found,) = await store.state().scope("a").apply((Get("k"),))
            assert isinstance(found, ValueResult)
            assert found.value == b"v", "state() gave another state the second time"

    async def test_it_answers_a_ping_once_started(self) -> None:
        async with self.running() as store:
            await store.state().ping()
