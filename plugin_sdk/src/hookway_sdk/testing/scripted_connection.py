"""One connection of a scripted upstream: it reads requests and carries out what the script says."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from hookway_sdk.testing.scripted_replies import (
    Act,
    Action,
    Delay,
    Malformed,
    Reply,
    Stall,
    Written,
    split_writes,
    writes_of,
)

_HEAD_LIMIT = 1 << 20


class ClientGone(Exception):
    """The client closed the connection."""


class BadRequest(Exception):
    """What the client sent is not HTTP/1.1."""


@dataclass
class RecordedRequest:
    """A request as it arrived.

    Attributes:
        method: as sent.
        target: path and query, as sent.
        headers: in order, with names as sent.
        body: without its framing; empty while it was not read.
        connection: number of the connection, from 1.
        time: monotonic seconds at which its head was complete.
    """

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes
    connection: int
    time: float = field(default_factory=time.monotonic)

    def header(self, name: str) -> str | None:
        """Return the first value of a header, whatever the case of its name."""
        return next(iter(self.header_values(name)), None)

    def header_values(self, name: str) -> list[str]:
        """Return all values of a header."""
        return [value for known, value in self.headers if known.lower() == name.lower()]

    def json(self) -> Any:
        """Return the body as a JSON value."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Departure:
    """A client that left while a reply was running.

    Attributes:
        request: what it had asked.
        after: seconds from the beginning of the reply.
        sent: bytes of the body written by then.
        time: monotonic seconds of the departure.
    """

    request: RecordedRequest
    after: float
    sent: int
    time: float


@dataclass
class _Running:
    request: RecordedRequest
    began: float
    sent: int = 0


