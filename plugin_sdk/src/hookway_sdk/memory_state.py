"""The reference store: everything in this process's memory, nothing ever waits."""

from __future__ import annotations

from collections.abc import Sequence

from hookway_sdk.clock import Clock
from hookway_sdk.errors import StateUnavailable
from hookway_sdk.memory_meter import MemoryMeter
from hookway_sdk.memory_space import MemorySpace
from hookway_sdk.meters import Bound, Meter
from hookway_sdk.state import Op, PostOp, Result
from hookway_sdk.swept_table import Pool

# Entries of each table to look at before the store says that it is full.
_RELIEF = 256


class _Home:
    """What all scopes of one store have in common."""

    def __init__(self, clock: Clock, pool: Pool) -> None:
        self.clock = clock
        self.pool = pool
        # Another run of the process has another number: it lost what this one knows.
        self.epoch = int(clock.now() * 1000)
        self.lost_posts = 0
        self.scopes: dict[str, MemoryScope] = {}


class MemoryScope:
    """One space of keys of a :class:`MemoryState`; :meth:`MemoryState.scope` makes it."""

    def __init__(self, home: _Home, path: str) -> None:
        self._home = home
        self._path = path
        self._pool = home.pool
        self._monotonic = home.clock.monotonic
        self._space = MemorySpace(home.pool, home.clock)

    @property
    def epoch(self) -> int:
        """A number that changes when the data are lost: with every new instance, and with ``clear``."""
        return self._home.epoch

    async def apply(self, ops: Sequence[Op]) -> tuple[Result, ...]:
        """Apply a batch, all of it or nothing, and return one result for each operation; never suspends.

        Raises:
            StateUnavailable: the bounds are reached; nothing took effect.
            ValueError: an ``Increment`` met no number, or would leave its range; nothing took effect.
        """
        return self._apply(ops)

    def meter(self, bounds: Sequence[Bound], ttl: float) -> Meter:
        """Return a meter that never waits (see :func:`hookway_sdk.meters.meter_of`)."""
        return MemoryMeter(self._space, self._pool, self._monotonic, self._apply, bounds, ttl)

    def _apply(self, ops: Sequence[Op]) -> tuple[Result, ...]:
        now = self._monotonic()
        if now >= self._pool.next_sweep:
            self._pool.sweep(now)
        try:
            return self._space.apply(ops, now)
        except StateUnavailable:
            self._pool.sweep(now, _RELIEF)
        return self._space.apply(ops, now)

    def post(self, ops: Sequence[PostOp]) -> None:
        """Apply operations that never refuse, at once. What has no room is counted in ``lost_posts``.

        Raises:
            TypeError: an operation has an answer that somebody has to read; nothing was posted.
        """
        space = self._space
        space.refuse_to_post(ops)
        now = self._monotonic()
        for op in ops:
            try:
                space.post(op, now)
            except (StateUnavailable, ValueError):
                self._post_again(op, now)

    async def flush(self) -> None:
        """Return at once: what was posted is applied."""

    async def ping(self) -> None:
        """Return at once: memory is there."""

    def scope(self, name: str) -> MemoryScope:
        """Return this store with all keys in a space of their own; equal names share one."""
        path = f"{self._path}/{name}"
        scopes = self._home.scopes
        if path not in scopes:
            scopes[path] = MemoryScope(self._home, path)
        return scopes[path]

    def _post_again(self, op: PostOp, now: float) -> None:
        self._pool.sweep(now, _RELIEF)
        try:
            self._space.post(op, now)
        except (StateUnavailable, ValueError):
            self._home.lost_posts += 1


class MemoryState(MemoryScope):
    """A :class:`~hookway_sdk.state.State` in memory.

    It counts on the monotonic clock, so setting the wall clock changes nothing that is counted. The wall
    clock is read only when an aligned window opens, to learn how long it has to last; then it lasts so long.
    (Sleep of the machine adds nothing to the monotonic clock: a window that was open goes on afterwards.)

    There is no background task: what has ended is found on the way, a few entries at a time. When the bounds
    are reached and nothing has ended, new keys are refused and existing ones go on; nothing that counts is
    pushed out.

    Args:
        clock: time.
        max_keys: windows, keys with leases, and values, in all scopes together.
        max_value_bytes: bytes of values in all scopes together.
    """

    def __init__(
        self, clock: Clock, *, max_keys: int = 1_000_000, max_value_bytes: int = 256 * 1024 * 1024
    ) -> None:
        super().__init__(_Home(clock, Pool(max_keys, max_value_bytes)), "")

    @property
    def keys(self) -> int:
        """How many keys are kept, those included that ended and were not yet found."""
        return self._pool.entries

    @property
    def lost_posts(self) -> int:
        """Posted operations that could not be applied, for want of room or because a value is no number."""
        return self._home.lost_posts

    def clear(self) -> None:
        """Forget everything, in all scopes, and begin another epoch."""
        self._pool.clear()
        self._home.epoch += 1
