"""The load generator: a closed loop of raw keep-alive connections that checks every answer.

Each connection sends the next request when its answer is complete. An answer counts only when its status is
200, its length is the expected one and its end mark is there; a stream only when every frame and ``[DONE]``
arrived. The first answer that differs ends the job with an error, so a fast wrong answer never becomes a
good figure.

The measured window opens after the warm-up, while every connection keeps working, and closes before any of
them stops; at both edges the CPU clock of the gateway's process is read, so that connecting and draining
are not counted.

Jobs come as JSON lines on stdin, results leave as JSON lines on stdout: one generator serves a whole bench
run. Usage: ``echo '{"port": 3000, "seconds": 2}' | python tests/bench/load.py`` (fields: :class:`Job`)
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import sys
import time
from array import array
from collections.abc import Callable, Iterator
from typing import Any, cast

import httptools
import msgspec
import uvloop
from process_meter import cpu_seconds

END_MARK = b"@end@"
DONE_MARK = b"data: [DONE]\n\n"
_FIXED_FRAMES = 3  # role, finish and [DONE] stand around the deltas


class Job(msgspec.Struct, forbid_unknown_fields=True):
    """One run against one address; it ends by ``seconds`` or ``requests``, whichever comes first.

    Args:
        port: port on 127.0.0.1.
        key: bearer token.
        keys: how many callers take turns; with more than one, each has :func:`key_of` its number.
        model: model name in the request.
        headers: further request headers.
        request_bytes: length of the request body.
        max_tokens: four bytes of content each in an answer; one frame each in a stream.
        stream: ask for a stream and measure chunks.
        connections: how many connections work at once.
        warmup_seconds: how long connections work before the window opens; 0 opens it at once.
        seconds: length of the window.
        requests: answers in the window, at most.
        answer_bytes: expected body length; 0 leaves the length unchecked (the end mark is always checked).
        pids: processes whose CPU time is read at the window's edges.
        timeout: seconds after which the job fails.
    """

    port: int
    key: str = "bench"
    keys: int = 1
    model: str = "fast"
    headers: dict[str, str] = {}
    request_bytes: int = 1000
    max_tokens: int = 20
    stream: bool = False
    connections: int = 32
    warmup_seconds: float = 0.2
    seconds: float = 1e9
    requests: int = 10**9
    answer_bytes: int = 0
    pids: list[int] = []
    timeout: float = 120.0


class Result(msgspec.Struct):
    """What was measured in the window.

    Args:
        error: why the job failed; the figures then mean nothing.
        answers: complete answers (of streams: in the whole job).
        chunks: frames that arrived at streaming clients in the window.
        reads: times that stream bytes arrived; ``chunks / reads`` above 1 says how much was coalesced.
        seconds: length of the window.
        cpu: CPU seconds of ``pids`` in the window.
        cpu_whole: CPU seconds of ``pids`` from before the first connection to after the last answer.
        answers_whole, chunks_whole: what was done in that time.
        p50, p99: milliseconds per answer in the window; for streams, until the first frame.
    """

    error: str = ""
    answers: int = 0
    chunks: int = 0
    reads: int = 0
    seconds: float = 0.0
    cpu: float = 0.0
    cpu_whole: float = 0.0
    answers_whole: int = 0
    chunks_whole: int = 0
    p50: float = 0.0
    p99: float = 0.0


def key_of(key: str, number: int) -> str:
    """Return the bearer token of one of many callers."""
    return f"{key}-{number:04d}"


def requests_of(job: Job) -> Iterator[bytes]:
    """Return the requests of a job, those of its callers in turn, without end."""
    keys = [job.key] if job.keys == 1 else [key_of(job.key, number) for number in range(job.keys)]
    return itertools.cycle([request_bytes(job, key) for key in keys])


def request_bytes(job: Job, key: str = "") -> bytes:
    """Render a request, with ``job.request_bytes`` of JSON as its body."""
    stream = b',"stream":true' if job.stream else b""
    start = b'{"model":"%b","max_tokens":%d%b,"messages":[{"role":"user","content":"' % (
        job.model.encode(),
        job.max_tokens,
        stream,
    )
    end = b'"}],"temperature":0.7}'
    line = rb"Explain to a \"newcomer\" what a gateway does, and why it should stay out of the way.\n"
    room = max(0, job.request_bytes - len(start) - len(end))
    text = (line * (room // len(line))) + b"x" * (room % len(line))
    body = start + text + end
    further = "".join(f"{name}: {value}\r\n" for name, value in job.headers.items()).encode()
    head = (
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:%d\r\nauthorization: Bearer %b\r\n"
        b"content-type: application/json\r\naccept: application/json\r\naccept-encoding: gzip, deflate\r\n"
        b"user-agent: OpenAI/Python 2.8.0\r\nx-stainless-lang: python\r\n%bcontent-length: %d\r\n\r\n"
    ) % (job.port, (key or job.key).encode(), further, len(body))
    return head + body


class Window:
    """Counts, and reads the clocks when the measured window opens and closes."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.result = Result()
        self.latencies = array("d")
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.state = "warming"
        self.streaming = 0
        self.all_stream = asyncio.Event()
        self.one_ends = asyncio.Event()
        self._started = time.perf_counter()
        self._cpu_started = cpu_seconds(job.pids)
        self._opened = 0.0
        self._cpu_opened = 0.0
        if job.warmup_seconds <= 0 and not job.stream:
            self.open(self._started)

    def open(self, now: float) -> None:
        """Begin to count."""
        self.state = "open"
        self._opened = now
        self._cpu_opened = cpu_seconds(self.job.pids)

    def close(self, now: float) -> None:
        """Stop counting; connections finish what they are at."""
        self.state = "closed"
        self.result.cpu = cpu_seconds(self.job.pids) - self._cpu_opened
        self.result.seconds = now - self._opened

    def answered(self, now: float, took: float) -> bool:
        """Count one answer; return whether its connection should send another request."""
        result, job = self.result, self.job
        result.answers_whole += 1
        if self.state == "open":
            result.answers += 1
            self.latencies.append(took)
            if result.answers >= job.requests or now - self._opened >= job.seconds:
                self.close(now)
        elif self.state == "warming":
            if now - self._started >= job.warmup_seconds:
                self.open(now)
        return self.state != "closed"

    def first_frame(self, took: float) -> None:
        """Note that one more stream runs."""
        self.latencies.append(took)
        self.streaming += 1
        if self.streaming == self.job.connections:
            self.all_stream.set()

    def fail(self, reason: str) -> None:
        """End the job with a reason."""
        if not self.failed.done():
            self.failed.set_exception(AssertionError(reason))

    def finish(self) -> Result:
        """Return the figures; every connection is done."""
        self.result.cpu_whole = cpu_seconds(self.job.pids) - self._cpu_started
        ordered = sorted(self.latencies)
        if ordered:
            self.result.p50 = ordered[len(ordered) // 2] * 1e3
            self.result.p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))] * 1e3
        return self.result


