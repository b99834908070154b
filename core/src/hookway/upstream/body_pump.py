"""Send a body that comes from an iterator, as fast as the provider takes it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable

from hookway_sdk.errors import GatewayError, TransportFailed


class Gate:
    """Lets one writer wait until the transport's buffer has drained."""

    __slots__ = ("_opened",)

    def __init__(self) -> None:
        self._opened: asyncio.Future[None] | None = None

    def shut(self) -> None:
        """The buffer is full."""
        if self._opened is None:
            self._opened = asyncio.get_running_loop().create_future()

    def open(self) -> None:
        """The buffer has drained, or the connection is gone."""
        opened, self._opened = self._opened, None
        if opened is not None and not opened.done():
            opened.set_result(None)

    async def wait(self) -> None:
        """Return once the buffer has room."""
        if self._opened is not None:
            await self._opened


async def send_body(
    transport: asyncio.WriteTransport,
    gate: Gate,
    body: AsyncIterable[bytes],
    length: int | None,
    progress: Callable[[], None],
) -> None:
    """Write all of a body, framed.

    The iterator is closed when this returns, raises or is cancelled, if it is a generator.

    Args:
        transport: of the connection.
        gate: shut while the transport's buffer is full.
        body: the chunks; empty ones are skipped.
        length: bytes in all, as announced; None frames each chunk.
        progress: called when the provider has taken a chunk.

    Raises:
        GatewayError: what the iterator raised of that kind, as it is.
        TransportFailed: the iterator raised something else, or did not give what was announced.
    """
    iterator: AsyncIterator[bytes] = aiter(body)
    left = length
    try:
        async for chunk in iterator:
            if transport.is_closing():
                return
            if not chunk:
                continue
            left = _write(transport, chunk, left)
            await gate.wait()
            progress()
        if left:
            raise TransportFailed("the request body is shorter than announced")
        if left is None and not transport.is_closing():
            transport.write(b"0\r\n\r\n")
    except GatewayError:
        raise
    except Exception as error:
        raise TransportFailed("the request body could not be read") from error
    finally:
        close = getattr(iterator, "aclose", None)
        if close is not None:
            await close()


def _write(transport: asyncio.WriteTransport, chunk: bytes, left: int | None) -> int | None:
    """Write a chunk, framed where nothing was announced, and return what is left of what was."""
    if left is None:
        transport.writelines((b"%x\r\n" % len(chunk), chunk, b"\r\n"))
        return None
    if len(chunk) > left:
        raise TransportFailed("the request body is longer than announced")
    transport.write(chunk)
    return left - len(chunk)
