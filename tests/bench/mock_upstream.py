"""A very cheap upstream that speaks OpenAI's chat wire, so that what is measured is the gateway.

Every answer is rendered once and kept. ``max_tokens`` in the request steers it: an answer that is not
streamed has four bytes of content per token (so 20 tokens make a small answer and 250,000 one of a
megabyte), a stream has one frame per token, one frame every ten milliseconds, each in a write of its own.
``include_usage`` adds the usage frame. Every other path or method gets a small 200.

Usage: ``python tests/bench/mock_upstream.py --port PORT``
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import functools
import gc
import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from typing import cast

import httptools
import uvloop

MODEL = "mini"  # as long as the alias that callers use, so that a restored alias keeps the answer's length
END_MARK = "@end@"
FRAME_INTERVAL = 0.010  # seconds between two frames of one stream
_TICKS = 100  # streams are spread over this many slots of the interval
_MAX_TOKENS = re.compile(rb'"max_tokens"\s*:\s*(\d+)')
_STREAM = re.compile(rb'"stream"\s*:\s*true')
_INCLUDE_USAGE = re.compile(rb'"include_usage"\s*:\s*true')
_LOOK_AT = 4096  # bytes at either end of a request body that are searched for settings
_HEAD = (
    b"HTTP/1.1 200 OK\r\ndate: Wed, 25 Nov 2026 00:00:00 GMT\r\nserver: mock\r\n"
    b"x-request-id: req_0123456789abcdef0123456789abcdef\r\n"
)


@functools.cache
def render_answer(tokens: int) -> bytes:
    """Return a whole response: a chat completion with ``4 * tokens`` bytes of content."""
    content = ("word " * tokens)[: max(0, tokens * 4 - len(END_MARK))] + END_MARK
    body = (
        b'{"id":"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT","object":"chat.completion","created":1764000000,'
        b'"model":"%b","choices":[{"index":0,"message":{"role":"assistant","content":"%b","refusal":null,'
        b'"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":19,'
        b'"completion_tokens":%d,"total_tokens":%d,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0}},'
        b'"service_tier":"default","system_fingerprint":"fp_44709d6fcb"}'
    ) % (MODEL.encode(), content.encode(), tokens, tokens + 19)
    return _HEAD + b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


def answer_body_bytes(tokens: int) -> int:
    """Return the length of the answer's body for ``max_tokens: tokens``."""
    return len(render_answer(tokens).partition(b"\r\n\r\n")[2])


STREAM_HEAD = _HEAD + b"content-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"


def _frame(choices: bytes, usage: bytes) -> bytes:
    event = (
        b'data: {"id":"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT","object":"chat.completion.chunk",'
        b'"created":1764000000,"model":"%b","service_tier":"default","system_fingerprint":"fp_44709d6fcb","choices":%b%b}\n\n'
    ) % (MODEL.encode(), choices, usage)
    return b"%x\r\n%b\r\n" % (len(event), event)


@functools.cache
def _delta(delta: bytes, usage: bytes, finish: bytes = b"null") -> bytes:
    return _frame(b'[{"index":0,"delta":%b,"logprobs":null,"finish_reason":%b}]' % (delta, finish), usage)


_WORDS = tuple(
    b'{"content":" %b"}' % word for word in (b"the", b"gateway", b"answers", b"a", b"stream", b"of", b"it")
)
_DONE = b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"


def stream_frames(tokens: int, include_usage: bool) -> Iterator[bytes]:
    """Yield a stream's frames, in chunked framing: role, ``tokens`` deltas, finish, usage, the end."""
    usage = b',"usage":null' if include_usage else b""
    yield _delta(b'{"role":"assistant","content":"","refusal":null}', usage)
    for number in range(tokens):
        yield _delta(_WORDS[number % len(_WORDS)], usage)
    yield _delta(b"{}", usage, b'"stop"')
    if include_usage:
        total = b'"prompt_tokens":19,"completion_tokens":%d,"total_tokens":%d' % (tokens, tokens + 19)
        yield _frame(b"[]", b',"usage":{%b}' % total)
    yield _DONE


class FrameClock:
    """Writes the next frame of every running stream; the streams are spread evenly over the interval.

    The event loop's timers know whole milliseconds, which would make ten of a hundred streams write at once
    and save the gateway nine of ten turns of its loop. A timer of the kernel (``timerfd_create(2)``) ticks
    finer.
    """

    def __init__(self) -> None:
        self._slots: list[dict[asyncio.Transport, Iterator[bytes]]] = [{} for _ in range(_TICKS)]
        self._tick = 0
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._timer: int = self._libc.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK)
        if self._timer < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        asyncio.get_running_loop().add_reader(self._timer, self._advance)

    def add(self, transport: asyncio.Transport, frames: Iterator[bytes]) -> None:
        """Start a stream in the slot that has the fewest."""
        if not any(self._slots):
            self._set_interval(FRAME_INTERVAL / _TICKS)
        min(self._slots, key=len)[transport] = frames

    def remove(self, transport: asyncio.Transport) -> None:
        """Forget a stream whose client has left."""
        for slot in self._slots:
            slot.pop(transport, None)

    def _set_interval(self, seconds: float) -> None:
        nanoseconds = int(seconds * 1e9)
        spec = (ctypes.c_long * 4)(
            0, nanoseconds, 0, nanoseconds
        )  # struct itimerspec: interval, first expiration
        if self._libc.timerfd_settime(self._timer, 0, spec, None):
            raise OSError(ctypes.get_errno(), "timerfd_settime")

    def _advance(self) -> None:
        expirations = int.from_bytes(os.read(self._timer, 8), sys.byteorder)
        # A late tick serves each slot once, never twice: two frames at once would be read as one.
        for _ in range(min(expirations, _TICKS)):
            self._tick = (self._tick + 1) % _TICKS
            slot = self._slots[self._tick]
            for transport, frames in list(slot.items()):
                frame = next(frames, None)
                if frame is None:
                    del slot[transport]
                else:
                    transport.write(frame)
        if not any(self._slots):
            self._set_interval(0)


class MockConnection(asyncio.Protocol):
    """One keep-alive connection of the gateway."""

    def __init__(self, clock: FrameClock) -> None:
        self._clock = clock
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._url = b""
        self._first = b""
        self._last = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._clock.remove(self._transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._first = self._last = b""

    def on_url(self, url: bytes) -> None:
        self._url = url

    def on_body(self, body: bytes) -> None:
        if len(self._first) < _LOOK_AT:
            self._first += body[:_LOOK_AT]
        self._last = (self._last + body[-_LOOK_AT:])[-_LOOK_AT:]

    def on_message_complete(self) -> None:
        assert self._transport is not None
        if not self._url.endswith(b"/chat/completions"):
            self._transport.write(render_answer(2))
            return
        seen = self._first + self._last
        asked = _MAX_TOKENS.search(seen)
        tokens = int(asked.group(1)) if asked else 20
        if _STREAM.search(seen):
            self._transport.write(STREAM_HEAD)
            self._clock.add(self._transport, stream_frames(tokens, bool(_INCLUDE_USAGE.search(seen))))
        else:
            self._transport.write(render_answer(tokens))


async def serve(port: int) -> None:
    """Serve on ``127.0.0.1:port`` until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    clock = FrameClock()
    server = await loop.create_server(lambda: MockConnection(clock), "127.0.0.1", port, backlog=1024)
    gc.collect()
    gc.freeze()
    await stopped.wait()
    server.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    uvloop.run(serve(parser.parse_args().port))
