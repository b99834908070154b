"""Each deadline ends the exchange, names its stage, and closes the connection."""

from __future__ import annotations

import asyncio
import queue
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from hookway.upstream.timeouts import Timeouts
from hookway_sdk.errors import UpstreamTimeout
from hookway_sdk.testing.scripted_upstream import Delay, Reply, ScriptedUpstream, Stall, sse_reply

# How much later than due a deadline may come. One and a half ticks are 15 ms (test_deadlines.py measures
# them); the rest is patience with a busy machine, and still less than what the other deadlines would take.
LATE = 3.0


def spread(seconds: float, count: int = 10) -> Reply:
    """An answer that takes ``seconds``, with a chunk at each step."""
    return sse_reply([b"data: x\n\n"] * count, delay=seconds / count)


@contextmanager
def scripted_elsewhere(action: Any) -> Iterator[str]:
    """A scripted upstream in a loop of another thread, which runs while the test's own stands still.

    It answers with the action, and under ``/stall`` with one chunk after 30 ms.
    """
    ready: queue.Queue[str] = queue.Queue()
    done = threading.Event()

    async def serve() -> None:
        stall = Reply(body=[Delay(0.03), b"x"], framing="chunked")
        script = ScriptedUpstream(lambda request: stall if request.target == "/stall" else action)
        async with script as upstream:
            ready.put(upstream.url)
            await asyncio.to_thread(done.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        yield ready.get(timeout=5)
    finally:
        done.set()
        thread.join(5)


@pytest.mark.parametrize(
    ("act", "timeouts", "stage", "seconds"),
    [
        (Stall(), {"head": 0.1}, "head", 0.1),
        (Stall(Reply(), head_bytes=10), {"head": 0.1, "total": 5}, "head", 0.1),
        (Stall(), {"head": 9, "total": 0.1}, "total", 0.1),
        (Stall(Reply(body=b"abc"), after_bytes=1), {"head": 9, "chunk": 0.1, "total": 9}, "chunk", 0.1),
        (spread(9), {"head": 9, "chunk": 9, "total": 0.1}, "total", 0.1),
        (Stall(Reply(body=b"abc"), after_bytes=1), {"head": 0.05, "chunk": 0.15}, "chunk", 0.15),
    ],
)
async def test_a_deadline_names_its_stage_and_closes_the_connection(
    lab: Any, act: Any, timeouts: dict[str, float], stage: str, seconds: float
) -> None:
    async with ScriptedUpstream([act, Reply(body=b"next")]) as upstream, lab() as it:
        began = time.monotonic()
        with pytest.raises(UpstreamTimeout) as passed:
            await it.ask(upstream.url, **timeouts)
        assert seconds <= time.monotonic() - began < seconds + LATE
        assert (passed.value.stage, passed.value.milliseconds) == (stage, seconds * 1000)
        await upstream.wait_disconnect(1)
        assert await it.ask(upstream.url, **timeouts) == (200, b"next")
    assert upstream.connections == 2


async def test_the_chunk_deadline_begins_anew_with_each_chunk(lab: Any) -> None:
    async with ScriptedUpstream([spread(0.6)]) as upstream, lab() as it:
        status, body = await it.ask(upstream.url, chunk=0.4, head=0.4, total=9)
    assert (status, body.count(b"data: x")) == (200, 10)


async def test_a_chunk_deadline_in_a_stream_is_told_to_the_receiver(lab: Any, notes: Any) -> None:
    async with ScriptedUpstream([Stall(Reply(body=b"abc"), after_bytes=2)]) as upstream, lab() as it:
        receiver = notes()
        (await it.open(upstream.url, chunk=0.08)).start(receiver)
        await receiver.over.wait()
        await upstream.wait_disconnect(1)
    assert isinstance(receiver.error, UpstreamTimeout)
    assert receiver.error.stage == "chunk"
    assert (receiver.body, receiver.told) == (b"ab", 1)


async def test_the_chunk_deadline_stands_still_while_the_receiver_pauses(lab: Any, notes: Any) -> None:
    reply = Reply(body=[b"abc", Delay(0.3), b"def"], framing="chunked")
    async with ScriptedUpstream([reply]) as upstream, lab() as it:
        response = await it.open(upstream.url, chunk=0.2)
        receiver = notes()
        response.start(receiver)
        response.pause()
        await asyncio.sleep(0.28)
        response.resume()
        await receiver.over.wait()
    assert receiver.error is None
    assert receiver.body == b"abcdef"


async def test_the_chunk_deadline_goes_on_after_a_pause(lab: Any, notes: Any) -> None:
    async with ScriptedUpstream([Stall(Reply(body=b"abc"), after_bytes=1)]) as upstream, lab() as it:
        response = await it.open(upstream.url, chunk=0.1)
        receiver = notes()
        response.start(receiver)
        response.pause()
        await asyncio.sleep(0.15)
        began = time.monotonic()
        response.resume()
        await receiver.over.wait()
        assert 0.1 <= time.monotonic() - began < 0.1 + LATE
    assert isinstance(receiver.error, UpstreamTimeout)


async def test_a_connection_that_does_not_come_about_is_given_up(lab: Any) -> None:
    # A listening socket whose queue is full does not answer: the kernel drops the handshake.
    with ExitStack() as sockets:
        deaf = sockets.enter_context(socket.socket())
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        for _ in range(3):
            filler = sockets.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(deaf.getsockname())
        await asyncio.sleep(0.02)
        async with lab() as it:
            for timeouts, stage in (({"connect": 0.1}, "connect"), ({"connect": 9.0, "total": 0.1}, "total")):
                began = time.monotonic()
                with pytest.raises(UpstreamTimeout) as passed:
                    await it.ask(url, **timeouts)
                # Connecting is timed by the loop, not by the wheel, and uvloop counts in milliseconds.
                assert 0.098 <= time.monotonic() - began < 0.1 + LATE
                assert (passed.value.stage, passed.value.milliseconds) == (stage, 100)


async def test_the_head_deadline_begins_anew_while_the_body_is_being_sent(lab: Any) -> None:
    async def body() -> AsyncIterator[bytes]:
        for _ in range(6):
            yield b"x" * 10
            await asyncio.sleep(0.08)

    async with ScriptedUpstream([Reply(body=b"ok")]) as upstream, lab() as it:
        assert await it.ask(upstream.url, body(), head=0.3) == (200, b"ok")


async def test_an_answer_that_arrived_while_the_loop_stood_still_is_not_late(lab: Any, notes: Any) -> None:
    with scripted_elsewhere([Delay(0.06), Reply(body=b"ok")]) as url:
        async with lab() as it:
            asking = asyncio.create_task(it.ask(url, head=0.4))
            # Another exchange's receiver is what stalls the loop, as a costly guardrail would.
            stalling = notes(lambda chunk: time.sleep(0.6))
            (await it.open(url + "/stall")).start(stalling)
            assert await asking == (200, b"ok")
            await stalling.over.wait()


async def test_what_a_clean_end_leaves_in_the_wheel_ends_nothing(lab: Any) -> None:
    async with ScriptedUpstream(default=Reply(body=b"ok")) as upstream, lab(idle_timeout=None) as it:
        await it.ask(upstream.url, connect=1, head=0.1, chunk=0.1, total=0.1)
        await asyncio.sleep(0.3)
        assert len(it.wheel) == 0
        assert await it.ask(upstream.url, head=1) == (200, b"ok")
        assert upstream.connections == 1


@pytest.mark.parametrize("name", ["connect", "head", "chunk", "total"])
def test_a_deadline_of_no_time_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"'{name}' must be over 0"):
        Timeouts(**{name: 0})
