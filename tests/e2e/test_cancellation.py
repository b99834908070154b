"""A client that leaves: the provider sees it at once, and what was consumed is recorded."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

import openai
import pytest
from callers import HELLO, ID, asynchronous, attempts, blocking, ended, journalled, raw_request
from openai_wire import chunk, frames, refusal, stream
from scripted_provider import Provider
from watched import Watched

from hookway.testing import RunningGateway
from hookway_sdk import Usage
from hookway_sdk.testing.scripted_upstream import Cut, Stall, sse_reply

AT_MOST = 0.1
"""Seconds until the provider sees that the client has left."""


READ = Usage(input_tokens=-(-len(json.dumps(HELLO, separators=(",", ":"))) // 4), estimated=True)
"""What a request whose answer nobody waited for is counted with: the provider has read it."""


@pytest.fixture(scope="module")
def running(start_shared: Watched, provider_server: Provider) -> RunningGateway:
    account = provider_server.account()
    group = {"routing": {"targets": [{"model": "again"}, {"model": "other"}]}}
    return start_shared(
        resources={
            "models": [
                {"name": "fast", "model": "openai/gpt-4o", **account},
                {"name": "again", "model": "openai/gpt-4o", **account, "retries": 5},
                {"name": "other", "model": "openai/other", **account},
                {"name": "group", **group},
            ]
        },
    )


async def quickest(provider: Provider, leave: Callable[[int], Any], times: int = 3) -> float:
    """Return the shortest of some times until a departure was seen: the least of the machine's other load."""
    took: list[float] = []
    for number in range(times):
        left = await leave(number)
        took.append((await asyncio.to_thread(provider.departure)).time - left)
    return min(took)


def gone(running: RunningGateway, request_id: str) -> Usage:
    """Check what is recorded of a request whose client left, and return its usage."""
    event = ended(running, request_id)
    assert (event.status, event.error_type, event.target) == (499, "client_disconnected", "fast")
    assert journalled(running, request_id) == [event]
    (attempt,) = attempts(running, request_id)
    assert attempt.dispatched
    return event.usage


async def test_a_call_that_is_cancelled_before_the_answer(
    running: RunningGateway, provider: Provider
) -> None:
    provider.answers(*[Stall()] * 3)
    async with asynchronous(running) as client:

        async def leave(number: int) -> float:
            call = asyncio.create_task(
                client.chat.completions.create(
                    model="fast", messages=HELLO, extra_headers={ID: f"early-{number}"}
                )
            )
            await asyncio.to_thread(provider.wait_requests, number + 1)
            call.cancel()
            left = time.monotonic()
            with pytest.raises(asyncio.CancelledError):
                await call
            return left

        assert await quickest(provider, leave) < AT_MOST
    for number in range(3):
        assert gone(running, f"early-{number}") == READ
        assert [one.error_kind for one in attempts(running, f"early-{number}")] == ["client_disconnected"]


async def test_a_call_that_is_cancelled_inside_the_answer(
    running: RunningGateway, provider: Provider
) -> None:
    provider.answers(*[Stall(refusal(200, "x" * 100), 50)] * 3)
    async with asynchronous(running) as client:

        async def leave(number: int) -> float:
            call = asyncio.create_task(client.chat.completions.create(model="fast", messages=HELLO))
            await asyncio.to_thread(provider.wait_requests, number + 1)
            await asyncio.sleep(0.02)
            call.cancel()
            left = time.monotonic()
            with pytest.raises(asyncio.CancelledError):
                await call
            return left

        assert await quickest(provider, leave) < AT_MOST


async def test_a_stream_that_is_closed_in_the_middle(running: RunningGateway, provider: Provider) -> None:
    counted = {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10}
    begun = [chunk({"content": "hel"}, usage=counted), chunk({"content": "lo"}, usage=counted)]
    provider.answers(*[Stall(sse_reply([*begun, *frames("!")]), sum(map(len, begun)))] * 3)
    async with asynchronous(running) as client:

        async def leave(number: int) -> float:
            events = await client.chat.completions.create(
                model="fast", messages=HELLO, stream=True, extra_headers={ID: f"middle-{number}"}
            )
            said = [(await anext(aiter(events))).choices[0].delta.content for _ in range(2)]
            assert said == ["hel", "lo"]
            await events.close()
            return time.monotonic()

        assert await quickest(provider, leave) < AT_MOST
    for number in range(3):
        assert gone(running, f"middle-{number}") == Usage(input_tokens=9, output_tokens=1)
    assert ended(running, "middle-0").ttft_ms > 0


