"""A client's connection: aiohttp's parser and flow control, with our request loop, errors and deadlines.

aiohttp's own loop makes a task, a request object, a stream writer and a response for every request,
which is a third of the cost of a relayed one (``docs/decisions/0002``). This one hands the parsed
message to the handler and lets it write to the transport.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, cast

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from aiohttp.web_protocol import RequestHandler, _ErrInfo

from hookway.deadlines import Deadline, DeadlineWheel
from hookway.outbox import outbox_of
from hookway.server.client_context import Credentials
from hookway.server.incoming_request import IncomingRequest
from hookway_sdk import Client, GatewayError, InvalidRequest, RequestTimeout

if TYPE_CHECKING:
    from hookway.server.answers import HeadWriter

Handler = Callable[[IncomingRequest], Awaitable[bool]]
"""Serves a request; says whether the connection may stay."""

NO_LIMIT = 10 * 365 * 86400.0
"""Seconds that stand for "no limit" where aiohttp wants a number."""

LINGER_SECONDS = 5.0
LINGER_BYTES = 32 * 1024 * 1024
"""How long and how much of a refused body is read and dropped, so that the client gets to read its answer."""


class ConnectionSettings:
    """What every connection of a listener shares.

    Args:
        handler: serves a request.
        heads: renders heads.
        error_body: renders an error for a request whose dialect is not known.
        new_id: makes a request id.
        wheel: deadlines of the worker.
        head_timeout: seconds for a request's head once it has begun; 0 is no limit.
        report: told of failures of the gateway itself, which no handler should let out.
    """

    def __init__(
        self,
        handler: Handler,
        heads: HeadWriter,
        error_body: Callable[[GatewayError, str], bytes],
        new_id: Callable[[], str],
        wheel: DeadlineWheel,
        head_timeout: float,
        report: Callable[[Exception], None],
    ) -> None:
        self.handler = handler
        self.heads = heads
        self.error_body = error_body
        self.new_id = new_id
        self.wheel = wheel
        self.head_timeout = head_timeout
        self.report = report


class GatewayProtocol(RequestHandler):
    """One connection of a client.

    Attributes:
        client: who is on the other end, kept while requests of the connection do not differ in it.
        agent: the header from which it was made, ``None`` before the first request.
        credentials: reads what its requests prove themselves with.
        peer: address of the other end of the connection.
        outbox: of the loop.
        on_pause: called when the client does not take its bytes as fast as they come.
        on_resume: called when it does again.
    """

    __slots__ = (
        "_head_deadline",
        "_settings",
        "agent",
        "client",
        "credentials",
        "on_pause",
        "on_resume",
        "outbox",
        "peer",
    )

    def __init__(self, manager: GatewayServer, **options: Any) -> None:
        super().__init__(manager, **options)
        self._settings = manager.settings
        self._head_deadline: Deadline | None = None
        self.outbox = outbox_of(self._loop)
        self.client = Client()
        self.agent: str | None = None
        self.credentials = Credentials()
        self.peer = ""
        self.on_pause: Callable[[], None] | None = None
        self.on_resume: Callable[[], None] | None = None

    # ── the connection ──────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note who connected."""
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        self.peer = str(peer[0]) if isinstance(peer, tuple) and peer else ""

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget deadlines; aiohttp cancels the request loop, and with it the handler."""
        self._forget_head_deadline()
        self.on_pause = self.on_resume = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; a head that has begun has to be complete in time (408)."""
        if self._upgraded or self._close or self._force_close or self._parser is None:
            super().data_received(data)
        else:
            self._parse(data)
        if self._request_in_progress or self._messages:
            if self._head_deadline is not None:
                self._forget_head_deadline()
        elif self._head_deadline is None and data and self._settings.head_timeout > 0:
            settings = self._settings
            self._head_deadline = settings.wheel.schedule(settings.head_timeout, self._head_is_late)

    def _parse(self, data: bytes) -> None:
        """Queue the messages that are complete in their heads, and wake the loop below."""
        assert self._parser is not None
        try:
            messages, self._upgraded, tail = self._parser.feed_data(data)
        except HttpProcessingError as error:
            messages, tail = [(_ErrInfo(400, error, error.message), EMPTY_PAYLOAD)], b""
        if messages:
            self._messages.extend(messages)
            waiter = self._waiter
            if waiter is not None and not waiter.done():
                self.outbox.expected += 1
                waiter.set_result(None)
            if len(self._messages) >= self._max_msg_queue_size and not self._buffer_paused:
                self._pause_reading_for_buffer()
        if tail and self._upgraded:
            self._message_tail = tail

    def force_close(self) -> None:
        """Close at once; what was answered still leaves."""
        self.outbox.flush()
        super().force_close()

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Read on after a pause; aiohttp asks after every read, and parses nothing again each time."""
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def pause_writing(self) -> None:
        """The socket's buffer is full."""
        super().pause_writing()
        if self.on_pause is not None:
            self.on_pause()

    def resume_writing(self) -> None:
        """The socket's buffer has room again."""
        super().resume_writing()
        if self.on_resume is not None:
            self.on_resume()

    async def drained(self) -> None:
        """Wait until the client has taken what was written; returns at once unless it is slow."""
        if self._paused and self.transport is not None:
            await self._drain_helper()

    # ── the request loop ────────────────────────────────────────────────────────────────────

    async def start(self) -> None:
        """Serve the connection's requests one after the other, until it closes."""
        loop, manager = self._loop, self._manager
        assert manager is not None
        handler = self._settings.handler
        try:
            while not self._force_close:
                if not self._messages:
                    self._waiter = loop.create_future()
                    try:
                        await self._waiter
                    finally:
                        self._waiter = None
                    self.outbox.expected -= 1
                message, payload = self._messages.popleft()
                if self._parser is not None:
                    self._parser.message_consumed()
                if self._buffer_paused and len(self._messages) <= self._msg_queue_resume_size:
                    self._resume_reading_if_drained()
                manager.requests_count += 1
                if isinstance(message, _ErrInfo):
                    self._refuse(message)
                    break
                self._request_in_progress = True
                try:
                    stays = await handler(IncomingRequest(message, payload, self))
                except Exception as error:
                    self._settings.report(error)
                    self._write_error(GatewayError("the gateway failed to serve this", type="internal_error"))
                    stays = False
                finally:
                    self._request_in_progress = False
                    if self._handler_waiter is not None:
                        self._handler_waiter.set_result(None)
                        self._handler_waiter = None
                if self._upgraded:
                    self._decline_upgrade()
                if not payload.is_eof():
                    stays = await self._linger(payload) and stays
                if not stays or self._close or self._force_close:
                    break
                self._begin_idle_time()
        except asyncio.CancelledError:
            self.force_close()
            raise
        if not self._force_close:
            self._task_handler = None
            if self.transport is not None:
                self.outbox.flush()
                self.transport.close()

    def _decline_upgrade(self) -> None:
        """Go on with HTTP after a request that wanted another protocol got an ordinary answer."""
        if self._messages or self._payload_parser is not None or self._parser is None:
            return
        self._parser.set_upgraded(False)
        self._upgraded = False
        tail, self._message_tail = self._message_tail, b""
        if tail:
            self.data_received(tail)

    async def _linger(self, payload: StreamReader) -> bool:
        """Read and drop the rest of a body that nobody wanted; say whether all of it came."""
        dropped = 0
        try:
            async with asyncio.timeout(LINGER_SECONDS):
                while not payload.at_eof() and dropped <= LINGER_BYTES:
                    dropped += len(await payload.readany())
        except TimeoutError:
            return False
        except Exception:
            # The body's own failure (broken framing, an earlier deadline): it will not be completed.
            return False
        return payload.at_eof()

    def _begin_idle_time(self) -> None:
        """Let the connection be closed if no further request comes in time."""
        if self._keepalive_timeout >= NO_LIMIT:
            return
        due = self._loop.time() + self._keepalive_timeout
        self._next_keepalive_close_time = due
        if self._keepalive_handle is None:
            self._keepalive_handle = self._loop.call_at(due, self._process_keepalive)

    # ── errors ──────────────────────────────────────────────────────────────────────────────

    def _refuse(self, fault: _ErrInfo) -> None:
        """Answer what the parser refused, in our envelope."""
        text = (fault.message or str(fault.exc)).lower()
        # aiohttp's two parsers say "present twice" and "Duplicate Content-Length".
        if "content-length" in text and ("present twice" in text or "duplicate" in text):
            self._write_error(InvalidRequest("conflicting Content-Length headers"))
        elif fault.status >= 500:
            self._write_error(GatewayError("the gateway failed to read this", type="internal_error"))
        else:
            self._write_error(InvalidRequest("malformed HTTP request"))

    def _head_is_late(self) -> None:
        self._head_deadline = None
        if self._request_in_progress or self._messages or self.transport is None:
            return
        self._write_error(RequestTimeout("the request's head was not complete in time"))
        self.force_close()

    def _write_error(self, error: GatewayError) -> None:
        if self.transport is None:
            return
        settings = self._settings
        request_id = settings.new_id()
        body = settings.error_body(error, request_id)
        head = settings.heads.render(
            error.status, "application/json", request_id, length=len(body), keep_alive=False
        )
        self.outbox.write(self.transport, head + body)

    def _forget_head_deadline(self) -> None:
        if self._head_deadline is not None:
            self._head_deadline.cancel()
            self._head_deadline = None


class GatewayServer(web.Server):
    """Makes the protocol of each connection of a listener."""

    def __init__(self, settings: ConnectionSettings, **options: Any) -> None:
        super().__init__(cast("Any", settings.handler), handler_cancellation=True, **options)
        self.settings = settings
        self._options = {**options, "access_log": None, "auto_decompress": True}

    def __call__(self) -> RequestHandler:
        """Return the protocol of a new connection."""
        return GatewayProtocol(self, loop=asyncio.get_running_loop(), **self._options)
