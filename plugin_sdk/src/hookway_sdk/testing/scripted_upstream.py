"""A provider for tests: a real HTTP/1.1 server on a loopback port that answers from a script.

::

    async with ScriptedUpstream([*storm(429, count=2), json_reply({"id": "x"})]) as upstream:
        ...                                     # point the code under test at upstream.url
    assert len(upstream.requests) == 3

It speaks real bytes, so it can also do what no well-behaved server does: cut an answer inside a chunk, fall
silent, split a multi-byte character between two packets, or send what is not HTTP at all.
"""

from __future__ import annotations

import asyncio
import inspect
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import TypeAlias

from hookway_sdk.testing.scripted_connection import Departure, RecordedRequest, ScriptedConnection
from hookway_sdk.testing.scripted_replies import (
    Action,
    Cut,
    Delay,
    Malformed,
    Reply,
    Stall,
    json_reply,
    sse_reply,
    storm,
)

__all__ = [
    "Action",
    "Cut",
    "Delay",
    "Departure",
    "Malformed",
    "RecordedRequest",
    "Reply",
    "Script",
    "ScriptedUpstream",
    "Stall",
    "json_reply",
    "sse_reply",
    "storm",
]

Script: TypeAlias = "Iterable[Action] | Callable[[RecordedRequest], Action | Awaitable[Action]]"


class ScriptedUpstream:
    """Answer requests from a script and keep what arrived.

    Args:
        script: one action a request, in order; or a function (plain or ``async``) that is asked each time.
        default: the action when the list is used up; None answers 500 and fails the test at the end.
        tls: serve over TLS with this context.
        read_body: False answers as soon as the head of a request is there, leaves its body unread until the
            reply is written, and then closes; for early refusals and for clients that must not wait.
        host: address to listen on.

    Attributes:
        requests: every request so far, in the order of their heads.
        connections: how many connections were accepted, over TLS with a complete handshake.
        faults: what went wrong in the script or in what clients sent; leaving the context raises it.
    """

    def __init__(
        self,
        script: Script = (),
        *,
        default: Action | None = None,
        tls: ssl.SSLContext | None = None,
        read_body: bool = True,
        host: str = "127.0.0.1",
    ) -> None:
        self._function = script if callable(script) else None
        self._queue: deque[Action] = deque() if callable(script) else deque(script)
        self._default = default
        self._tls = tls
        self._read_body = read_body
        self._host = host
        self._server: asyncio.Server | None = None
        self._open: set[ScriptedConnection] = set()
        self._departures: asyncio.Queue[Departure] = asyncio.Queue()
        self._changed = asyncio.Event()
        self.port = 0
        self.requests: list[RecordedRequest] = []
        self.connections = 0
        self.faults: list[str] = []

    @property
    def url(self) -> str:
        """Scheme, host and port, without a slash at the end."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}"

    @property
    def open_connections(self) -> int:
        """How many connections are open now."""
        return len(self._open)

    @property
    def received(self) -> int:
        """Bytes read from the connections that are open now."""
        return sum(connection.received for connection in self._open)

    def push(self, *actions: Action) -> None:
        """Append actions to the script."""
        if self._function is not None:
            raise TypeError("the script of this upstream is a function; it cannot be appended to")
        self._queue.extend(actions)

    def disconnect_idle(self) -> None:
        """Close every connection in an orderly way, as a server does whose keep-alive time is over."""
        for connection in self._open:
            connection.transport.close()

    async def wait_disconnect(self, timeout: float = 5.0) -> Departure:  # noqa: ASYNC109
        """Wait until a client has left in the middle of a reply, and tell when.

        Args:
            timeout: seconds to wait at most.

        Raises:
            TimeoutError: no client left in time.
        """
        async with asyncio.timeout(timeout):
            return await self._departures.get()

    async def wait_requests(self, count: int, timeout: float = 5.0) -> None:  # noqa: ASYNC109
        """Wait until so many requests have arrived in all.

        Args:
            count: how many.
            timeout: seconds to wait at most.

        Raises:
            TimeoutError: fewer arrived.
        """
        await self._wait_until(lambda: len(self.requests) >= count, timeout)

    async def wait_closed(self, timeout: float = 5.0) -> None:  # noqa: ASYNC109
        """Wait until no connection is open.

        Args:
            timeout: seconds to wait at most.

        Raises:
            TimeoutError: some are still open.
        """
        await self._wait_until(lambda: not self._open, timeout)

    async def __aenter__(self) -> ScriptedUpstream:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accept, self._host, 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        tasks = [connection.task for connection in self._open if connection.task is not None]
        for connection in list(self._open):
            connection.transport.abort()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._wait_until(lambda: not self._open, 5.0)
        if self.faults and error is None:
            raise AssertionError("the scripted upstream met faults:\n" + "\n".join(self.faults))

    def _accept(self) -> ScriptedConnection:
        return ScriptedConnection(
            self._opened,
            self._answer,
            self._departures.put_nowait,
            self.faults.append,
            self._forget,
            self._read_body,
        )

    def _opened(self, connection: ScriptedConnection) -> int:
        self.connections += 1
        self._open.add(connection)
        return self.connections

    def _forget(self, connection: ScriptedConnection) -> None:
        self._open.discard(connection)
        self._changed.set()

    async def _answer(self, request: RecordedRequest) -> Action:
        self.requests.append(request)
        self._changed.set()
        if self._function is None:
            if self._queue:
                return self._queue.popleft()
            if self._default is not None:
                return self._default
            self.faults.append(f"no reply left for {request.method} {request.target}")
            return json_reply({"error": {"message": "the script is used up"}}, 500)
        try:
            action = self._function(request)
            if inspect.isawaitable(action):
                action = await action
        except Exception as error:
            self.faults.append(f"the script raised for {request.method} {request.target}: {error!r}")
            return json_reply({"error": {"message": "the script raised"}}, 500)
        return action

    async def _wait_until(self, holds: Callable[[], bool], seconds: float) -> None:
        async with asyncio.timeout(seconds):
            while not holds():
                self._changed.clear()
                await self._changed.wait()