async def test_a_blocking_stream_that_is_left(running: RunningGateway, provider: Provider) -> None:
    provider.answers(*[stream(*["word"] * 1000, delay=0.01)] * 3)
    with blocking(running) as client:

        async def leave(number: int) -> float:
            with client.chat.completions.create(model="fast", messages=HELLO, stream=True) as events:
                next(iter(events))
            return time.monotonic()

        assert await quickest(provider, leave) < AT_MOST


async def test_a_client_whose_patience_ends(running: RunningGateway, provider: Provider) -> None:
    provider.answers(Stall())
    async with asynchronous(running, timeout=0.2) as client:
        with pytest.raises(openai.APITimeoutError):
            await client.chat.completions.create(
                model="fast", messages=HELLO, extra_headers={ID: "patience-1"}
            )
    provider.departure()
    assert gone(running, "patience-1") == READ


def test_a_connection_that_is_reset_in_the_middle_of_a_stream(
    running: RunningGateway, provider: Provider
) -> None:
    provider.answers(stream(*["word"] * 1000, delay=0.01))
    body = json.dumps({"model": "fast", "messages": HELLO, "stream": True}).encode()
    connection = socket.create_connection((running.host, running.port), timeout=5)
    connection.sendall(raw_request(running, body, f"content-length: {len(body)}", f"{ID}: reset-1"))
    assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    provider.departure()
    gone(running, "reset-1")


async def test_nothing_is_tried_again_for_a_client_that_left(
    running: RunningGateway, provider: Provider
) -> None:
    provider.answers(Cut(refusal(500, "oops"), 10))
    async with asynchronous(running, timeout=0.1) as client:
        with pytest.raises(openai.APITimeoutError):
            await client.chat.completions.create(model="again", messages=HELLO, extra_headers={ID: "again-1"})
    event = ended(running, "again-1")
    assert (event.status, event.attempts) == (499, 1)
    await asyncio.sleep(0.7)
    assert len(provider.requests) == 1


async def test_no_other_target_is_asked_for_a_client_that_left(
    running: RunningGateway, provider: Provider
) -> None:
    provider.answers(Stall())
    async with asynchronous(running, timeout=0.15) as client:
        with pytest.raises(openai.APITimeoutError):
            await client.chat.completions.create(model="group", messages=HELLO, extra_headers={ID: "group-1"})
    provider.departure()
    assert ended(running, "group-1").status == 499
    assert provider.asked == ["gpt-4o"]


def test_a_client_that_does_not_read_makes_the_provider_wait(
    running: RunningGateway, provider: Provider
) -> None:
    words = ["x" * 100_000] * 800
    provider.answers(stream(*words))
    body = json.dumps({"model": "fast", "messages": HELLO, "stream": True}).encode()
    with socket.create_connection((running.host, running.port), timeout=5) as connection:
        connection.sendall(raw_request(running, body, f"content-length: {len(body)}"))
        time.sleep(0.5)
    # What the buffers of four sockets hold has left the provider, and not the eighty megabytes.
    assert provider.departure().sent < sum(map(len, words)) / 2


def test_a_slow_reader_loses_nothing(running: RunningGateway, provider: Provider) -> None:
    words = ["x" * 50_000] * 200
    provider.answers(stream(*words))
    body = json.dumps({"model": "fast", "messages": HELLO, "stream": True}).encode()
    received = 0
    with socket.create_connection((running.host, running.port), timeout=5) as connection:
        lines = (f"content-length: {len(body)}", "connection: close", f"{ID}: slow-1")
        connection.sendall(raw_request(running, body, *lines))
        time.sleep(0.3)
        while piece := connection.recv(2**16):
            received += piece.count(b"x")
    assert received >= sum(map(len, words))
    assert ended(running, "slow-1").usage == Usage(input_tokens=11, output_tokens=4)


def test_no_connection_to_the_provider_is_left_behind(running: RunningGateway, provider: Provider) -> None:
    before = provider.open_connections()
    provider.answers(*[stream(*["word"] * 1000, delay=0.01)] * 5)
    with blocking(running) as client:
        for _ in range(5):
            with client.chat.completions.create(model="fast", messages=HELLO, stream=True) as events:
                next(iter(events))
            provider.departure()
    assert provider.open_connections() <= max(before, 1)
