"""One HTTP/1.1 connection to a provider: one exchange at a time, then the next (RFC 9112).

The parser is llhttp (``httptools``). It refuses what makes two readers disagree about where an answer ends:
a length together with chunking, two lengths, bare line feeds, folded fields, malformed chunks. It counts
nothing, so the bounds on the head are kept here. Bytes that nobody asked for end the connection: they could
be taken for the answer to the next request, which may be another caller's.

llhttp is not asked for the fields of the head, as each would be a call into Python; a head that it has
accepted is kept as it came, and taken apart where somebody asks for a field.
"""

from __future__ import annotations

import asyncio
import re
from typing import NoReturn, Protocol, cast

import httptools

from hookway.deadlines import DeadlineWheel
from hookway.outbox import outbox_of
from hookway.upstream.body_pump import Gate, send_body
from hookway.upstream.causes import cause_of
from hookway.upstream.decoding import Decoder, decoder_for
from hookway.upstream.exchange_deadline import ExchangeDeadline
from hookway.upstream.request import UpstreamRequest
from hookway.upstream.response import Headers, UpstreamResponse, fields_of
from hookway.upstream.settings import TransportSettings
from hookway.upstream.timeouts import STALE_SECONDS, Timeouts
from hookway_sdk.errors import GatewayError, StreamAborted, TransportFailed, UpstreamError

# A body up to this size is copied behind its head, so that both leave in one packet and one system call.
JOINED_BODY = 64 * 1024
_IDLE, _HEAD, _BODY, _DONE, _CLOSED = range(5)
# The end of a head, or a coding of its body other than plain "chunked" where that comes first.
_end_or_coding = re.compile(
    rb"\n(?:\r\n|(content-encoding:|transfer-encoding:(?![ \t]*chunked[ \t]*\r)))", re.IGNORECASE
).search
_find_codings = re.compile(rb"\r\n(transfer|content)-encoding:([^\r]*)").findall
_STRIPPED = frozenset({b"content-encoding", b"content-length"})


class StaleConnection(TransportFailed):
    """A used connection was closed before any byte of the answer: the request may be tried on a fresh one."""


class _Refused(Exception):
    """Stops the parser from within a callback; the reason is in ``_fault``."""


class Owner(Protocol):
    """The pool, as a connection sees it."""

    def released(self, connection: Connection) -> None:
        """The exchange ended cleanly; the connection can be used again."""

    def lost(self, connection: Connection) -> None:
        """The connection cannot be used any more; called once."""


