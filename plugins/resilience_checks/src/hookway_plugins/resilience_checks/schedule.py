"""Which check is due when, and which worker makes it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from hookway_plugins.resilience_checks.check import Check
from hookway_sdk import Services, StateUnavailable
from hookway_sdk.state import Acquire, Release
from hookway_sdk.unique_names import unique_name

TICK_SECONDS = 1.0
"""How exactly intervals are kept."""
FIRST_SECONDS = 10.0
"""Within which time a model is asked first, so that not all are asked at once after a start."""


class Schedule:
    """Makes each check at its own interval, a bounded number of them at once.

    Workers share the work by leases: who holds that of a model makes its checks, and goes on to hold it; when
    a worker dies, another takes over when the lease has ended.

    Args:
        services: the plugin's.
        make: makes one check.
        concurrency: how many are made at once.

    Attributes:
        checks: what is to be checked, by row id; replaced with every snapshot that is compiled.
    """

    def __init__(
        self, services: Services, make: Callable[[Check], Awaitable[None]], concurrency: int
    ) -> None:
        self.checks: Mapping[str, Check] = {}
        self._services = services
        self._make = make
        self._concurrency = concurrency
        self._due: dict[str, float] = {}
        self._queue: asyncio.Queue[str] = asyncio.Queue()
        self._waiting: set[str] = set()
        self._leases: set[str] = set()
        self._holder = unique_name()
        self._stopped = False

    def start(self) -> None:
        """Begin to check."""
        self._services.tasks.every("schedule", TICK_SECONDS, self.tick)
        for number in range(1, self._concurrency + 1):
            self._services.tasks.start(f"check_{number}", self._work)

    def stop(self) -> None:
        """Make no further checks, and let another worker make them."""
        self._stopped = True
        if self._leases:
            self._services.state.post([Release(lease, self._holder) for lease in sorted(self._leases)])
            self._leases.clear()

    async def tick(self) -> None:
        """Queue the checks that are due."""
        now = self._services.clock.monotonic()
        checks = self.checks
        for gone in [id for id in self._due if id not in checks]:
            del self._due[gone]
        for id, check in checks.items():
            interval = check.row.interval_seconds
            due = self._due.get(id)
            if due is None:
                self._due[id] = now + self._services.random.uniform(0.0, min(interval, FIRST_SECONDS))
            elif now >= due and id not in self._waiting:
                self._due[id] = now + interval
                self._waiting.add(id)
                self._queue.put_nowait(id)
            else:
                self._due[id] = min(due, now + interval)  # its interval may have been shortened

    async def work_off(self) -> None:
        """Make the checks that are queued."""
        while not self._queue.empty():
            await self._make_next()

    async def _work(self) -> None:
        while True:
            await self._make_next()

    async def _make_next(self) -> None:
        id = await self._queue.get()
        try:
            check = self.checks.get(id)  # its row may have changed, or gone, while it waited for its turn
            if check is not None and not self._stopped and await self._may_make(check):
                await self._make(check)
        finally:
            self._waiting.discard(id)

    async def _may_make(self, check: Check) -> bool:
        """Take the lease of a model; without the store, every worker checks for itself."""
        lease = f"probe:{check.id}"
        try:
            operation = Acquire(lease, self._holder, 1, check.row.interval_seconds)
            (answer,) = await self._services.state.apply((operation,))
        except StateUnavailable:
            return True
        if answer.allowed:
            self._leases.add(lease)
        else:
            self._leases.discard(lease)
        return answer.allowed
