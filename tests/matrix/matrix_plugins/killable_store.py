"""A store that can be killed and revived."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hookway_sdk import StateUnavailable, Store
from hookway_sdk.memory_state import MemoryScope, MemoryState
from hookway_sdk.state import Op, PostOp, Result
from matrix_plugins.controls import BOOM, Controls


class KillableScope:
    """A space of keys that answers only while the store lives."""

    def __init__(self, scope: MemoryScope, controls: Controls) -> None:
        self._scope = scope
        self._controls = controls

    @property
    def epoch(self) -> int:
        """See :class:`hookway_sdk.state.State`."""
        return self._scope.epoch

    async def apply(self, ops: Sequence[Op]) -> tuple[Result, ...]:
        """Apply, if it lives."""
        self._refuse()
        return await self._scope.apply(ops)

    def post(self, ops: Sequence[PostOp]) -> None:
        """Take a post, if it lives; a real store keeps it, one with a bug raises."""
        self._refuse()
        self._scope.post(ops)

    async def flush(self) -> None:
        """There is nothing to wait for."""

    async def ping(self) -> None:
        """Say whether it lives."""
        self._refuse()

    def scope(self, name: str) -> KillableScope:
        """Return a space of its own."""
        return KillableScope(self._scope.scope(name), self._controls)

    def _refuse(self) -> None:
        if self._controls.store == "unavailable":
            raise StateUnavailable("the store was killed", detail=BOOM)
        if self._controls.store == "broken":
            raise ConnectionResetError(BOOM)


def killable_store(controls: Controls) -> type[Store[Any]]:
    """Return the store."""

    class KillableStore(Store[Any]):
        """Keep state in memory until it is killed."""

        async def start(self) -> None:
            """Make the state."""
            self.memory = MemoryState(self.services.clock)
            self._state = KillableScope(self.memory, controls)

        def state(self) -> KillableScope:
            """Return the one state."""
            return self._state

    return KillableStore
