"""Answers of providers without a network upstream, in the form every upstream's answer has."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from hookway.upstream.response import Headers, UpstreamResponse
from hookway_sdk import LocalAnswer, StreamAborted, UpstreamError


class LocalSource:
    """Pulls a local answer's pieces and feeds them to a response, as fast as its receiver takes them."""

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self._pieces = pieces
        self._open = asyncio.Event()
        self._open.set()
        self._task: asyncio.Task[None] | None = None

    def begin(self, response: UpstreamResponse) -> None:
        """Start pulling."""
        self._task = asyncio.get_running_loop().create_task(self._pull(response))

    def pause_reading(self) -> None:
        """Stop pulling for now."""
        self._open.clear()

    def resume_reading(self) -> None:
        """Pull on."""
        self._open.set()

    def abort(self) -> None:
        """Stop for good."""
        if self._task is not None:
            self._task.cancel()

    async def _pull(self, response: UpstreamResponse) -> None:
        try:
            try:
                async for piece in self._pieces:
                    await self._open.wait()
                    response.feed(piece)
            finally:
                # A generator that nobody pulls any more is closed here, not when it is collected.
                if (close := getattr(self._pieces, "aclose", None)) is not None:
                    await close()
            response.finish()
        except UpstreamError as error:
            response.fail(error)
        except Exception as error:
            response.fail(StreamAborted(detail=f"{type(error).__name__}: {error}"))


def open_local(answer: LocalAnswer) -> UpstreamResponse:
    """Return a local answer as an upstream's."""
    headers = Headers([(name.lower().encode(), value.encode()) for name, value in answer.headers])
    pieces = one_piece(answer.body) if isinstance(answer.body, bytes) else answer.body
    source = LocalSource(pieces)
    response = UpstreamResponse(answer.status, headers, "1.1", source)
    if isinstance(answer.body, bytes):
        if answer.body:
            response.feed(answer.body)
        response.finish()
    else:
        source.begin(response)
    return response


async def one_piece(body: bytes) -> AsyncIterator[bytes]:
    """Yield a body that is there already."""
    yield body
