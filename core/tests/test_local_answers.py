"""Answers without a network take the form, the pace and the end of every upstream's answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from hookway.local_answers import open_local
from hookway.upstream.response import HIGH_WATER
from hookway_sdk import LocalAnswer, StreamAborted, UpstreamError, UpstreamInBand


class Collected:
    """A receiver that keeps what comes."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.ended = asyncio.Event()
        self.error: UpstreamError | None = None

    def data(self, chunk: bytes) -> None:
        self.chunks.append(chunk)

    def end(self) -> None:
        self.ended.set()

    def failed(self, error: UpstreamError) -> None:
        self.error = error
        self.ended.set()


async def pieces(*texts: bytes) -> AsyncIterator[bytes]:
    for text in texts:
        yield text


async def test_a_whole_body_is_read_at_once() -> None:
    response = open_local(LocalAnswer(b"hello", status=201, headers=(("X-Kind", "Echo"),)))
    assert (response.status, response.headers.get("x-kind")) == (201, "Echo")
    assert await response.read(100) == b"hello"


async def test_an_empty_body_is_a_body() -> None:
    assert await open_local(LocalAnswer(b"")).read(100) == b""


async def test_a_whole_body_can_be_received_in_a_stream() -> None:
    taken = Collected()
    open_local(LocalAnswer(b"hello")).start(taken)
    assert (taken.chunks, taken.ended.is_set()) == ([b"hello"], True)


async def test_pieces_arrive_one_by_one_and_then_the_end() -> None:
    taken = Collected()
    open_local(LocalAnswer(pieces(b"a", b"b"))).start(taken)
    await asyncio.wait_for(taken.ended.wait(), 5)
    assert (taken.chunks, taken.error) == ([b"a", b"b"], None)


async def test_pieces_can_be_read_whole() -> None:
    assert await open_local(LocalAnswer(pieces(b"a", b"b"))).read(100) == b"ab"


@pytest.mark.parametrize(
    ("raised", "kind"),
    [(UpstreamInBand("odd"), UpstreamInBand), (ValueError("bug in a provider"), StreamAborted)],
)
async def test_a_provider_that_breaks_in_the_middle_ends_its_stream(
    raised: Exception, kind: type[UpstreamError]
) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"a"
        raise raised

    taken = Collected()
    open_local(LocalAnswer(broken())).start(taken)
    await asyncio.wait_for(taken.ended.wait(), 5)
    assert taken.chunks == [b"a"]
    assert isinstance(taken.error, kind)
    if isinstance(raised, ValueError):
        assert taken.error.detail == "ValueError: bug in a provider"
        assert "bug" not in taken.error.message


async def test_a_slow_receiver_holds_the_provider_back() -> None:
    made = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal made
        while True:
            made += 1
            yield b"x" * 10_000
            await asyncio.sleep(0)

    response = open_local(LocalAnswer(endless()))
    taken = Collected()
    response.start(taken)
    response.pause()
    for _ in range(200):
        await asyncio.sleep(0)
    stopped_at = made
    for _ in range(200):
        await asyncio.sleep(0)
    assert made == stopped_at
    assert made * 10_000 <= HIGH_WATER
    response.resume()
    for _ in range(50):
        await asyncio.sleep(0)
    assert made > stopped_at
    assert taken.chunks
    response.abort()


async def test_nobody_pulls_on_once_the_receiver_has_left() -> None:
    closed = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x"
                await asyncio.sleep(0.001)
        finally:
            closed.set()

    response = open_local(LocalAnswer(endless()))
    taken = Collected()
    response.start(taken)
    await asyncio.sleep(0.02)
    response.abort()
    await asyncio.wait_for(closed.wait(), 5)
    count = len(taken.chunks)
    assert count > 0
    await asyncio.sleep(0.01)
    assert len(taken.chunks) == count


async def test_a_provider_that_is_held_back_is_closed_when_the_receiver_leaves() -> None:
    closed = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x"
        finally:
            closed.set()

    response = open_local(LocalAnswer(endless()))
    response.start(Collected())
    response.pause()
    await asyncio.sleep(0.01)
    response.abort()
    await asyncio.sleep(0.01)
    assert closed.is_set()
