"""The upstream transport over aiohttp's client, for platforms where httptools is missing.

It keeps the promises of :class:`~hookway.upstream.transport.Transport` at several times the cost, except
``TransportSettings.max_idle_per_origin``, which aiohttp's pool does not know.
"""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import aiohttp
from aiohttp import hdrs
from multidict import CIMultiDict
from yarl import URL

from hookway.deadlines import DeadlineWheel
from hookway.upstream.aiohttp_body import WHOLE_BODY, BodyReader, Upload, slices
from hookway.upstream.aiohttp_connector import CarefulConnector, CountingHandler, tell
from hookway.upstream.aiohttp_faults import fault_of
from hookway.upstream.decoding import decoder_for
from hookway.upstream.exchange_deadline import ExchangeDeadline
from hookway.upstream.request import UpstreamRequest
from hookway.upstream.response import Headers, UpstreamResponse
from hookway.upstream.settings import TransportSettings
from hookway.upstream.timeouts import STALE_SECONDS, Timeouts
from hookway.upstream.tls import TlsContexts
from hookway_sdk.errors import TransportFailed, UpstreamTimeout

_NO_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)
_NOT_OURS = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


class _Attempt:
    """One try of a request: its deadlines, and what is to be closed when they pass."""

    def __init__(self, wheel: DeadlineWheel, timeouts: Timeouts, began: float) -> None:
        self.deadline = ExchangeDeadline(wheel, self._expired)
        self.reused = False
        self.connected = False
        self.handler: CountingHandler | None = None
        self.error: UpstreamTimeout | None = None
        self.scope: asyncio.Timeout | None = None
        self.reader: BodyReader | None = None
        self._timeouts = timeouts
        self._began = began

    def on_handler(self, handler: CountingHandler) -> None:
        """The connection was handed out."""
        self.handler = handler

    def on_connection(self, reused: bool) -> None:
        """The connection is there: connecting is over, sending begins."""
        self.reused = reused
        self.connected = True
        assert self.scope is not None
        self.scope.reschedule(None)
        self.deadline.begin(self._timeouts, self.deadline.now() - self._began)

    def _expired(self, error: UpstreamTimeout) -> None:
        self.error = error
        if self.reader is not None:
            self.reader.fail(error)
        elif self.scope is not None:
            self.scope.reschedule(asyncio.get_running_loop().time())


