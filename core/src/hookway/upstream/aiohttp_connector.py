"""aiohttp's connection pool, made careful: it hands out only connections that are silent.

aiohttp 3.14 keeps bytes that arrive on an unused connection and takes them for the answer to the next
request, which may be another caller's. It also does not tell whether a lost connection had begun to answer.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from contextvars import ContextVar
from typing import cast

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ClientRequest
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

from hookway.upstream.dialing import socket_for
from hookway.upstream.settings import TransportSettings

_NO_LIMIT_SECONDS = 365 * 86400.0


class CountingHandler(ResponseHandler):
    """A connection that counts what it received since it was handed out."""

    received = 0

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        super().data_received(data)


# Whom to tell which connection the request of this context got; aiohttp has no way to pass it.
tell: ContextVar[Callable[[CountingHandler], None]] = ContextVar("tell")


class CarefulConnector(aiohttp.TCPConnector):
    """The pool; made inside the loop.

    Args:
        settings: bounds and pools.
    """

    def __init__(self, settings: TransportSettings) -> None:
        idle = settings.idle_timeout
        super().__init__(
            limit=0,
            limit_per_host=settings.max_connections_per_origin or 0,
            keepalive_timeout=idle if idle is not None else _NO_LIMIT_SECONDS,
            socket_factory=lambda info: socket_for(info[0], settings.tcp_keepalive),
        )
        counting = functools.partial(CountingHandler, loop=asyncio.get_running_loop())
        self._factory = cast("functools.partial[ResponseHandler]", counting)

    async def connect(
        self,
        req: ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109
    ) -> Connection:
        """Return a connection, and tell the request what it is."""
        while True:
            connection = await super().connect(req, traces, timeout)
            handler = connection.protocol
            if isinstance(handler, CountingHandler) and not handler.should_close:
                handler.received = 0
                tell.get()(handler)
                return connection
            connection.close()
