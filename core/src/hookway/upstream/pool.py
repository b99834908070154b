"""Connections by origin: who is free, who waits, and how long a free one is kept."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from hookway.deadlines import DeadlineWheel
from hookway.upstream.connection import Connection
from hookway.upstream.dialing import Dialer
from hookway.upstream.request import Origin
from hookway.upstream.settings import TransportSettings
from hookway_sdk.errors import TransportFailed


class _OriginPool:
    """The connections to one origin; their owner."""

    __slots__ = ("_emptied", "_freed", "busy", "idle", "now", "origin", "reserved", "settings", "waiters")

    def __init__(
        self,
        origin: Origin,
        settings: TransportSettings,
        now: Callable[[], float],
        freed: Callable[[], None],
        emptied: Callable[[_OriginPool], None],
    ) -> None:
        self.origin = origin
        self.settings = settings
        self.now = now
        self._freed = freed
        self._emptied = emptied
        # The last one freed is taken first: the rest can grow old and be closed.
        self.idle: list[Connection] = []
        self.busy: set[Connection] = set()
        self.reserved = 0  # places of connections being made
        # Each gets a connection, or None for the right to make one.
        self.waiters: deque[asyncio.Future[Connection | None]] = deque()

    @property
    def size(self) -> int:
        return len(self.idle) + len(self.busy) + self.reserved

    @property
    def empty(self) -> bool:
        return not self.size and not self.waiters

    def take(self) -> Connection | None:
        while self.idle:
            connection = self.idle.pop()
            if connection.usable:
                self.busy.add(connection)
                return connection
            connection.close()
        return None

    def released(self, connection: Connection) -> None:
        while self.waiters:
            waiter = self.waiters.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        self.busy.discard(connection)
        limit = self.settings.max_idle_per_origin
        if limit is not None and len(self.idle) >= limit:
            # It is in neither list, so closing it tells only those who wait.
            connection.close()
            return
        connection.idle_since = self.now()
        if not self.idle:
            self._freed()  # with others in the list, somebody watches over it already
        self.idle.append(connection)

    def lost(self, connection: Connection) -> None:
        if connection in self.busy:
            self.busy.discard(connection)
        elif connection in self.idle:
            self.idle.remove(connection)
        self.let_next_connect()

    def let_next_connect(self) -> None:
        """A place has become free: the first in the queue may make a connection."""
        while self.waiters:
            waiter = self.waiters.popleft()
            if not waiter.done():
                self.reserved += 1
                waiter.set_result(None)
                return
        if self.empty:
            self._emptied(self)


class ConnectionPool:
    """All connections of one worker.

    Args:
        wheel: times exchanges and the closing of idle connections.
        dialer: makes connections.
        settings: bounds.
    """

    def __init__(self, wheel: DeadlineWheel, dialer: Dialer, settings: TransportSettings) -> None:
        self._wheel = wheel
        self._dialer = dialer
        self._settings = settings
        self._pools: dict[Origin, _OriginPool] = {}
        self._sweep = wheel.idle(self._close_idle)
        self._closed = False

    @property
    def idle_count(self) -> int:
        """How many connections are free."""
        return sum(len(pool.idle) for pool in self._pools.values())

    @property
    def busy_count(self) -> int:
        """How many connections carry an exchange."""
        return sum(len(pool.busy) for pool in self._pools.values())

    @property
    def origin_count(self) -> int:
        """How many origins have connections, or somebody waiting for one."""
        return len(self._pools)

    def take(self, origin: Origin) -> Connection | None:
        """Return a free connection, or None; never suspends."""
        pool = self._pools.get(origin)
        return pool.take() if pool is not None else None

    async def connect(self, origin: Origin) -> Connection:
        """Make a connection, or wait for one where their number is limited.

        Raises:
            TransportFailed: with ``sent=False``; also when the pool is closed.
            InvalidUpstreamConfig: the TLS settings cannot be used.
        """
        if self._closed:
            raise TransportFailed("the gateway is shutting down", sent=False)
        pool = self._pools.get(origin)
        if pool is None:
            pool = self._pools[origin] = _OriginPool(
                origin, self._settings, self._wheel.now, self._freed, self._emptied
            )
        limit = self._settings.max_connections_per_origin
        while limit is not None and pool.size >= limit:
            waited = await self._wait(pool)
            if waited is None:
                break  # a place is reserved for us
            if waited.usable:
                return waited
        else:
            pool.reserved += 1
        try:
            connection = await self._dialer.dial(
                origin, lambda: Connection(pool, self._wheel, self._settings)
            )
            if self._closed or not connection.usable:
                connection.abort()
                raise TransportFailed("connection closed before the request", sent=False)
        except BaseException:
            pool.reserved -= 1
            pool.let_next_connect()
            raise
        pool.reserved -= 1
        pool.busy.add(connection)
        return connection

    def close(self) -> None:
        """Close every connection and refuse those who wait."""
        self._closed = True
        self._sweep.cancel()
        for pool in list(self._pools.values()):
            for waiter in pool.waiters:
                if not waiter.done():
                    waiter.set_exception(TransportFailed("the gateway is shutting down", sent=False))
            pool.waiters.clear()
            for connection in list(pool.idle):
                connection.abort()
            for connection in list(pool.busy):
                connection.fail(TransportFailed("the gateway is shutting down"))
        self._pools.clear()

    async def _wait(self, pool: _OriginPool) -> Connection | None:
        waiter: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        pool.waiters.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            # It may have been served in the same moment; what it got goes to the next.
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                connection = waiter.result()
                if connection is not None:
                    pool.released(connection)
                else:
                    pool.reserved -= 1
                    pool.let_next_connect()
            raise

    def _freed(self) -> None:
        if not self._sweep.active and self._settings.idle_timeout is not None:
            self._sweep.restart(self._settings.idle_timeout)

    def _emptied(self, pool: _OriginPool) -> None:
        if self._pools.get(pool.origin) is pool:
            del self._pools[pool.origin]

    def _close_idle(self) -> None:
        keep = self._settings.idle_timeout
        assert keep is not None
        now = self._wheel.now()
        oldest = now
        for pool in list(self._pools.values()):
            while pool.idle and pool.idle[0].idle_since + keep <= now:
                pool.idle[0].close()
            if pool.idle:
                oldest = min(oldest, pool.idle[0].idle_since)
        if self.idle_count:
            self._sweep.restart(oldest + keep - now)
