"""A limit on requests in a window and on requests at once, kept in the shared state."""

from __future__ import annotations

from hookway_sdk import Exchange, Limit, LimitExceeded, Reservation, Settings, Usage
from hookway_sdk.services import Services
from hookway_sdk.state import Acquire, Hit, PostOp, State, WindowResult


class WindowSettings(Settings):
    """Settings of the limit.

    Args:
        requests: how many a window of a minute admits.
        at_once: how many may run at once.
    """

    requests: int = 1_000_000
    at_once: int = 1_000_000


class Slot(Reservation):
    """A request that was counted and a lease that was taken."""

    def __init__(self, state: State, back: PostOp, lease: PostOp) -> None:
        self._state = state
        self._back = back
        self._lease = lease

    def settle(self, usage: Usage) -> None:
        """The request stays counted; the lease ends."""
        self._state.post([self._lease])

    def release(self) -> None:
        """Nothing was done: neither counts."""
        self._state.post([self._back, self._lease])


class WindowLimit(Limit[WindowSettings]):
    """Count requests by key."""

    def __init__(self, name: str, settings: WindowSettings, services: Services) -> None:
        super().__init__(name, settings, services)
        self._state = services.state

    async def admit_request(self, exchange: Exchange) -> None:
        """Count a request and take a lease, or neither."""
        assert exchange.principal is not None
        key = exchange.principal.key_id
        hit = Hit(key, self.settings.requests, 60.0)
        lease = Acquire(key, exchange.id, self.settings.at_once, 60.0)
        counted, held = await self._state.apply([hit, lease])
        if not counted.allowed:
            assert isinstance(counted, WindowResult)
            raise LimitExceeded("requests", retry_after=max(1, int(counted.reset_seconds)))
        if not held.allowed:
            raise LimitExceeded("concurrency")
        exchange.reserve(Slot(self._state, hit.settle(counted, 0), lease.release()))
