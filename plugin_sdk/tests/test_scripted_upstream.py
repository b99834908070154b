"""The scripted upstream puts on the wire what its script says, and keeps what it was sent."""

from __future__ import annotations

import asyncio
import contextlib
import time

import pytest

from hookway_sdk.testing.scripted_upstream import (
    Cut,
    Delay,
    Malformed,
    RecordedRequest,
    Reply,
    ScriptedUpstream,
    Stall,
    json_reply,
    sse_reply,
    storm,
)

GET = b"GET /v1/models?a=1 HTTP/1.1\r\nHost: x\r\n\r\n"


async def exchange(upstream: ScriptedUpstream, *requests: bytes) -> bytes:
    """Send requests over one connection, and return all bytes until the server closes or falls silent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", upstream.port)
    answer = b""
    try:
        for request in requests:
            writer.write(request)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.08):
                    while data := await reader.read(65536):
                        answer += data
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
    return answer


async def test_a_request_is_recorded_with_its_headers_body_and_connection() -> None:
    async with ScriptedUpstream(default=json_reply({"ok": True})) as upstream:
        body = b'{"model":"m"}'
        head = b"POST /v1/chat HTTP/1.1\r\nHost: x\r\nX-Tag: a\r\nx-tag: b\r\nContent-Length: 13\r\n\r\n"
        before = time.monotonic()
        await exchange(upstream, head + body, GET)
        await exchange(upstream, GET)
    first, second, third = upstream.requests
    assert (first.method, first.target, first.json()) == ("POST", "/v1/chat", {"model": "m"})
    assert first.header("HOST") == "x"
    assert first.header_values("x-tag") == ["a", "b"]
    assert [first.connection, second.connection, third.connection] == [1, 1, 2]
    assert upstream.connections == 2
    assert before <= first.time <= second.time <= time.monotonic()


async def test_a_chunked_request_body_is_put_together() -> None:
    async with ScriptedUpstream([Reply()]) as upstream:
        head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        await exchange(upstream, head + b"3\r\nabc\r\n", b"A\r\n0123456789\r\n0\r\n\r\n")
    assert upstream.requests[0].body == b"abc0123456789"


async def test_each_framing_is_on_the_wire_as_named() -> None:
    script = [Reply(body=[b"ab", b"c"], framing=framing) for framing in ("length", "chunked", "eof")]
    async with ScriptedUpstream(script) as upstream:
        length, chunked, eof = [await exchange(upstream, GET) for _ in script]
    assert length == b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"
    assert chunked == b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    assert eof == b"HTTP/1.1 200 OK\r\n\r\nabc"


async def test_no_body_follows_head_204_and_304() -> None:
    script = [Reply(body=b"abc"), Reply(204, body=b"x"), Reply(304, body=b"x")]
    async with ScriptedUpstream(script) as upstream:
        head = await exchange(upstream, b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
        rest = [await exchange(upstream, GET) for _ in range(2)]
    assert head == b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"
    assert rest == [b"HTTP/1.1 204 No Content\r\n\r\n", b"HTTP/1.1 304 Status\r\n\r\n"]


async def test_an_event_stream_is_one_chunk_a_frame_with_pauses_between() -> None:
    async with ScriptedUpstream([sse_reply([b"data: 1\n\n", b"data: 2\n\n"], delay=0.03)]) as upstream:
        began = time.monotonic()
        answer = await exchange(upstream, GET + b"")
        assert time.monotonic() - began >= 0.06
    assert b"text/event-stream" in answer
    assert answer.endswith(b"9\r\ndata: 1\n\n\r\n9\r\ndata: 2\n\n\r\ne\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")


async def test_writes_end_at_the_positions_the_script_names() -> None:
    async def reads(reply: Reply) -> list[int]:
        async with ScriptedUpstream([reply]) as upstream:
            sizes: list[int] = []
            complete = asyncio.Event()

            class Client(asyncio.Protocol):
                def data_received(self, data: bytes) -> None:
                    sizes.append(len(data))

                    if sum(sizes) == 41:
                        complete.set()

            loop = asyncio.get_running_loop()
            transport, _ = await loop.create_connection(Client, "127.0.0.1", upstream.port)
            transport.write(GET)
            await complete.wait()
            transport.close()
        return sizes

    assert await reads(Reply(body=b"abc", split=[1, 7, 39])) == [1, 6, 32, 2]
    assert set(await reads(Reply(body=b"abc", split_every=20))) == {20, 1}


@pytest.mark.parametrize(
    ("cut", "seen"),
    [
        (Cut(), b""),
        (Cut(Reply(body=b"abc"), head_bytes=9), b"HTTP/1.1 "),
        (Cut(Reply(body=b"abc"), after_bytes=2), b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab"),
        (
            Cut(Reply(body=[b"ab", b"cdef"], framing="chunked"), after_bytes=4),
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n4\r\ncd",
        ),
    ],
)
async def test_a_cut_ends_the_connection_where_the_script_says(cut: Cut, seen: bytes) -> None:
    async with ScriptedUpstream([cut]) as upstream:
        reader, writer = await asyncio.open_connection("127.0.0.1", upstream.port)
        writer.write(GET)
        assert await reader.read() == seen
        writer.close()


async def test_a_cut_may_reset_the_connection() -> None:
    async with ScriptedUpstream([Cut(reset=True)]) as upstream:
        reader, writer = await asyncio.open_connection("127.0.0.1", upstream.port)
        writer.write(GET)
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()


async def test_malformed_bytes_are_sent_as_they_are() -> None:
    async with ScriptedUpstream([Malformed(b"\x00SSH-2.0", close=False), Malformed(b"!")]) as upstream:
        assert await exchange(upstream, GET, GET) == b"\x00SSH-2.0!"


async def test_a_departed_client_is_reported_with_how_long_it_stayed() -> None:
    async with ScriptedUpstream([Stall(Reply(body=b"abcdef"), after_bytes=4)]) as upstream:
        reader, writer = await asyncio.open_connection("127.0.0.1", upstream.port)
        writer.write(GET)
        await reader.readuntil(b"abcd")
        await asyncio.sleep(0.05)
        writer.close()
        departure = await upstream.wait_disconnect(1)
    assert departure.request.target == "/v1/models?a=1"
    assert departure.sent == 4
    assert 0.04 < departure.after < 0.5


async def test_a_client_that_leaves_after_the_whole_reply_is_no_departure() -> None:
    async with ScriptedUpstream([Reply(body=b"abc")]) as upstream:
        await exchange(upstream, GET)
        await upstream.wait_closed()
        with pytest.raises(TimeoutError):
            await upstream.wait_disconnect(0.02)


async def test_a_function_decides_and_a_list_of_acts_answers_one_request() -> None:
    async def script(request: RecordedRequest) -> list[Delay | Reply]:
        return [Delay(0.03), Reply(103), json_reply({"target": request.target})]

    async with ScriptedUpstream(script) as upstream:
        began = time.monotonic()
        answer = await exchange(upstream, GET)
        assert time.monotonic() - began >= 0.03
    assert answer.startswith(b"HTTP/1.1 103 Status\r\n\r\nHTTP/1.1 200 OK\r\n")
    assert answer.endswith(b'{"target":"/v1/models?a=1"}')


async def test_a_storm_refuses_and_then_the_script_goes_on() -> None:
    async with ScriptedUpstream(storm(503, count=2, retry_after=7)) as upstream:
        upstream.push(Reply())
        first, second, third = [await exchange(upstream, GET) for _ in range(3)]
    assert first == second
    assert first.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nRetry-After: 7\r\n" in first
    assert third.startswith(b"HTTP/1.1 200 ")


async def test_a_refusal_can_come_before_the_body_is_read() -> None:
    async with ScriptedUpstream([Reply(413, body=b"no")], read_body=False) as upstream:
        reader, writer = await asyncio.open_connection("127.0.0.1", upstream.port)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1000)
        assert (await reader.read()).endswith(b"\r\n\r\nno")
        writer.close()


@pytest.mark.parametrize(
    ("request_bytes", "fault"),
    [
        (GET, "no reply left for GET /v1/models"),
        (b"NONSENSE\r\n\r\n", "not a request head"),
        (b"\x16\x03\x01", "not a request head"),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "two framings"),
    ],
)
async def test_what_nobody_expected_fails_the_test_at_the_end(request_bytes: bytes, fault: str) -> None:
    upstream = ScriptedUpstream()
    await upstream.__aenter__()
    await exchange(upstream, request_bytes)
    with pytest.raises(AssertionError, match=fault):
        await upstream.__aexit__(None, None, None)


async def test_a_script_that_raises_fails_the_test_at_the_end() -> None:
    def script(request: RecordedRequest) -> Reply:
        raise KeyError("model")

    upstream = ScriptedUpstream(script)
    await upstream.__aenter__()
    assert (await exchange(upstream, GET)).startswith(b"HTTP/1.1 500 ")
    with pytest.raises(AssertionError, match="the script raised for GET"):
        await upstream.__aexit__(None, None, None)