class Client(asyncio.Protocol):
    """What whole answers and streams share: one connection that parses and checks.

    Args:
        window: where answers are counted.
        requests: what to send, one after the other; shared with other connections.
    """

    def __init__(self, window: Window, requests: Iterator[bytes]) -> None:
        self.window = window
        self.requests = requests
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.parser = httptools.HttpResponseParser(self)
        self.transport: asyncio.Transport | None = None
        self.sent = 0.0
        self.length = 0
        self.tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's own class
        self.send()

    def send(self) -> None:
        """Send the request."""
        assert self.transport is not None
        self.length = 0
        self.tail = b""
        self.sent = time.perf_counter()
        self.transport.write(next(self.requests))

    def data_received(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError as error:
            cause = error.__context__ or error
            self.window.fail(f"answer cannot be parsed: {cause!r}: {data[:200]!r}")

    def refused(self) -> bool:
        """Whether the answer that is complete was not a 200; the job then fails with its status and body."""
        status = self.parser.get_status_code()
        if status != 200:
            self.window.fail(f"status {status}: {self.tail[-300:]!r}")
        return status != 200

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.window.fail(f"connection closed by the gateway in the middle of an answer ({exc})")

    def stop(self) -> None:
        """Close, all work done."""
        self.done.set_result(None)
        if self.transport is not None:
            self.transport.close()


class AnswerClient(Client):
    """Asks for whole answers, one after the other."""

    def on_body(self, body: bytes) -> None:
        self.length += len(body)
        self.tail = (self.tail + body[-1024:])[-1024:]

    def on_message_complete(self) -> None:
        now = time.perf_counter()
        expected = self.window.job.answer_bytes
        if self.refused():
            return
        if END_MARK not in self.tail or (expected and self.length != expected):
            self.window.fail(
                f"body of {self.length} bytes instead of {expected} ending in {self.tail[-300:]!r}"
            )
        elif not self.parser.should_keep_alive():
            self.window.fail("the gateway does not keep the connection alive")
        elif self.window.answered(now, now - self.sent):
            self.send()
        else:
            self.stop()


class StreamClient(Client):
    """Asks for one stream and counts its frames."""

    frames = 0

    def on_body(self, body: bytes) -> None:
        result = self.window.result
        if not self.frames:
            self.window.first_frame(time.perf_counter() - self.sent)
        # a frame's blank line may be cut in two by a read
        count = body.count(b"\n\n") + (self.tail[-1:] == b"\n" and body[:1] == b"\n")
        self.frames += count
        result.chunks_whole += count
        if self.window.state == "open":
            result.chunks += count
            result.reads += 1
        if self.frames > self.window.job.max_tokens:
            self.window.one_ends.set()
        self.tail = (self.tail + body)[-1024:]

    def on_message_complete(self) -> None:
        expected = self.window.job.max_tokens + _FIXED_FRAMES
        if self.refused():
            return
        if not self.tail.endswith(DONE_MARK) or self.frames != expected:
            self.window.fail(
                f"stream of {self.frames} frames instead of {expected}, ending in {self.tail[-300:]!r}"
            )
        elif self.window.state != "closed":
            self.window.fail("a stream ended inside the measured window: ask for more frames")
        else:
            self.window.result.answers_whole += 1
            self.window.result.answers += 1
            self.stop()


async def run_job(job: Job) -> Result:
    """Run one job and return its figures, or a result whose ``error`` says what went wrong."""
    loop = asyncio.get_running_loop()
    window = Window(job)
    loop.set_exception_handler(lambda _, context: window.fail(_describe(context)))
    clients: list[Client] = []
    gc.collect()
    gc.disable()  # a pause of the generator would be read as latency
    work = loop.create_task(_work(window, clients))
    await asyncio.wait((work, window.failed), timeout=job.timeout, return_when=asyncio.FIRST_COMPLETED)
    gc.enable()
    if not work.done():
        window.fail(f"not finished after {job.timeout} s")
        work.cancel()
    (outcome,) = await asyncio.gather(work, return_exceptions=True)
    for client in clients:
        if client.transport is not None:
            client.transport.abort()
    if window.failed.done():
        return Result(error=str(window.failed.exception()))
    if isinstance(outcome, BaseException):
        return Result(error=repr(outcome))
    return outcome


def _describe(context: dict[str, Any]) -> str:
    return f"{context['message']}: {context.get('exception')!r}"


async def _work(window: Window, clients: list[Client]) -> Result:
    """Connect, let every client do its part, and return the figures."""
    job = window.job
    requests = requests_of(job)
    kind: Callable[[Window, Iterator[bytes]], Client] = StreamClient if job.stream else AnswerClient
    loop = asyncio.get_running_loop()
    for number in range(job.connections):
        _, client = await loop.create_connection(lambda: kind(window, requests), "127.0.0.1", job.port)
        clients.append(client)
        if job.stream and number % 10 == 9:
            await asyncio.sleep(0.003)  # streams begin one after the other, as callers do
    if job.stream:
        await _time_window(window)
    for client in clients:
        await client.done
    return window.finish()


async def _time_window(window: Window) -> None:
    """Open the window when every stream runs; close it ``seconds`` later, or before the first stream ends."""
    await window.all_stream.wait()
    await asyncio.sleep(window.job.warmup_seconds)
    began = time.perf_counter()
    window.open(began)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(window.job.seconds):
            await window.one_ends.wait()
    now = time.perf_counter()
    window.close(now)
    if now - began < window.job.seconds / 2:
        window.fail("the streams ended before they could be measured: ask for more frames")


def main() -> None:
    """Serve jobs from stdin until it closes."""
    decode = msgspec.json.Decoder(Job).decode
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for line in sys.stdin:
            result = runner.run(run_job(decode(line)))
            sys.stdout.write(msgspec.json.encode(result).decode() + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
