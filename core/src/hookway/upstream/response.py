"""A provider's answer: its head, and a body that is read whole or pushed to a receiver.

Both transports fill the same class through :meth:`UpstreamResponse.feed`, ``finish`` and ``fail``.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Protocol

from hookway.upstream.decoding import Decoder
from hookway_sdk.errors import StreamAborted, UpstreamError, UpstreamTooLarge, UpstreamUndecodable

# What is held for a consumer that has not come yet, before the provider is made to wait.
HIGH_WATER = 256 * 1024


class Receiver(Protocol):
    """Where a body is pushed to: plain functions, called from the event loop.

    After ``end`` or ``failed`` nothing more is called. A receiver may pause, resume or abort the response
    from within them. They must not raise; if one does, the connection is closed, the error goes to the
    loop's exception handler, and ``failed`` is called.
    """

    def data(self, chunk: bytes) -> None:
        """Take the next bytes of the body, never empty."""

    def end(self) -> None:
        """The body is complete."""

    def failed(self, error: UpstreamError) -> None:
        """The body will not be completed; it was cut, timed out or is not decodable."""


class Source(Protocol):
    """The connection under a response."""

    def pause_reading(self) -> None:
        """Let the provider wait."""

    def resume_reading(self) -> None:
        """Read on."""

    def abort(self) -> None:
        """Close the connection at once; nothing more is fed."""


class Headers:
    """The fields of an answer in their order; names are compared without case.

    Args:
        raw: pairs of lower-case name and value.
    """

    __slots__ = ("_raw",)

    def __init__(self, raw: Sequence[tuple[bytes, bytes]]) -> None:
        self._raw = raw

    def get(self, name: str) -> str | None:
        """Return the first value of a field, or None."""
        wanted = name.lower().encode("latin-1")
        for known, value in self._raw:
            if known == wanted:
                return value.decode("latin-1")
        return None

    def getall(self, name: str) -> list[str]:
        """Return all values of a field, in order."""
        wanted = name.lower().encode("latin-1")
        return [value.decode("latin-1") for known, value in self._raw if known == wanted]

    def items(self) -> Iterator[tuple[str, str]]:
        """Yield pairs of lower-case name and value."""
        for name, value in self._raw:
            yield name.decode("latin-1"), value.decode("latin-1")

    def __contains__(self, name: str) -> bool:
        return self.get(name) is not None

    def __len__(self) -> int:
        return len(self._raw)

    def __repr__(self) -> str:
        # Values may be cookies or keys.
        return f"<Headers {', '.join(name for name, _ in self.items())}>"


def fields_of(head: bytes) -> list[tuple[bytes, bytes]]:
    """Return the fields of a head that llhttp has accepted: lower-case names and values, in order.

    It accepts lines of ``name:value`` only, which end with CR and LF and are never folded.

    Args:
        head: from the status line to the last field, without the line ends behind it.
    """
    fields = []
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        fields.append((name.lower(), value.strip(b" \t")))
    return fields


class UpstreamResponse:
    """An answer whose head has arrived.

    Its body must be consumed in exactly one way: ``read``, ``start`` or ``abort``. After a clean end the
    connection goes back to the pool by itself.

    Args:
        status: HTTP status, 200 or more.
        headers: of the answer, or its head (see :func:`fields_of`), taken apart only if somebody asks for a
            header: for most answers nobody does.
        version: ``1.1`` or ``1.0``.
        source: the connection.
        decoder: of the body, if it is compressed.
    """

    __slots__ = (
        "_consumed",
        "_decoder",
        "_direct",
        "_draining",
        "_ended",
        "_error",
        "_headers",
        "_held",
        "_over",
        "_paused",
        "_receiver",
        "_size",
        "_source",
        "_stopped",
        "status",
        "version",
    )

    def __init__(
        self,
        status: int,
        headers: Headers | bytes,
        version: str,
        source: Source,
        decoder: Decoder | None = None,
    ) -> None:
        self.status = status
        self._headers = headers
        self.version = version
        self._source: Source | None = source
        self._decoder = decoder
        # The receiver, while bytes go straight to it: nothing held, nothing to decode, no pause.
        self._direct: Receiver | None = None
        self._receiver: Receiver | None = None
        self._held: deque[bytes] = deque()
        self._size = 0
        self._consumed = False
        self._paused = False
        self._stopped = False
        self._draining = False
        self._ended = False
        self._over = False
        self._error: UpstreamError | None = None

    # ── for the consumer ────────────────────────────────────────────────────────────────────

    @property
    def headers(self) -> Headers:
        """The answer's; without ``content-encoding`` and ``content-length`` where the body is decoded."""
        headers = self._headers
        if isinstance(headers, bytes):
            headers = self._headers = Headers(fields_of(headers))
        return headers

    def arrived(self, limit: int) -> bytes | None:
        """Return the whole body if all of it is here and within the limit, else ``None``: :meth:`read` it."""
        if not self._ended or self._decoder is not None or self._size > limit or self._consumed:
            return None
        self._consumed = self._over = True
        held = self._held
        return held[0] if len(held) == 1 else b"".join(held)

    async def read(self, limit: int) -> bytes:
        """Return the whole body; does not suspend when it has all arrived.

        When cancelled, the connection is closed.

        Args:
            limit: bytes at most, counted after decoding.

        Raises:
            UpstreamTooLarge: the body is larger; the connection is closed.
            UpstreamTimeout: the ``chunk`` or ``total`` deadline passed.
            StreamAborted: the provider cut the body.
            TransportFailed: the body is malformed.
            UpstreamUndecodable: a compressed body is broken.
        """
        whole_body = self.arrived(limit)
        if whole_body is not None:
            return whole_body
        declared = self.headers.get("content-length")
        if declared is not None and int(declared) > limit and not self._ended:
            self.abort()
            raise UpstreamTooLarge(limit)
        whole = _WholeBody(self, limit, asyncio.get_running_loop().create_future())
        self.start(whole)
        try:
            return await whole.result
        except asyncio.CancelledError:
            self.abort()
            raise

    def start(self, receiver: Receiver) -> None:
        """Push the body to a receiver; what has arrived so far is delivered before this returns.

        Args:
            receiver: gets all bytes in order, once, and then ``end`` or ``failed``.
        """
        if self._consumed:
            raise RuntimeError("the body of this answer is already consumed")
        self._consumed = True
        self._receiver = receiver
        self._drain()

    def pause(self) -> None:
        """Deliver nothing until ``resume`` and let the provider wait; its ``chunk`` deadline stands still."""
        self._paused = True
        self._direct = None
        self._stop_source()

    def resume(self) -> None:
        """Deliver what was held, and go on."""
        self._paused = False
        if self._receiver is not None:
            self._drain()
        elif self._size <= HIGH_WATER:
            self._restart_source()

    def abort(self) -> None:
        """Close the connection at once; nothing more is delivered. Harmless after the end."""
        self._consumed = self._over = True
        if isinstance(self._receiver, _WholeBody):
            self._receiver.failed(StreamAborted("the answer was given up"))
        self._direct = self._receiver = None
        self._held.clear()
        source, self._source = self._source, None
        if source is not None:
            source.abort()

    # ── for the transport ───────────────────────────────────────────────────────────────────

    def feed(self, chunk: bytes) -> None:
        """Take bytes of the body from the connection."""
        direct = self._direct
        if direct is not None:
            try:
                direct.data(chunk)
            except Exception as error:
                self._receiver_broke(error)
            return
        if self._over:
            return
        self._held.append(chunk)
        self._size += len(chunk)
        if self._receiver is not None:
            self._drain()
        elif self._size > HIGH_WATER:
            self._stop_source()

    def finish(self) -> None:
        """The body is complete and the connection free."""
        self._source = None
        self._ended = True
        if self._receiver is not None:
            self._drain()

    def fail(self, error: UpstreamError) -> None:
        """The body will not be completed and the connection is closed."""
        self._source = None
        self._error = error
        if self._receiver is not None:
            self._drain()

    # ── inside ──────────────────────────────────────────────────────────────────────────────

    def _drain(self) -> None:
        """Deliver what is held until the receiver pauses; afterwards go straight, or end."""
        if self._draining or self._paused or self._over:
            return
        self._draining = True
        try:
            while not self._paused and (receiver := self._receiver) is not None:
                try:
                    piece = self._next_piece()
                except UpstreamUndecodable as error:
                    self._give_up(error)
                    return
                if piece is None:
                    self._all_delivered(receiver)
                    return
                receiver.data(piece)
        except Exception as error:
            self._receiver_broke(error)
        finally:
            self._draining = False

    def _all_delivered(self, receiver: Receiver) -> None:
        if self._error is not None:
            self._over = True
            self._direct = self._receiver = None
            receiver.failed(self._error)
        elif self._ended:
            self._over = True
            self._direct = self._receiver = None
            receiver.end()
        else:
            if self._decoder is None:
                self._direct = receiver
            self._restart_source()

    def _next_piece(self) -> bytes | None:
        decoder = self._decoder
        if decoder is None:
            return self._release()
        while not (piece := decoder.pull()):
            raw = self._release()
            if raw is None:
                if self._ended:
                    decoder.close()
                return None
            decoder.push(raw)
        return piece

    def _release(self) -> bytes | None:
        if not self._held:
            return None
        chunk = self._held.popleft()
        self._size -= len(chunk)
        return chunk

    def _stop_source(self) -> None:
        if self._source is not None and not self._stopped:
            self._stopped = True
            self._source.pause_reading()

    def _restart_source(self) -> None:
        if self._source is not None and self._stopped:
            self._stopped = False
            self._source.resume_reading()

    def _give_up(self, error: UpstreamError) -> None:
        """Tell the receiver, now, that what it got is all there will be."""
        receiver, self._receiver = self._receiver, None
        self.abort()
        if receiver is not None:
            try:
                receiver.failed(error)
            except Exception as broken:
                _report(broken)

    def _receiver_broke(self, error: Exception) -> None:
        _report(error)
        self._give_up(StreamAborted("the receiver of the answer failed"))


class _WholeBody:
    """The receiver behind :meth:`UpstreamResponse.read`."""

    def __init__(self, response: UpstreamResponse, limit: int, result: asyncio.Future[bytes]) -> None:
        self._response = response
        self._limit = limit
        self._chunks: list[bytes] = []
        self._size = 0
        self.result = result

    def data(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._size > self._limit:
            self.failed(UpstreamTooLarge(self._limit))
            self._response.abort()
            return
        self._chunks.append(chunk)

    def end(self) -> None:
        if not self.result.done():
            self.result.set_result(b"".join(self._chunks))

    def failed(self, error: UpstreamError) -> None:
        if not self.result.done():
            self.result.set_exception(error)


def _report(error: Exception) -> None:
    asyncio.get_running_loop().call_exception_handler(
        {"message": "the receiver of an upstream answer failed", "exception": error}
    )
