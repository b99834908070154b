"""The floor for streams: upstream body bytes go to the client unread, on the call that brought them.

aiohttp's low-level server takes the request; an ``asyncio.Protocol`` with httptools asks the upstream, and
its ``on_body`` writes straight to the client's transport: no task wakes, no await, no look at the bytes.
What is left is reading, HTTP framing both ways, and writing: the least that Python can do per chunk with
this server. Answers must carry a length or be chunked. It does not change once reviewed.

Usage: ``python tests/bench/splice.py --port PORT --upstream http://127.0.0.1:MOCK``
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import signal
from typing import Any, cast
from urllib.parse import urlsplit

import httptools
import uvloop
from aiohttp import hdrs, web

_BODY_LIMIT = 64 * 2**20  # bytes; aiohttp's own default of 1 MiB is no proxy's
_CLOSED_EARLY = "the upstream closed before its answer was complete"


class UpstreamConnection(asyncio.Protocol):
    """One keep-alive connection to the upstream; one request at a time."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._event: asyncio.Future[None] | None = None
        self._client: asyncio.Transport | None = None
        self._client_protocol: Any = None
        self._early: list[bytes] = []
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.complete = True
        self._keep = True
        self._chunked = False

    # what the handler calls

    def send(self, data: bytes, body: bytes) -> None:
        """Send a request head and body; the answer's head is what the next :meth:`wait` waits for."""
        assert self._transport is not None
        self.headers = {}
        self.status = 0
        self.complete = False
        self._client = None
        self._early = []
        self._transport.writelines([data, body])

    async def wait(self) -> None:
        """Return when the head has come, the answer is complete, or the client reads too slowly.

        Raises:
            ConnectionError: the upstream closed before the answer was complete.
        """
        if self._transport is None:
            raise ConnectionResetError(_CLOSED_EARLY)
        self._event = self._loop.create_future()
        try:
            await self._event
        finally:
            self._event = None

    def splice_into(self, client: web.BaseRequest, chunked: bool) -> None:
        """Write this answer's body bytes to the client from now on, in chunked framing or as they are."""
        self._client = client.transport
        self._client_protocol = client.protocol
        self._chunked = chunked
        for piece in self._early:
            self.on_body(piece)

    @property
    def reusable(self) -> bool:
        """Whether the connection can take another request."""
        return self.complete and self._keep and self._transport is not None

    def resume_reading(self) -> None:
        """Read on after the client has caught up."""
        if self._transport is not None:
            self._transport.resume_reading()

    def abort(self) -> None:
        """Drop the connection: the answer is not wanted any more."""
        if self._transport is not None:
            self._transport.abort()

    # what the transport and the parser call

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self._wake()

    def on_body(self, body: bytes) -> None:
        client = self._client
        if client is None:
            self._early.append(body)
            return
        if client.is_closing():
            return
        client.write(b"%x\r\n%b\r\n" % (len(body), body) if self._chunked else body)
        if self._client_protocol.writing_paused:
            if self._transport is not None:
                self._transport.pause_reading()
            self._wake()

    def on_message_complete(self) -> None:
        self.complete = True
        self._keep = self._parser.should_keep_alive()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._event is not None and not self._event.done():
            self._event.set_exception(ConnectionResetError(_CLOSED_EARLY))

    def _wake(self) -> None:
        if self._event is not None and not self._event.done():
            self._event.set_result(None)


class SpliceProxy:
    """Relays every request to one upstream.

    Args:
        host: the upstream's address.
        port: the upstream's port.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._idle: list[UpstreamConnection] = []

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Relay, and answer 502 when the upstream cannot be reached or leaves before its head."""
        body = await request.read()
        try:
            upstream = await self._connection()
            upstream.send(self._head(request, len(body)), body)
            try:
                while not upstream.status:
                    await upstream.wait()
                return await self._relay(request, upstream)
            finally:
                if upstream.reusable:
                    self._idle.append(upstream)
                else:
                    upstream.abort()
        except OSError as error:
            if request.writer.output_size:
                raise
            return web.Response(status=502, text=f"upstream: {error}")

    async def _relay(self, request: web.BaseRequest, upstream: UpstreamConnection) -> web.StreamResponse:
        response = web.StreamResponse(status=upstream.status)
        response.headers[hdrs.CONTENT_TYPE] = upstream.headers.get(b"content-type", b"text/plain").decode(
            "latin-1"
        )
        length = upstream.headers.get(b"content-length")
        if length is not None:
            response.content_length = int(length)
        writer = await response.prepare(request)
        assert writer is not None
        upstream.splice_into(request, chunked=length is None)
        while not upstream.complete:
            await writer.drain()
            upstream.resume_reading()
            await upstream.wait()
        await response.write_eof()
        return response

    async def _connection(self) -> UpstreamConnection:
        while self._idle:
            if (connection := self._idle.pop()).reusable:  # the upstream may have closed it meanwhile
                return connection
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(UpstreamConnection, self._host, self._port)
        return connection

    def _head(self, request: web.BaseRequest, length: int) -> bytes:
        lines = [f"{request.method} {request.path_qs} HTTP/1.1", f"host: {self._host}:{self._port}"]
        lines += [
            f"{name}: {request.headers[name]}"
            for name in (hdrs.AUTHORIZATION, hdrs.CONTENT_TYPE)
            if name in request.headers
        ]
        lines += [f"content-length: {length}", "", ""]
        return "\r\n".join(lines).encode("latin-1")


async def serve(port: int, upstream: str) -> None:
    """Serve on ``127.0.0.1:port`` until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)

    make_request = functools.partial(web.BaseRequest, loop=loop, client_max_size=_BODY_LIMIT)

    target = urlsplit(upstream)
    proxy = SpliceProxy(target.hostname or "127.0.0.1", target.port or 80)
    handler = web.Server(
        proxy.handle, request_factory=make_request, handler_cancellation=True, access_log=None
    )
    server = await loop.create_server(handler, "127.0.0.1", port)
    await stopped.wait()
    server.close()
    await handler.shutdown(timeout=1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", required=True, help="http://HOST:PORT")
    arguments = parser.parse_args()
    uvloop.run(serve(arguments.port, arguments.upstream.rstrip("/")))