class Connection(asyncio.Protocol):
    """One connection.

    Args:
        owner: told when it is free and when it is gone.
        wheel: for the deadlines of its exchanges.
        settings: bounds on the head of an answer.

    Attributes:
        idle_since: monotonic seconds; the pool's.
    """

    __slots__ = (
        "_arriving",
        "_barren",
        "_deadline",
        "_decode",
        "_fault",
        "_gate",
        "_head",
        "_is_head",
        "_loop",
        "_outbox",
        "_owner",
        "_parser",
        "_phase",
        "_pieces",
        "_poisoned",
        "_progress",
        "_pump",
        "_reading_paused",
        "_received",
        "_response",
        "_reusable",
        "_settings",
        "_transport",
        "_used",
        "_waiter",
        "idle_since",
    )

    def __init__(self, owner: Owner, wheel: DeadlineWheel, settings: TransportSettings) -> None:
        self._owner = owner
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._outbox = outbox_of(self._loop)
        self._deadline = ExchangeDeadline(wheel, self.fail)
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._gate: Gate | None = None
        self._pump: asyncio.Task[None] | None = None
        self._waiter: asyncio.Future[UpstreamResponse] | None = None
        self._response: UpstreamResponse | None = None
        self._phase = _IDLE
        self._used = False
        self._poisoned = False
        self._reading_paused = False
        # What has arrived of a head, and then the head itself, from its status line to its last field.
        self._pieces: list[bytes] = []
        self._head = b""
        self._fault: UpstreamError | None = None
        self._progress = self._reusable = False
        self._is_head = False
        self._decode = True
        self._received = self._arriving = self._barren = 0
        self.idle_since = 0.0

    # ── for the transport ───────────────────────────────────────────────────────────────────

    @property
    def usable(self) -> bool:
        """Whether a request can be sent."""
        return self._phase == _IDLE and self._transport is not None and not self._transport.is_closing()

    def begin(
        self, request: UpstreamRequest, head: bytes, timeouts: Timeouts, spent: float
    ) -> asyncio.Future[UpstreamResponse]:
        """Send a request; the connection must be usable.

        Args:
            request: what is sent.
            head: the same, rendered.
            timeouts: of the exchange.
            spent: seconds of ``total`` that connecting has used.

        Returns:
            A future for the answer's head; who cancels it must call :meth:`abandon`.
        """
        transport = self._transport
        assert transport is not None
        waiter = self._waiter = self._loop.create_future()
        self._phase = _HEAD
        self._received = 0
        self._is_head = request.head.method == "HEAD"
        self._decode = request.decode
        self._deadline.begin(timeouts, spent)
        body = request.body
        if type(body) is bytes and len(body) <= JOINED_BODY:
            self._outbox.write(transport, head + body)
        else:
            self._send_large(request, head)
        return waiter

    def woken(self) -> None:
        """Note that whoever waited for the head goes on with it."""
        self._outbox.expected -= 1

    def abandon(self, waiter: asyncio.Future[UpstreamResponse]) -> None:
        """Close the connection if it is still busy with this exchange: nobody waits for it any more."""
        if self._waiter is waiter:
            self.abort()

    def fail(self, error: GatewayError) -> None:
        """Close at once, and tell whoever waits for the head or the body."""
        waiter, response = self._waiter, self._response
        self.abort()
        if response is not None:
            response.fail(error if isinstance(error, UpstreamError) else StreamAborted(detail=error.message))
        elif waiter is not None and not waiter.done():
            waiter.set_exception(error)

    def close(self) -> None:
        """Close an unused connection in an orderly way."""
        if self._phase != _CLOSED:
            self._shut()
            if self._transport is not None:
                self._transport.close()

    # ── Source: for the response ────────────────────────────────────────────────────────────

    def pause_reading(self) -> None:
        """Let the provider wait."""
        if self._phase != _CLOSED and not self._reading_paused and self._transport is not None:
            self._reading_paused = True
            self._transport.pause_reading()
            self._deadline.pause()

    def resume_reading(self) -> None:
        """Read on."""
        if self._phase != _CLOSED and self._reading_paused and self._transport is not None:
            self._reading_paused = False
            self._transport.resume_reading()
            self._deadline.resume()

    def abort(self) -> None:
        """Close at once, whatever is going on; nobody is told but the owner."""
        if self._phase != _CLOSED:
            self._shut()
            if self._transport is not None:
                self._transport.abort()

    # ── what the loop calls ─────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        phase = self._phase
        if phase == _IDLE or phase == _CLOSED:
            self.abort()
            return
        self._progress = False
        self._arriving = len(data)
        if phase == _HEAD:
            self._pieces.append(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._parse_failed(error)
            return
        if self._phase == _DONE:
            self._finish()
        elif self._phase == _BODY:
            deadline = self._deadline
            if phase == _HEAD:
                deadline.head_arrived()
                self._barren = 0
                return
            deadline.last = deadline.now()
            if self._progress:
                self._barren = 0
                return
            # Chunk extensions and trailers are not body; without end they would only fill memory.
            self._barren += len(data)
            if self._barren > self._settings.header_bytes:
                self.fail(TransportFailed("malformed response: too many bytes between two chunks"))
        elif self._phase == _HEAD:
            self._received += len(data)
            if self._received > self._settings.header_bytes:
                self.fail(self._too_large())

    def eof_received(self) -> None:
        if self._phase == _IDLE:
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._gate is not None:
            self._gate.open()
        if self._phase == _CLOSED:
            return
        if self._phase == _BODY and exc is None and self._ends_with_connection():
            self._poisoned = True
            self._finish()
        elif self._phase == _BODY:
            self.fail(StreamAborted(detail=cause_of(exc) if exc else "connection closed"))
        elif self._phase == _HEAD:
            self.fail(self._lost_before_head(exc))
        else:
            self.abort()

    def pause_writing(self) -> None:
        if self._gate is None:
            self._gate = Gate()
        self._gate.shut()

    def resume_writing(self) -> None:
        if self._gate is not None:
            self._gate.open()

    # ── what the parser calls ───────────────────────────────────────────────────────────────

    def on_message_begin(self) -> None:
        if self._phase != _HEAD:
            self._poisoned = True
            raise _Refused

    def on_headers_complete(self) -> None:
        if self._phase != _HEAD:
            raise _Refused
        data = b"".join(self._pieces)
        if not data.startswith(b"H"):
            data = data.lstrip(b"\r\n")  # the parser skips line ends before a status line
        mark = _end_or_coding(data)
        assert mark is not None  # the parser has met the end
        coded = mark.lastindex is not None
        end = data.find(b"\r\n\r\n", mark.start()) if coded else mark.start() - 1
        head = self._head = data[:end]
        self._pieces.clear()
        settings = self._settings
        if head.count(b"\n") > settings.header_count or (
            # Most answers are smaller than the bound, body included; then there is nothing to add up.
            self._received + self._arriving > settings.header_bytes and self._is_too_large(head)
        ):
            self._refuse(self._too_large())
        parser = self._parser
        status = parser.get_status_code()
        if status < 200:
            if status == 101:
                self._refuse(TransportFailed("malformed response: a switch of protocols nobody asked for"))
            # 100, 103 and the like precede the answer: its fields begin anew, the count of bytes does not.
            self._pieces.append(data[end + 4 :])
            return
        waiter = self._waiter
        if waiter is None or waiter.done():
            # The caller was cancelled a moment ago and closes the connection in its next step.
            self._poisoned = True
            raise _Refused
        headers: Headers | bytes = head
        decoder: Decoder | None = None
        if coded:
            decoder = self._decoder(head.lower())
            if decoder is not None:
                headers = Headers([field for field in fields_of(head) if field[0] not in _STRIPPED])
        version = "1.1" if head.startswith(b"HTTP/1.1") else parser.get_http_version()
        response = UpstreamResponse(status, headers, version, self, decoder)
        self._response = response
        self._phase = _BODY
        if self._is_head:
            self._end_of_head_answer()
        self._outbox.expected += 1
        waiter.set_result(response)

    def on_body(self, chunk: bytes) -> None:
        if self._phase == _BODY and self._response is not None:
            self._progress = True
            self._response.feed(chunk)
        elif self._phase == _DONE:
            self._poisoned = True

    def on_message_complete(self) -> None:
        if self._phase == _BODY:
            self._reusable = self._parser.should_keep_alive()
            self._phase = _DONE

    # ── inside ──────────────────────────────────────────────────────────────────────────────

    def _decoder(self, head: bytes) -> Decoder | None:
        """Return what decodes the body, if anything has to; the head is in lower case."""
        decoder: Decoder | None = None
        for kind, value in _find_codings(head):
            text = value.decode("latin-1")
            if kind == b"content":
                decoder = decoder_for(text) if self._decode and not self._is_head else None
            elif text.strip() != "chunked":
                self._refuse(TransportFailed("malformed response: unknown transfer-encoding"))
        return decoder

    def _end_of_head_answer(self) -> None:
        # The parser does not know the request, so it would wait for the body these headers announce.
        connection = Headers(fields_of(self._head)).get("connection") or ""
        self._reusable = self._parser.get_http_version() == "1.1" and "close" not in connection.lower()
        self._parser = httptools.HttpResponseParser(self)
        self._phase = _DONE

    def _finish(self) -> None:
        """The answer is complete: free the connection, or close it where it cannot be used again."""
        response, transport = self._response, self._transport
        assert response is not None
        assert transport is not None
        if (
            self._reusable
            and not self._poisoned
            # A request that is not out yet keeps the connection from carrying another.
            and self._pump is None
            and not transport.get_write_buffer_size()
            and not transport.is_closing()
        ):
            self._deadline.resting = True
            self._response = self._waiter = None
            self._phase = _IDLE
            self._used = True
            if self._reading_paused:
                self._reading_paused = False
                transport.resume_reading()
            self._owner.released(self)
        else:
            self.abort()
        response.finish()

    def _shut(self) -> None:
        self._phase = _CLOSED
        self._deadline.end()
        self._response = self._waiter = None
        if self._pump is not None:
            self._pump.cancel()
            self._pump = None
        self._owner.lost(self)

    def _parse_failed(self, error: Exception) -> None:
        fault, self._fault = self._fault, None
        if self._phase == _DONE:
            # The answer was complete; what followed it was not asked for.
            self._poisoned = True
            self._finish()
        elif fault is not None:
            self.fail(fault)
        elif self._poisoned or self._phase == _CLOSED:
            self.abort()
        elif isinstance(error, httptools.HttpParserCallbackError):
            # A fault of ours: the loop reports it, and the caller need not wait.
            self.fail(TransportFailed("the answer could not be handled"))
            raise error
        else:
            self.fail(TransportFailed(f"malformed response: {str(error)[:100].lower()}"))

    def _refuse(self, fault: UpstreamError) -> NoReturn:
        self._fault = fault
        raise _Refused

    def _is_too_large(self, head: bytes) -> bool:
        size = sum(len(name) + len(value) + 4 for name, value in fields_of(head))
        return size > self._settings.header_bytes

    def _too_large(self) -> TransportFailed:
        settings = self._settings
        bounds = f"{settings.header_bytes} bytes or {settings.header_count} fields"
        return TransportFailed(f"malformed response: its head is over {bounds}")

    def _ends_with_connection(self) -> bool:
        return not any(name in (b"content-length", b"transfer-encoding") for name, _ in fields_of(self._head))

    def _lost_before_head(self, exc: Exception | None) -> TransportFailed:
        cause = cause_of(exc) if exc is not None else "connection closed"
        if self._received:
            return TransportFailed(f"{cause} inside the head of the answer")
        if self._used and self._deadline.now() - self._deadline.last < STALE_SECONDS:
            return StaleConnection(f"{cause} before the answer")
        return TransportFailed(f"{cause} before the answer" if exc is None else cause)

    def _send_large(self, request: UpstreamRequest, head: bytes) -> None:
        body, transport = request.body, self._transport
        assert transport is not None
        self._outbox.flush()
        if isinstance(body, (bytes, tuple)):
            transport.writelines((head, body) if isinstance(body, bytes) else (head, *body))
        else:
            transport.write(head)
            self._pump = self._loop.create_task(self._send_body(request))

    async def _send_body(self, request: UpstreamRequest) -> None:
        """The pump's task; ends the exchange when the body cannot be sent."""
        body, transport = request.body, self._transport
        assert not isinstance(body, (bytes, tuple))
        assert transport is not None
        if self._gate is None:
            self._gate = Gate()
        try:
            await send_body(transport, self._gate, body, request.length, self._deadline.touch)
        except GatewayError as error:
            if self._phase in (_HEAD, _BODY):
                self._pump = None
                self.fail(error)
            return
        self._pump = None
