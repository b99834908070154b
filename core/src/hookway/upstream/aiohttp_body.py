"""Bodies of aiohttp's client: one task pushes what arrives, one generator gives what is to be sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

from hookway.upstream.aiohttp_faults import is_malformed, malformed
from hookway.upstream.exchange_deadline import ExchangeDeadline
from hookway.upstream.request import UpstreamRequest
from hookway.upstream.response import UpstreamResponse
from hookway_sdk.errors import GatewayError, StreamAborted, TransportFailed, UpstreamError

# aiohttp warns about larger ones given whole.
WHOLE_BODY = 1 << 20


async def slices(body: bytes) -> AsyncIterator[bytes]:
    """Yield a large body in parts, so that each is written only when the one before is taken."""
    for start in range(0, len(body), WHOLE_BODY):
        yield body[start : start + WHOLE_BODY]


class Upload:
    """The body of a request that comes from an iterator.

    Args:
        request: its body must be an iterator.
        deadline: gets a sign of life for each chunk.

    Attributes:
        error: why it could not be sent, in words of ours; aiohttp would bury it.
        complete: whether all of it was handed to aiohttp.
    """

    def __init__(self, request: UpstreamRequest, deadline: ExchangeDeadline) -> None:
        assert not isinstance(request.body, bytes | tuple)
        self._body = aiter(request.body)
        self._length = request.length
        self._deadline = deadline
        self.error: GatewayError | None = None
        self.complete = False

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the chunks, and check their number of bytes."""
        left = self._length
        try:
            async for chunk in self._body:
                if left is not None:
                    left -= len(chunk)
                    if left < 0:
                        raise TransportFailed("the request body is longer than announced")
                yield chunk
                self._deadline.touch()
            if left:
                raise TransportFailed("the request body is shorter than announced")
            self.complete = True
        except GatewayError as error:
            self.error = error
            raise
        except Exception as error:
            self.error = TransportFailed("the request body could not be read")
            raise self.error from error
        finally:
            close = getattr(self._body, "aclose", None)
            if close is not None:
                await close()


class BodyReader:
    """The source under a response: reads from aiohttp's stream and feeds the response.

    Args:
        answer: aiohttp's.
        deadline: of the exchange.
        upload: of the request, where it has one.
        readers: the transport's set of those at work; it adds and removes itself.
    """

    def __init__(
        self,
        answer: aiohttp.ClientResponse,
        deadline: ExchangeDeadline,
        upload: Upload | None,
        readers: set[BodyReader],
    ) -> None:
        self._answer = answer
        self._deadline = deadline
        self._upload = upload
        self._readers = readers
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._task: asyncio.Task[None] | None = None
        self._response: UpstreamResponse | None = None
        self._protocol: Any = None

    def start(self, response: UpstreamResponse) -> None:
        """Begin to feed the response."""
        self._response = response
        self._readers.add(self)
        connection = self._answer.connection
        if connection is not None and connection.protocol is not None:
            self._protocol = connection.protocol
            closed = self._protocol.closed
            if closed is not None:
                closed.add_done_callback(self._connection_closed)
        self._task = asyncio.get_running_loop().create_task(self._read())

    def pause_reading(self) -> None:
        """Let the provider wait; aiohttp stops reading once its own small buffer is full."""
        self._flowing.clear()
        self._deadline.pause()

    def resume_reading(self) -> None:
        """Read on."""
        self._flowing.set()
        self._deadline.resume()

    def abort(self) -> None:
        """Close the connection at once; nothing more is fed."""
        self._response = None
        self._deadline.end()
        self._readers.discard(self)
        connection = self._answer.connection
        if connection is not None and connection.transport is not None:
            connection.transport.abort()
        self._answer.close()
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()

    def fail(self, error: UpstreamError) -> None:
        """Close the connection and fail the response."""
        response = self._response
        self.abort()
        if response is not None:
            response.fail(error)

    async def _read(self) -> None:
        content = self._answer.content
        try:
            while True:
                await self._flowing.wait()
                chunk = await content.readany()
                if not chunk:
                    break
                # What arrived while the receiver paused has to wait for it.
                await self._flowing.wait()
                if self._response is None:
                    return
                self._deadline.touch()
                self._response.feed(chunk)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            self.fail(self._fault(error))
            return
        response, self._response = self._response, None
        self._deadline.end()
        self._readers.discard(self)
        if self._upload is not None and not self._upload.complete:
            self._answer.close()
        if response is not None:
            response.finish()

    def _connection_closed(self, closed: asyncio.Future[None]) -> None:
        """Fail a body whose syntax broke: aiohttp 3.14 closes the connection and lets its reader hang."""
        if not closed.cancelled():
            closed.exception()
        content, error = self._answer.content, self._protocol.exception()
        if content.exception() is None and not content.is_eof() and error is not None and is_malformed(error):
            self.fail(malformed(error))

    def _fault(self, error: Exception) -> UpstreamError:
        if self._upload is not None and self._upload.error is not None:
            cause = self._upload.error
            return cause if isinstance(cause, UpstreamError) else StreamAborted(detail=cause.message)
        if is_malformed(error):
            return malformed(error)
        return StreamAborted(detail=type(error).__name__)