class ScriptedConnection(asyncio.Protocol):
    """Serve one client, one request after the other.

    Args:
        opened: told when the connection is there, over TLS after the handshake; gives it its number, from 1.
        answer: turns a request into what to do.
        departed: told when the client leaves in the middle of a reply.
        fault: told what the client did wrong.
        closed: told when the connection is over.
        read_body: whether a request's body is read before it is answered.
    """

    def __init__(
        self,
        opened: Callable[[ScriptedConnection], int],
        answer: Callable[[RecordedRequest], Awaitable[Action]],
        departed: Callable[[Departure], None],
        fault: Callable[[str], None],
        closed: Callable[[ScriptedConnection], None],
        read_body: bool,
    ) -> None:
        self._number = 0
        self._opened = opened
        self._answer = answer
        self._departed = departed
        self._fault = fault
        self._closed = closed
        self._read_body = read_body
        self._buffer = bytearray()
        self._changed = asyncio.Event()
        self._gone = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._running: _Running | None = None
        self._wrote = False
        self.received = 0
        self.task: asyncio.Task[None] | None = None
        self.transport: asyncio.Transport

    # ── what the loop calls ─────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._number = self._opened(self)
        self.task = asyncio.get_running_loop().create_task(self._serve())

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        self._buffer += data
        self._changed.set()

    def eof_received(self) -> None:
        self._leave()

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        self._closed(self)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def _leave(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            now = time.monotonic()
            self._departed(Departure(running.request, now - running.began, running.sent, now))
        self._gone.set()
        self._changed.set()
        self._writable.set()

    # ── requests ────────────────────────────────────────────────────────────────────────────

    async def _serve(self) -> None:
        try:
            while True:
                request = await self._next_request()
                action = await self._answer(request)
                self._running = _Running(request, time.monotonic())
                keep = await self._perform(request, action)
                self._running = None
                if not keep:
                    break
            await self._linger()
        except ClientGone:
            pass
        except BadRequest as error:
            self._fault(f"connection {self._number}: {error}")
            self.transport.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        finally:
            self.transport.close()

    async def _next_request(self) -> RecordedRequest:
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if len(self._buffer) > _HEAD_LIMIT:
                raise BadRequest("the head of a request is over 1 MiB")
            if self._buffer and not self._buffer[:1].isupper():
                # A TLS greeting, most likely; it would never end like a head.
                raise BadRequest(f"not a request head: {bytes(self._buffer[:20])!r}")
            await self._more()
        head = bytes(self._buffer[:end]).decode("latin-1")
        del self._buffer[: end + 4]
        first, *lines = head.split("\r\n")
        try:
            method, target, version = first.split(" ")
            pairs = [(name, value.strip(" \t")) for name, value in (line.split(":", 1) for line in lines)]
        except ValueError as error:
            raise BadRequest(f"not a request head: {head!r}") from error
        if version not in ("HTTP/1.1", "HTTP/1.0") or "\n" in head.replace("\r\n", "") or not target:
            raise BadRequest(f"not a request head: {head!r}")
        request = RecordedRequest(method, target, pairs, b"", self._number)
        if self._read_body:
            request.body = await self._body(request)
        else:
            self.transport.pause_reading()
        return request

    async def _body(self, request: RecordedRequest) -> bytes:
        lengths = request.header_values("content-length")
        codings = request.header_values("transfer-encoding")
        if len(lengths) + len(codings) > 1:
            raise BadRequest(f"two framings: {lengths} {codings}")
        if codings:
            if codings != ["chunked"]:
                raise BadRequest(f"transfer-encoding {codings[0]!r}")
            return await self._chunked_body()
        if lengths and not lengths[0].isdigit():
            raise BadRequest(f"content-length {lengths[0]!r}")
        return await self._exactly(int(lengths[0])) if lengths else b""

    async def _chunked_body(self) -> bytes:
        parts: list[bytes] = []
        while True:
            while (end := self._buffer.find(b"\r\n")) < 0:
                await self._more()
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 2]
            try:
                size = int(line, 16)
            except ValueError as error:
                raise BadRequest(f"chunk size {line!r}") from error
            part = await self._exactly(size + 2)
            if part[-2:] != b"\r\n":
                raise BadRequest(f"a chunk does not end where its size says: {part[-2:]!r}")
            if size == 0:
                return b"".join(parts)
            parts.append(part[:-2])

    async def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            await self._more()
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    async def _more(self) -> None:
        if self._gone.is_set():
            raise ClientGone
        self._changed.clear()
        await self._changed.wait()

    # ── replies ─────────────────────────────────────────────────────────────────────────────

    async def _perform(self, request: RecordedRequest, action: Action) -> bool:
        """Carry an action out; return whether the connection goes on."""
        acts: Sequence[Act] = action if isinstance(action, Sequence) else [action]
        keep = self._read_body
        self._wrote = False
        for act in acts:
            keep = await self._act(request, act) and keep
        return keep

    async def _act(self, request: RecordedRequest, act: Act) -> bool:
        if isinstance(act, Delay):
            await self._wait(act.seconds)
            return True
        if isinstance(act, Malformed):
            await self._write_all(split_writes(iter([Written(act.raw)]), Reply(split_every=act.split_every)))
            return not act.close
        if isinstance(act, Reply):
            await self._write_all(split_writes(writes_of(act, request.method), act))
            return not act.ends_connection
        if act.reply is not None:
            writes = writes_of(act.reply, request.method, act.after_bytes, act.head_bytes)
            await self._write_all(split_writes(writes, act.reply))
        if isinstance(act, Stall):
            await self._wait(None)
        elif act.reset:
            self._running = None
            self._reset()
        return False

    async def _write_all(self, writes: Iterator[Written | Delay]) -> None:
        for write in writes:
            if isinstance(write, Delay):
                await self._wait(write.seconds)
                continue
            if self._wrote:
                # Two turns of the loop, so that a client in the same loop reads the last write by itself.
                # Not after a write: a client that leaves once it has everything left no running reply.
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            if self._gone.is_set():
                raise ClientGone
            self.transport.write(write.wire)
            self._wrote = True
            if self._running is not None:
                self._running.sent += write.body
            await self._writable.wait()

    async def _wait(self, seconds: float | None) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._gone.wait()
        if self._gone.is_set():
            raise ClientGone

    async def _linger(self) -> None:
        """Close without losing the reply: closing with unread bytes would reset the connection."""
        if self._read_body or self.transport.is_closing():
            return
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.transport.resume_reading()
        await self._wait(5)

    def _reset(self) -> None:
        connected = self.transport.get_extra_info("socket")
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()
