"""A pushed body: everything once and in order, pauses that reach the provider, a way out at any moment."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from hookway_sdk.errors import StreamAborted, TransportFailed
from hookway_sdk.testing.scripted_upstream import (
    Cut,
    Delay,
    Malformed,
    Reply,
    ScriptedUpstream,
    Stall,
    sse_reply,
)

FRAMES = [b'data: {"n":%d}\n\n' % index for index in range(20)]
# More than all the buffers of two sockets and two event loops take.
LARGE = 24 << 20
# The machine of a test run may be busy: of so many tries, one has to be as fast as promised.
ATTEMPTS = 3


async def test_frames_are_pushed_as_they_arrive(lab: Any, notes: Any) -> None:
    async with ScriptedUpstream([sse_reply(FRAMES[:3], delay=0.03)]) as upstream, lab() as it:
        arrived: list[float] = []
        receiver = notes(lambda chunk: arrived.append(time.monotonic()))
        (await it.open(upstream.url)).start(receiver)
        await receiver.over.wait()
    assert receiver.chunks == [*FRAMES[:3], b"data: [DONE]\n\n"]
    assert (receiver.told, receiver.error) == (1, None)
    assert arrived[1] - arrived[0] > 0.02
    assert arrived[2] - arrived[1] > 0.02


async def test_what_arrived_before_the_start_is_delivered_first_and_once(lab: Any, notes: Any) -> None:
    reply = sse_reply([*FRAMES[:10], b"", *FRAMES[10:]])
    slow = Reply(200, reply.headers, [*reply.pieces[:10], Delay(0.05), *reply.pieces[10:]], "chunked")
    async with ScriptedUpstream([slow]) as upstream, lab() as it:
        response = await it.open(upstream.url)
        await asyncio.sleep(0.03)
        receiver = notes()
        response.start(receiver)
        assert receiver.body == b"".join(FRAMES[:10])
        await receiver.over.wait()
    assert receiver.body == b"".join(FRAMES) + b"data: [DONE]\n\n"


async def test_a_stream_that_is_complete_before_the_start_is_delivered_at_once(lab: Any, notes: Any) -> None:
    async with ScriptedUpstream([sse_reply(FRAMES), Reply(body=b"next")]) as upstream, lab() as it:
        response = await it.open(upstream.url)
        await asyncio.sleep(0.03)
        # The connection is free already.
        assert await it.ask(upstream.url) == (200, b"next")
        receiver = notes()
        response.start(receiver)
        assert receiver.told == 1
    assert receiver.body == b"".join(FRAMES) + b"data: [DONE]\n\n"
    assert upstream.connections == 1


async def test_a_body_is_consumed_in_one_way_only(lab: Any, notes: Any) -> None:
    async with ScriptedUpstream(default=Reply(body=b"abc")) as upstream, lab() as it:
        response = await it.open(upstream.url)
        assert await response.read(3) == b"abc"
        with pytest.raises(RuntimeError, match="already consumed"):
            response.start(notes())
        pushed = await it.open(upstream.url)
        pushed.start(notes())
        with pytest.raises(RuntimeError, match="already consumed"):
            await pushed.read(3)


async def test_a_pause_stops_the_provider_and_loses_nothing(lab: Any, notes: Any) -> None:
    async with ScriptedUpstream([Reply(body=[b"x" * 65536] * (LARGE // 65536))]) as upstream, lab() as it:
        response = await it.open(upstream.url)
        receiver = notes(lambda chunk: response.pause() if len(receiver.chunks) == 1 else None)
        response.start(receiver)
        await asyncio.sleep(0.1)
        assert len(receiver.chunks) == 1
        before = len(receiver.body)
        await asyncio.sleep(0.1)
        # Not a byte more, not even what had been read already; and the provider is stuck in the middle.
        assert len(receiver.body) == before
        assert upstream.open_connections == 1
        assert not receiver.over.is_set()
        response.resume()
        await asyncio.wait_for(receiver.over.wait(), 10)
    assert receiver.error is None
    assert len(receiver.body) == LARGE


async def test_a_provider_waits_for_a_consumer_that_has_not_come(lab: Any) -> None:
    endless = Stall(Reply(body=[b"x" * 65536] * (LARGE // 65536)), after_bytes=LARGE)
    async with ScriptedUpstream([endless]) as upstream, lab() as it:
        response = await it.open(upstream.url)
        await asyncio.sleep(0.1)
        response.abort()
        departure = await upstream.wait_disconnect(2)
    assert departure.sent < LARGE


async def test_pausing_and_resuming_inside_the_receiver_keeps_the_order(lab: Any, notes: Any) -> None:
    async with ScriptedUpstream([sse_reply(FRAMES)]) as upstream, lab() as it:
        response = await it.open(upstream.url)
        loop = asyncio.get_running_loop()

        def at_data(chunk: bytes) -> None:
            response.pause()
            if len(receiver.chunks) % 3 == 0:
                response.resume()
            else:
                loop.call_soon(response.resume)

        receiver = notes(at_data)
        response.start(receiver)
        await receiver.over.wait()
    assert receiver.body == b"".join(FRAMES) + b"data: [DONE]\n\n"
    assert receiver.told == 1


async def test_the_connection_is_free_and_reads_again_after_a_paused_end(lab: Any, notes: Any) -> None:
    async with ScriptedUpstream([sse_reply(FRAMES), Reply(body=b"next")]) as upstream, lab() as it:
        response = await it.open(upstream.url)
        receiver = notes(lambda chunk: response.pause() if len(receiver.chunks) == 1 else None)
        response.start(receiver)
        await asyncio.sleep(0.03)
        response.resume()
        await receiver.over.wait()
        assert receiver.body == b"".join(FRAMES) + b"data: [DONE]\n\n"
        assert await it.ask(upstream.url) == (200, b"next")


async def test_an_abort_reaches_the_provider_within_a_tenth_of_a_second(lab: Any, notes: Any) -> None:
    took = []
    async with ScriptedUpstream(default=sse_reply(FRAMES * 50, delay=0.01)) as upstream, lab() as it:
        for _ in range(ATTEMPTS):
            response = await it.open(upstream.url)
            receiver = notes()
            response.start(receiver)
            await asyncio.sleep(0.03)
            began = time.monotonic()
            response.abort()
            response.abort()
            seen = len(receiver.chunks)
            took.append((await upstream.wait_disconnect(5)).time - began)
            await asyncio.sleep(0.02)
            assert len(receiver.chunks) == seen
            assert receiver.told == 0
    assert min(took) < 0.1


async def test_an_abort_inside_the_receiver_is_the_last_it_hears(lab: Any, notes: Any) -> None:
    async with ScriptedUpstream([Reply(body=FRAMES, framing="chunked")]) as upstream, lab() as it:
        response = await it.open(upstream.url)
        receiver = notes(lambda chunk: response.abort())
        response.start(receiver)
        await asyncio.sleep(0.03)
        assert len(receiver.chunks) == 1
        assert receiver.told == 0


async def test_an_abort_after_the_end_does_not_harm_the_next_exchange(lab: Any) -> None:
    script = [Reply(body=b"abc"), [Delay(0.03), Reply(body=b"next")]]
    async with ScriptedUpstream(script) as upstream, lab() as it:
        response = await it.open(upstream.url)
        assert await response.read(10) == b"abc"
        following = asyncio.create_task(it.ask(upstream.url))
        await asyncio.sleep(0.01)
        response.abort()
        assert await following == (200, b"next")
    assert upstream.connections == 1


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("pushed", [False, True])
async def test_a_cut_after_the_head_aborts_the_stream(
    lab: Any, notes: Any, framing: Any, reset: bool, pushed: bool
) -> None:
    reply = Reply(body=[b"abc", Delay(0.02), b"defghi"], framing=framing)
    async with ScriptedUpstream([Cut(reply, after_bytes=5, reset=reset)]) as upstream, lab() as it:
        response = await it.open(upstream.url)
        if pushed:
            receiver = notes()
            response.start(receiver)
            await receiver.over.wait()
            assert isinstance(receiver.error, StreamAborted)
            assert receiver.told == 1
            assert receiver.body.startswith(b"abc")
        else:
            with pytest.raises(StreamAborted):
                await response.read(100)


async def test_a_cut_that_came_before_the_start_is_told_after_the_data(lab: Any, notes: Any) -> None:
    async with ScriptedUpstream([Cut(Reply(body=b"abcdef"), after_bytes=3)]) as upstream, lab() as it:
        response = await it.open(upstream.url)
        await asyncio.sleep(0.03)
        receiver = notes()
        response.start(receiver)
        assert receiver.body == b"abc"
        assert isinstance(receiver.error, StreamAborted)


async def test_a_malformed_chunk_in_the_middle_fails_the_stream(lab: Any, notes: Any) -> None:
    raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nxyz\r\n"
    async with ScriptedUpstream([Malformed(raw, split_every=55)]) as upstream, lab() as it:
        receiver = notes()
        (await it.open(upstream.url)).start(receiver)
        await receiver.over.wait()
    assert isinstance(receiver.error, TransportFailed)
    assert "malformed response" in receiver.error.message
    assert receiver.body == b"abc"


async def test_a_receiver_that_raises_closes_the_connection_and_is_told(lab: Any, notes: Any) -> None:
    loop = asyncio.get_running_loop()
    reported: list[str] = []
    loop.set_exception_handler(lambda _, context: reported.append(str(context["exception"])))

    def broken(chunk: bytes) -> None:
        raise RuntimeError("broken")

    async with ScriptedUpstream(default=sse_reply(FRAMES, delay=0.01)) as upstream, lab() as it:
        for wait in (0, 0.02):
            receiver = notes(broken)
            response = await it.open(upstream.url)
            await asyncio.sleep(wait)
            response.start(receiver)
            await receiver.over.wait()
            assert isinstance(receiver.error, StreamAborted)
            assert len(receiver.chunks) == 1
            await upstream.wait_disconnect(1)
    assert reported == ["broken", "broken"]


@pytest.mark.parametrize("where", ["head", "body"])
async def test_a_cancelled_caller_closes_the_connection_at_once(lab: Any, where: str) -> None:
    act = Stall() if where == "head" else Stall(Reply(body=b"abcdef"), after_bytes=3)
    took = []
    async with ScriptedUpstream([*[act] * ATTEMPTS, Reply(body=b"next")]) as upstream, lab() as it:
        for attempt in range(ATTEMPTS):
            asking = asyncio.create_task(it.ask(upstream.url))
            await upstream.wait_requests(attempt + 1)
            await asyncio.sleep(0.02)
            began = time.monotonic()
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            took.append((await upstream.wait_disconnect(5)).time - began)
        assert await it.ask(upstream.url) == (200, b"next")
    assert min(took) < 0.1


async def test_a_caller_cancelled_in_the_moment_of_the_answer_leaves_nothing_behind(lab: Any) -> None:
    async with ScriptedUpstream(default=Reply(body=b"abc")) as upstream, lab() as it:
        for steps in range(12):
            asking = asyncio.create_task(it.ask(upstream.url))
            for _ in range(steps):
                await asyncio.sleep(0)
            asking.cancel()
            outcome = await asyncio.gather(asking, return_exceptions=True)
            assert outcome == [(200, b"abc")] or isinstance(outcome[0], asyncio.CancelledError)
        assert await it.ask(upstream.url) == (200, b"abc")


async def test_an_aborted_answer_does_not_keep_a_reader_waiting(lab: Any) -> None:
    async with ScriptedUpstream([Stall(Reply(body=b"abc"), after_bytes=1)]) as upstream, lab() as it:
        response = await it.open(upstream.url)
        reading = asyncio.create_task(response.read(10))
        await asyncio.sleep(0.02)
        response.abort()
        with pytest.raises(StreamAborted):
            await reading
