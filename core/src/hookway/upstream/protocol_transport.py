"""The upstream transport on asyncio protocols and llhttp: a fifth of the cost of a general client.

A request over a pooled connection makes one future, one response and one write: no task, no loop timer.
"""

from __future__ import annotations

import asyncio

from hookway.deadlines import DeadlineWheel
from hookway.upstream.connection import Connection, StaleConnection
from hookway.upstream.dialing import Dialer, Resolver
from hookway.upstream.pool import ConnectionPool
from hookway.upstream.request import UpstreamRequest
from hookway.upstream.response import UpstreamResponse
from hookway.upstream.settings import TransportSettings
from hookway.upstream.timeouts import Timeouts
from hookway.upstream.tls import TlsContexts
from hookway_sdk.errors import UpstreamTimeout


class ProtocolTransport:
    """See :class:`~hookway.upstream.transport.Transport`.

    Args:
        wheel: the worker's deadlines.
        settings: bounds and pools.
        tls: contexts, shared with whoever checks TLS settings beforehand; None makes them.
        resolver: for names; None makes one.
    """

    def __init__(
        self,
        wheel: DeadlineWheel,
        settings: TransportSettings | None = None,
        tls: TlsContexts | None = None,
        resolver: Resolver | None = None,
    ) -> None:
        settings = settings if settings is not None else TransportSettings()
        tls = tls if tls is not None else TlsContexts()
        resolver = resolver if resolver is not None else Resolver(wheel.now)
        self._now = wheel.now
        self.pool = ConnectionPool(wheel, Dialer(tls, resolver, settings.tcp_keepalive), settings)

    async def open(self, request: UpstreamRequest, timeouts: Timeouts) -> UpstreamResponse:
        head = request.render()
        spent = 0.0
        began = self._now()
        connection = self.pool.take(request.head.origin)
        fresh = connection is None
        while True:
            if connection is None:
                connection = await self._connect(request, timeouts, self._now() - began)
                spent = self._now() - began
            waiter = connection.begin(request, head, timeouts, spent)
            try:
                response = await waiter
                connection.woken()
                return response
            except asyncio.CancelledError:
                connection.abandon(waiter)
                raise
            except StaleConnection:
                if fresh or not request.replayable:
                    raise
                # Only once, and surely on a new connection: all that are free may have gone the same way.
                fresh, connection = True, None

    async def close(self) -> None:
        self.pool.close()
        # The transports close in the loop's next turns.
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def _connect(self, request: UpstreamRequest, timeouts: Timeouts, spent: float) -> Connection:
        seconds, stage = timeouts.connect, "connect"
        if timeouts.total is not None and (seconds is None or timeouts.total - spent < seconds):
            seconds, stage = timeouts.total, "total"
        if seconds is None:
            return await self.pool.connect(request.head.origin)
        try:
            async with asyncio.timeout(seconds - spent if stage == "total" else seconds):
                return await self.pool.connect(request.head.origin)
        except TimeoutError as error:
            raise UpstreamTimeout(round(seconds * 1000), stage=stage) from error
