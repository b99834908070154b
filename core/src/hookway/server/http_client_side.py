"""A client over HTTP: its credential, its body, and the bytes that go back to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import StreamReader

from hookway.deadlines import DeadlineWheel
from hookway.live_exchange import LiveExchange
from hookway.server.answer_headers import own_lines
from hookway.server.answers import HeadWriter
from hookway.server.incoming_request import IncomingRequest
from hookway_sdk import BodyTooLarge, Credential, InvalidRequest, RequestTimeout

if TYPE_CHECKING:
    from hookway.server.protocol import GatewayProtocol

ONE_PIECE = 64 * 1024
"""Bytes of a body up to which reading it has nothing to do with flow control."""

EVENT_STREAM = "text/event-stream"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
"""What a client waits for that announced its body with ``Expect`` (RFC 9110, 10.1.1)."""

UNREADABLE = (web.RequestPayloadError, HttpProcessingError, ValueError)
"""What aiohttp raises for a body whose framing or coding is broken."""

STREAM_LINES = "\r\ncache-control: no-cache\r\nx-accel-buffering: no"


class HttpClientSide:
    """See :class:`hookway.client_side.ClientSide`; one per request."""

    __slots__ = (
        "_begun",
        "_body_timeout",
        "_chunked",
        "_heads",
        "_limit",
        "_protocol",
        "_request",
        "_wheel",
        "keep_alive",
    )

    def __init__(
        self,
        request: IncomingRequest,
        protocol: GatewayProtocol,
        heads: HeadWriter,
        wheel: DeadlineWheel,
        limit: int,
        body_timeout: float,
        keep_alive: bool,
    ) -> None:
        self._request = request
        self._protocol = protocol
        self._heads = heads
        self._wheel = wheel
        self._limit = limit
        self._body_timeout = body_timeout
        self._chunked = not request.old
        self._begun = False
        self.keep_alive = keep_alive

    def credential(self) -> Credential | None:
        """Return what the caller proves itself with."""
        return self._protocol.credentials.read(self._request.headers)

    def arrived_body(self) -> bytes | None:
        """Return the request's body if it is here (see :class:`hookway.client_side.ClientSide`)."""
        content = self._request.content
        if not content.is_eof():
            return None
        try:
            # A body in one piece, nearly every one, lies there ready; what else reading does is for others.
            if (
                type(content) is StreamReader
                and content.total_bytes <= ONE_PIECE
                and len(content._buffer) == 1
                and content._exception is None
            ):
                body: bytes = content._buffer[0]
            else:
                body = content.read_nowait()
        except UNREADABLE as error:
            self.keep_alive = False
            raise InvalidRequest("failed to read request body") from error
        if len(body) > self._limit:
            self.keep_alive = False
            raise BodyTooLarge(self._limit)
        return body

    async def read_body(self) -> bytes:
        """Return the request's body (see :class:`hookway.client_side.ClientSide`)."""
        try:
            return await self._read_slowly()
        except UNREADABLE as error:
            self.keep_alive = False
            raise InvalidRequest("failed to read request body") from error

    async def _read_slowly(self) -> bytes:
        """Read a body that has not arrived whole; every piece has to come in time."""
        content = self._request.content
        if self._chunked and self._request.headers.get("expect", "").lower() == "100-continue":
            self._put(CONTINUE)
        late = RequestTimeout("the request's body was not complete in time")
        deadline = self._wheel.schedule(self._body_timeout, content.set_exception, late)
        pieces: list[bytes] = []
        size = 0
        try:
            while not content.at_eof():
                piece = await content.readany()
                size += len(piece)
                if size > self._limit:
                    raise BodyTooLarge(self._limit)
                pieces.append(piece)
                deadline.restart(self._body_timeout)
        except (RequestTimeout, BodyTooLarge):
            self.keep_alive = False
            raise
        finally:
            deadline.cancel()
        return b"".join(pieces)

    def begin_stream(self, exchange: LiveExchange) -> None:
        """Send the head of a streamed answer."""
        self._begun = True
        if not self._chunked:
            self.keep_alive = False
        head = self._heads.render(
            200,
            EVENT_STREAM,
            exchange.id,
            length=None,
            keep_alive=self.keep_alive,
            old=not self._chunked,
            headers=exchange.reply_headers,
            own=STREAM_LINES + own_lines(exchange, self._heads.failed),
        )
        self._put(head)

    def write(self, data: bytes) -> None:
        """Send a piece of a streamed answer."""
        transport = self._protocol.transport
        if transport is not None:
            transport.write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)

    def end_stream(self) -> None:
        """Send the end of a streamed answer."""
        if self._chunked:
            self._put(b"0\r\n\r\n")

    def flow(self, pause: Callable[[], None] | None, resume: Callable[[], None] | None) -> None:
        """Say what to call when the client is slow, and when it has caught up."""
        protocol = self._protocol
        protocol.on_pause = pause
        protocol.on_resume = resume
        if pause is not None and protocol.writing_paused:
            pause()

    @property
    def begun(self) -> bool:
        """Whether a stream's head has been sent."""
        return self._begun

    def answer(self, head: bytes, body: bytes) -> None:
        """Send a finished answer; a large body is not copied to be put behind its head."""
        transport = self._protocol.transport
        if transport is None:
            return
        if len(body) > 65536:
            self._protocol.outbox.flush()
            transport.writelines((head, body))
        else:
            self._protocol.outbox.write(transport, head + body)

    def _put(self, data: bytes) -> None:
        transport = self._protocol.transport
        if transport is not None:
            self._protocol.outbox.flush()  # of the request before, if the client did not wait for its answer
            transport.write(data)
