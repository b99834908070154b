"""What a :class:`~hookway_sdk.testing.scripted_upstream.ScriptedUpstream` can be told to answer.

Replies are plain values, so that a test reads as a list of what the provider does::

    [*storm(429, count=2, retry_after=1), sse_reply([b'data: {"a":1}\\n\\n'], delay=0.05)]

Sizes are in bytes, times in seconds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

_REASONS = {200: "OK", 204: "No Content", 400: "Bad Request", 429: "Too Many Requests"}


@dataclass(frozen=True)
class Delay:
    """Do nothing for a while: before a reply, or between two pieces of a body.

    Args:
        seconds: how long.
    """

    seconds: float


Piece: TypeAlias = "bytes | Delay"


@dataclass(frozen=True)
class Reply:
    """A well-formed answer. With a 1xx status it is an interim one: put the final reply after it in a list.

    Args:
        status: the HTTP status.
        headers: sent as they are, after the framing header.
        body: the bytes, or pieces of it with :class:`Delay` between; each piece is a write, and a chunk
            where framing is chunked.
        framing: ``length`` (Content-Length), ``chunked``, or ``eof`` (the connection's end is the body's).
        reason: the words after the status; None takes the usual ones.
        version: of HTTP; ``1.0`` closes the connection after the reply.
        split: positions in the bytes on the wire, from the first of the head, at which a write ends.
        split_every: ends a write after each so many bytes, in addition.
        close: send ``Connection: close`` and close.
    """

    status: int = 200
    headers: Sequence[tuple[str, str]] = ()
    body: bytes | Sequence[Piece] = b""
    framing: Literal["length", "chunked", "eof"] = "length"
    reason: str | None = None
    version: Literal["1.0", "1.1"] = "1.1"
    split: Sequence[int] = ()
    split_every: int | None = None
    close: bool = False

    @property
    def pieces(self) -> Sequence[Piece]:
        """The body as pieces."""
        if isinstance(self.body, bytes):
            return [self.body] if self.body else []
        return self.body

    @property
    def ends_connection(self) -> bool:
        """Whether the connection is closed after it."""
        return self.close or self.framing == "eof" or self.version == "1.0"


@dataclass(frozen=True)
class Cut:
    """Close the connection before an answer is complete.

    Args:
        reply: the answer to begin; None closes before its first byte.
        after_bytes: how much of the body is sent; falls inside a chunk where it falls inside a piece.
        head_bytes: send only so much of the head, and nothing of the body.
        reset: close with a TCP reset instead of an orderly end.
    """

    reply: Reply | None = None
    after_bytes: int = 0
    head_bytes: int | None = None
    reset: bool = False


@dataclass(frozen=True)
class Stall:
    """Fall silent before an answer is complete, and keep the connection open until the client leaves.

    Args:
        reply: the answer to begin; None is silent from the start.
        after_bytes: how much of the body is sent.
        head_bytes: send only so much of the head, and nothing of the body.
    """

    reply: Reply | None = None
    after_bytes: int = 0
    head_bytes: int | None = None


@dataclass(frozen=True)
class Malformed:
    """Write bytes as they are, whatever they mean.

    Args:
        raw: the bytes.
        close: close the connection afterwards; otherwise the next request is awaited.
        split_every: ends a write after each so many bytes.
    """

    raw: bytes
    close: bool = True
    split_every: int | None = None


Act: TypeAlias = "Reply | Cut | Stall | Malformed | Delay"
# A sequence is carried out in order, as the answer to one request.
Action: TypeAlias = "Act | Sequence[Act]"


def json_reply(value: Any, status: int = 200, headers: Sequence[tuple[str, str]] = (), **more: Any) -> Reply:
    """Answer with a value as compact JSON.

    Args:
        value: anything :func:`json.dumps` takes.
        status: the HTTP status.
        headers: further ones.
        more: further arguments of :class:`Reply`.
    """
    body = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    return Reply(status, [("Content-Type", "application/json"), *headers], body, **more)


def sse_reply(
    frames: Iterable[bytes],
    delay: float = 0.0,
    done: bool = True,
    status: int = 200,
    headers: Sequence[tuple[str, str]] = (),
    **more: Any,
) -> Reply:
    """Answer with an event stream, one chunk a frame.

    Args:
        frames: raw frames with their terminators (``b"data: {}\\n\\n"``), or any piece of one.
        delay: seconds between two of them.
        done: whether ``data: [DONE]`` follows.
        status: the HTTP status.
        headers: further ones.
        more: further arguments of :class:`Reply`; ``framing`` is chunked unless given.
    """
    pieces: list[Piece] = []
    for frame in [*frames, *([b"data: [DONE]\n\n"] if done else [])]:
        if delay and pieces:
            pieces.append(Delay(delay))
        pieces.append(frame)
    more.setdefault("framing", "chunked")
    return Reply(status, [("Content-Type", "text/event-stream"), *headers], pieces, **more)


def storm(
    status: int = 429, count: int = 1, retry_after: int | None = None, message: str = "slow down"
) -> list[Reply]:
    """Refuse several requests in a row, as an overloaded provider does.

    Args:
        status: of each refusal.
        count: how many.
        retry_after: seconds for the ``Retry-After`` header; None leaves it out.
        message: the provider's sentence, in an ``error`` object.
    """
    headers = [("Retry-After", str(retry_after))] if retry_after is not None else []
    return [json_reply({"error": {"message": message}}, status, headers)] * count


@dataclass(frozen=True)
class Written:
    """One write: the bytes on the wire, and how many of the body are among them."""

    wire: bytes
    body: int = 0


def head_of(reply: Reply) -> bytes:
    """Render status line and headers of a reply."""
    reason = reply.reason if reply.reason is not None else _REASONS.get(reply.status, "Status")
    lines = [f"HTTP/{reply.version} {reply.status} {reason}"]
    if reply.status >= 200 and reply.status not in (204, 304):
        if reply.framing == "length":
            size = sum(len(piece) for piece in reply.pieces if isinstance(piece, bytes))
            lines.append(f"Content-Length: {size}")
        elif reply.framing == "chunked":
            lines.append("Transfer-Encoding: chunked")
    if reply.close:
        lines.append("Connection: close")
    lines.extend(f"{name}: {value}" for name, value in reply.headers)
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def writes_of(
    reply: Reply, method: str, body_limit: int | None = None, head_limit: int | None = None
) -> Iterator[Written | Delay]:
    """Yield what a reply puts on the wire, in order.

    Args:
        reply: the reply.
        method: of the request; nothing of the body follows a HEAD.
        body_limit: stop after so many bytes of the body, without the end of a chunk or of the message.
        head_limit: stop after so many bytes of the head.
    """
    head = head_of(reply)
    if head_limit is not None:
        yield Written(head[:head_limit])
        return
    if method == "HEAD" or reply.status < 200 or reply.status in (204, 304):
        yield Written(head)
        return
    if isinstance(reply.body, bytes) and reply.framing != "chunked":
        part = reply.body[:body_limit]
        yield Written(head + part, len(part))
        return
    yield Written(head)
    left = body_limit
    for piece in reply.pieces:
        if left == 0:
            return
        if isinstance(piece, Delay):
            yield piece
            continue
        part = piece if left is None else piece[:left]
        whole = len(part) == len(piece)
        wire = part
        if reply.framing == "chunked":
            if not piece:
                continue
            wire = b"%x\r\n%b%b" % (len(piece), part, b"\r\n" if whole else b"")
        yield Written(wire, len(part))
        if left is not None:
            left -= len(part)
    if reply.framing == "chunked" and body_limit is None:
        yield Written(b"0\r\n\r\n")


def split_writes(writes: Iterator[Written | Delay], reply: Reply) -> Iterator[Written | Delay]:
    """Cut writes at the positions the reply names; body bytes count with the last part of a write."""
    if not reply.split and not reply.split_every:
        yield from writes
        return
    marks = sorted(set(reply.split))
    position = 0
    for write in writes:
        if isinstance(write, Delay):
            yield write
            continue
        end = position + len(write.wire)
        stops = {mark for mark in marks if position < mark < end} | {end}
        if reply.split_every:
            first = position - position % reply.split_every + reply.split_every
            stops.update(range(first, end, reply.split_every))
        start = position
        for stop in sorted(stops):
            part = write.wire[start - position : stop - position]
            yield Written(part, write.body if stop == end else 0)
            start = stop
        position = end