class AiohttpTransport:
    """See :class:`~hookway.upstream.transport.Transport`.

    Args:
        wheel: the worker's deadlines.
        settings: bounds and pools.
        tls: contexts, shared with whoever checks TLS settings beforehand; None makes them.
    """

    def __init__(
        self,
        wheel: DeadlineWheel,
        settings: TransportSettings | None = None,
        tls: TlsContexts | None = None,
    ) -> None:
        self._wheel = wheel
        self._settings = settings if settings is not None else TransportSettings()
        self._tls = tls if tls is not None else TlsContexts()
        self._session: aiohttp.ClientSession | None = None
        self._readers: set[BodyReader] = set()
        self._closed = False

    async def open(self, request: UpstreamRequest, timeouts: Timeouts) -> UpstreamResponse:
        request.check_headers()
        began = self._wheel.now()
        while True:
            if self._closed:
                raise TransportFailed("the gateway is shutting down", sent=False)
            attempt = _Attempt(self._wheel, timeouts, began)
            upload = None if request.replayable else Upload(request, attempt.deadline)
            try:
                answer = await self._send(request, timeouts, attempt, upload)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                if request.replayable and self._was_stale(attempt):
                    continue
                raise fault_of(error, attempt.connected) from error
            return self._respond(request, attempt, answer, upload)

    async def close(self) -> None:
        self._closed = True
        for reader in list(self._readers):
            reader.fail(TransportFailed("the gateway is shutting down"))
        if self._session is not None:
            await self._session.close()
        # Its transports close in the loop's next turns.
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    # ── sending ─────────────────────────────────────────────────────────────────────────────

    def _was_stale(self, attempt: _Attempt) -> bool:
        if not attempt.reused or attempt.handler is None or attempt.handler.received:
            return False
        return self._wheel.now() - attempt.deadline.last < STALE_SECONDS

    async def _send(
        self, request: UpstreamRequest, timeouts: Timeouts, attempt: _Attempt, upload: Upload | None
    ) -> aiohttp.ClientResponse:
        spent = attempt.deadline.now() - attempt._began
        seconds, stage = timeouts.connect, "connect"
        if timeouts.total is not None and (seconds is None or timeouts.total - spent < seconds):
            seconds, stage = timeouts.total - spent, "total"
        try:
            async with asyncio.timeout(seconds) as attempt.scope:
                return await self._ask(request, attempt, upload)
        except TimeoutError as error:
            attempt.deadline.end()
            if attempt.error is not None:
                raise attempt.error from error
            limit = timeouts.total if stage == "total" else seconds
            raise UpstreamTimeout(round((limit or 0) * 1000), stage=stage) from error
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
            attempt.deadline.end()
            if upload is not None and upload.error is not None:
                raise upload.error from error
            if isinstance(error, aiohttp.ClientConnectorError):
                raise fault_of(error, attempt.connected) from error
            raise
        except (aiohttp.ClientError, ValueError) as error:
            attempt.deadline.end()
            if upload is not None and upload.error is not None:
                raise upload.error from error
            raise fault_of(error, attempt.connected) from error
        except BaseException:
            attempt.deadline.end()
            raise

    async def _ask(
        self, request: UpstreamRequest, attempt: _Attempt, upload: Upload | None
    ) -> aiohttp.ClientResponse:
        head, origin = request.head, request.head.origin
        context = self._tls.get(origin.tls) if origin.tls is not None else None
        headers = CIMultiDict([*head.headers, *request.headers])
        whole = b"".join(request.body) if isinstance(request.body, tuple) else request.body
        data: Any = upload.chunks() if upload is not None else whole or None
        if upload is not None and request.length is not None:
            headers[hdrs.CONTENT_LENGTH] = str(request.length)
        elif isinstance(whole, bytes) and len(whole) > WHOLE_BODY:
            data = slices(whole)
            headers[hdrs.CONTENT_LENGTH] = str(len(whole))
        elif data is None and head.always_length:
            headers[hdrs.CONTENT_LENGTH] = "0"
        tell.set(attempt.on_handler)
        answer = await self._client().request(
            head.method,
            _url(request),
            data=data,
            headers=headers,
            allow_redirects=False,
            ssl=context if context is not None else True,
            server_hostname=origin.host if origin.address is not None and context is not None else None,
            trace_request_ctx=attempt,
            timeout=_NO_TIMEOUT,
        )
        size = sum(len(name) + len(value) + 4 for name, value in answer.raw_headers)
        if size > self._settings.header_bytes or answer.status == 101:
            answer.close()
            what = "a switch of protocols" if answer.status == 101 else "its head is too large"
            raise TransportFailed(f"malformed response: {what}")
        if answer.headers.get(hdrs.TRANSFER_ENCODING, "chunked").strip().lower() != "chunked":
            answer.close()
            raise TransportFailed("malformed response: unknown transfer-encoding")
        return answer

    def _respond(
        self,
        request: UpstreamRequest,
        attempt: _Attempt,
        answer: aiohttp.ClientResponse,
        upload: Upload | None,
    ) -> UpstreamResponse:
        raw = [(name.lower(), value) for name, value in answer.raw_headers]
        coding = answer.headers.get(hdrs.CONTENT_ENCODING)
        decoder = None
        if coding is not None and request.decode and request.method != "HEAD":
            decoder = decoder_for(coding)
        if decoder is not None:
            raw = [pair for pair in raw if pair[0] not in (b"content-encoding", b"content-length")]
        reader = BodyReader(answer, attempt.deadline, upload, self._readers)
        version = "1.1" if answer.version == aiohttp.HttpVersion11 else "1.0"
        response = UpstreamResponse(answer.status, Headers(raw), version, reader, decoder)
        if request.method == "HEAD" or answer.status in (204, 304):
            # Its headers may announce a body all the same; there is none to wait for.
            attempt.deadline.end()
            answer.release()
            response.finish()
            return response
        attempt.deadline.head_arrived()
        attempt.reader = reader
        reader.start(response)
        return response

    # ── the session ─────────────────────────────────────────────────────────────────────────

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            settings = self._settings
            traces = aiohttp.TraceConfig()
            traces.on_connection_create_end.append(_on_created)
            traces.on_connection_reuseconn.append(_on_reused)
            self._session = aiohttp.ClientSession(
                connector=CarefulConnector(settings),
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=_NOT_OURS,
                auto_decompress=False,
                trust_env=False,
                trace_configs=[traces],
                timeout=_NO_TIMEOUT,
                max_line_size=settings.header_bytes,
                max_field_size=settings.header_bytes,
                max_headers=settings.header_count,
            )
        return self._session


def _url(request: UpstreamRequest) -> URL:
    origin = request.origin
    host = origin.address or origin.host
    host = f"[{host}]" if ":" in host else host
    return URL(f"{origin.scheme}://{host}:{origin.port}{request.target}", encoded=True)


async def _on_created(session: object, context: SimpleNamespace, params: object) -> None:
    context.trace_request_ctx.on_connection(reused=False)


async def _on_reused(session: object, context: SimpleNamespace, params: object) -> None:
    context.trace_request_ctx.on_connection(reused=True)
