"""An exchange: what is sent arrives as given, and what is answered comes back as it was."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from hookway.upstream import UpstreamRequest, compile_head
from hookway.upstream.timeouts import NO_TIMEOUTS
from hookway_sdk.errors import (
    ClientDisconnected,
    InvalidUpstreamConfig,
    TransportFailed,
    UpstreamTooLarge,
    UpstreamUndecodable,
)
from hookway_sdk.testing.scripted_upstream import Malformed, Reply, ScriptedUpstream, json_reply

MEGABYTE = bytes(range(256)) * 4096


async def test_status_headers_and_body_come_back_as_the_provider_sent_them(lab: Any) -> None:
    headers = [("X-One", "a"), ("Set-Cookie", "b=1"), ("set-cookie", "c=2"), ("X-Empty", "")]
    async with ScriptedUpstream([json_reply({"ok": 1}, 418, headers)]) as upstream, lab() as it:
        response = await it.open(upstream.url + "/v1/chat?a=b%20c", b'{"q":1}', headers=[("X-Key", "k")])
        assert (response.status, response.version) == (418, "1.1")
        assert response.headers.get("x-one") == "a"
        assert response.headers.getall("Set-Cookie") == ["b=1", "c=2"]
        assert response.headers.get("x-empty") == ""
        assert response.headers.get("x-none") is None
        assert "x-ONE" in response.headers
        assert await response.read(100) == b'{"ok":1}'
    request = upstream.requests[0]
    assert (request.method, request.target, request.body) == ("POST", "/v1/chat?a=b%20c", b'{"q":1}')
    names = sorted(name.lower() for name, _ in request.headers)
    assert names == ["accept-encoding", "content-length", "host", "x-key", "x-static"]
    assert request.header("accept-encoding") == "identity"
    assert request.header("host") == upstream.url.removeprefix("http://")


@pytest.mark.parametrize("framing", ["length", "chunked", "eof"])
@pytest.mark.parametrize("split_every", [None, 1, 7])
async def test_a_body_is_the_same_in_every_framing_and_split(
    lab: Any, framing: Any, split_every: Any
) -> None:
    pieces = [b"data: \xc3\xa4\n\n", b"\r\n0\r\n\r\n", b"x" * 40]
    reply = Reply(body=pieces, framing=framing, split_every=split_every)
    async with ScriptedUpstream([reply]) as upstream, lab() as it:
        assert await it.ask(upstream.url) == (200, b"".join(pieces))


async def test_one_megabyte_goes_both_ways(lab: Any) -> None:
    async with ScriptedUpstream([Reply(body=MEGABYTE)]) as upstream, lab() as it:
        assert await it.ask(upstream.url, MEGABYTE) == (200, MEGABYTE)
    assert upstream.requests[0].body == MEGABYTE


@pytest.mark.parametrize("length", [None, 1000])
async def test_a_body_can_be_streamed_with_and_without_a_length(lab: Any, length: int | None) -> None:
    closed = []

    async def body() -> AsyncIterator[bytes]:
        try:
            for _ in range(10):
                yield b"x" * 100
                await asyncio.sleep(0)
                yield b""
        finally:
            closed.append(True)

    async with ScriptedUpstream(default=Reply(body=b"ok")) as upstream, lab() as it:
        assert await it.ask(upstream.url, body(), length=length) == (200, b"ok")
        assert await it.ask(upstream.url) == (200, b"ok")
    assert upstream.requests[0].body == b"x" * 1000
    assert upstream.requests[0].header("content-length") == (None if length is None else "1000")
    assert closed == [True]
    assert upstream.connections == 1


@pytest.mark.parametrize("length", [5, 50])
async def test_a_streamed_body_of_another_length_than_announced_fails(lab: Any, length: int) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"x" * 10
        await asyncio.sleep(0.01)

    upstream = ScriptedUpstream(default=Reply())
    async with upstream, lab() as it:
        with pytest.raises(TransportFailed, match="than announced"):
            await it.ask(upstream.url, body(), length=length)
    assert upstream.requests == []


async def test_an_error_of_the_request_body_is_the_error_of_the_exchange(lab: Any) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.sleep(0.01)
        raise ClientDisconnected

    async with ScriptedUpstream() as upstream, lab() as it:
        with pytest.raises(ClientDisconnected):
            await it.ask(upstream.url, body())
    assert upstream.requests == []


@pytest.mark.parametrize("streamed", [False, True])
async def test_an_early_refusal_is_received_while_the_body_is_being_sent(lab: Any, streamed: bool) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65536
            await asyncio.sleep(0.001)

    body = endless() if streamed else b"x" * (64 << 20)
    async with ScriptedUpstream([Reply(413, body=b"too large")], read_body=False) as upstream, lab() as it:
        assert await it.ask(upstream.url, body) == (413, b"too large")


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
async def test_an_empty_body_is_announced_only_by_methods_that_have_one(lab: Any, method: str) -> None:
    async with ScriptedUpstream([Reply()]) as upstream, lab() as it:
        assert await it.ask(upstream.url, method=method) == (200, b"")
    assert upstream.requests[0].header("content-length") == ("0" if method == "PUT" else None)
    assert upstream.requests[0].header("transfer-encoding") is None


async def test_answers_without_a_body_leave_the_connection_usable(lab: Any) -> None:
    announced = [Reply(body=b"abc"), Reply(body=[b"abc"], framing="chunked")]
    script = [*announced, Reply(204), Reply(304), Reply(body=b"")]
    async with ScriptedUpstream(script) as upstream, lab() as it:
        head = await it.open(upstream.url, method="HEAD")
        assert head.headers.get("content-length") == "3"
        assert await head.read(0) == b""
        assert await it.ask(upstream.url, method="HEAD") == (200, b"")
        assert await it.ask(upstream.url) == (204, b"")
        assert await it.ask(upstream.url) == (304, b"")
        assert await it.ask(upstream.url) == (200, b"")
    assert upstream.connections == 1


async def test_interim_answers_are_skipped(lab: Any) -> None:
    script = [[Reply(100), Reply(103, [("Link", "x")]), Reply(body=b"ok")], Reply(body=b"next")]
    async with ScriptedUpstream(script) as upstream, lab() as it:
        response = await it.open(upstream.url)
        assert "link" not in response.headers
        assert (response.status, await response.read(10)) == (200, b"ok")
        assert await it.ask(upstream.url) == (200, b"next")


async def test_redirects_are_answers_and_cookies_are_not_kept(lab: Any) -> None:
    reply = Reply(302, [("Location", "http://192.0.2.1/"), ("Set-Cookie", "a=1")])
    async with ScriptedUpstream([reply, Reply()]) as upstream, lab() as it:
        assert (await it.ask(upstream.url))[0] == 302
        await it.ask(upstream.url)
    assert upstream.requests[1].header("cookie") is None


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_an_answer_over_the_limit_is_refused_and_the_connection_closed(lab: Any, framing: Any) -> None:
    reply = Reply(body=[b"x" * 600, b"x" * 600], framing=framing)
    async with ScriptedUpstream([reply, Reply(body=b"x" * 1000)]) as upstream, lab() as it:
        with pytest.raises(UpstreamTooLarge, match="1000 bytes"):
            await it.ask(upstream.url, limit=1000)
        assert await it.ask(upstream.url, limit=1000) == (200, b"x" * 1000)


def _raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        ("gzip", gzip.compress(MEGABYTE)),
        ("x-gzip", gzip.compress(MEGABYTE[:500]) + gzip.compress(MEGABYTE[500:])),
        ("deflate", zlib.compress(MEGABYTE)),
        ("deflate", _raw_deflate(MEGABYTE)),
    ],
)
@pytest.mark.parametrize("pushed", [False, True])
async def test_a_compressed_answer_is_decoded(
    lab: Any, notes: Any, coding: str, packed: bytes, pushed: bool
) -> None:
    reply = Reply(200, [("Content-Encoding", coding)], packed, split=[60, 61, 200, 2000])
    async with ScriptedUpstream([reply, Reply(body=b"next")]) as upstream, lab() as it:
        response = await it.open(upstream.url)
        assert response.headers.get("content-encoding") is None
        assert response.headers.get("content-length") is None
        if pushed:
            receiver = notes()
            response.start(receiver)
            await receiver.over.wait()
            assert receiver.error is None
            assert receiver.body == MEGABYTE
        else:
            assert await response.read(len(MEGABYTE)) == MEGABYTE
        assert await it.ask(upstream.url) == (200, b"next")
    assert upstream.connections == 1


async def test_a_compressed_answer_stays_as_it_is_where_the_caller_wants_that(lab: Any) -> None:
    packed = gzip.compress(b"abc")
    script = [Reply(200, [("Content-Encoding", coding)], packed) for coding in ("gzip", "br")]
    async with ScriptedUpstream(script) as upstream, lab() as it:
        response = await it.open(upstream.url, decode=False)
        assert response.headers.get("content-encoding") == "gzip"
        assert await response.read(100) == packed
        unknown = await it.open(upstream.url)
        assert unknown.headers.get("content-encoding") == "br"
        assert await unknown.read(100) == packed


@pytest.mark.parametrize(
    ("packed", "words"),
    [
        (b"this is not gzip", "invalid gzip data"),
        (gzip.compress(b"abc" * 100)[:-9], "the gzip data ends early"),
    ],
)
async def test_broken_compression_is_an_undecodable_answer(lab: Any, packed: bytes, words: str) -> None:
    reply = Reply(200, [("Content-Encoding", "gzip")], packed)
    async with ScriptedUpstream([reply]) as upstream, lab() as it:
        with pytest.raises(UpstreamUndecodable, match=words):
            await it.ask(upstream.url)


async def test_a_decompression_bomb_is_stopped_at_the_limit_and_in_a_stream(lab: Any, notes: Any) -> None:
    packer = zlib.compressobj(9, wbits=31)
    bomb = packer.compress(bytes(64 << 20)) + packer.flush()
    script = [Reply(200, [("Content-Encoding", "gzip")], bomb)] * 2
    async with ScriptedUpstream(script) as upstream, lab() as it:
        with pytest.raises(UpstreamTooLarge):
            await it.ask(upstream.url, limit=1 << 20)
        receiver = notes()
        (await it.open(upstream.url)).start(receiver)
        await receiver.over.wait()
    assert isinstance(receiver.error, UpstreamUndecodable)
    assert len(receiver.body) < 17 << 20
    assert max(len(chunk) for chunk in receiver.chunks) <= 65536


@pytest.mark.parametrize(
    "header",
    [
        ("x-a", "b\r\nx-c: d"),
        ("x-a", "b\nc"),
        ("x-a", "b\0c"),
        ("x-a\r\nx-b", "c"),
        ("x a", "c"),
        ("", "c"),
        ("x-a", "b\u2028"),
        ("Transfer-Encoding", "chunked"),
        ("content-length", "3"),
        ("Host", "elsewhere"),
    ],
)
async def test_headers_that_could_change_the_request_are_refused(lab: Any, header: tuple[str, str]) -> None:
    async with ScriptedUpstream() as upstream, lab() as it:
        with pytest.raises(InvalidUpstreamConfig) as refused:
            await it.ask(upstream.url, headers=[header])
    assert header[1] not in refused.value.message or len(header[1]) == 1
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"SSH-2.0-OpenSSH\r\n", "malformed response"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", "malformed response"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", "malformed response"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "malformed response"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "malformed response"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc", "malformed response"),
        (b"HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nabc", "malformed response"),
        (b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n", "malformed response"),
        (b"HTTP/1.1 20", "connection closed"),
    ],
)
async def test_an_answer_that_is_not_http_is_a_transport_failure(lab: Any, raw: bytes, words: str) -> None:
    async with ScriptedUpstream([Malformed(raw)]) as upstream, lab() as it:
        with pytest.raises(TransportFailed, match=words) as failed:
            await it.ask(upstream.url)
    assert failed.value.sent


@pytest.mark.parametrize(
    "head",
    [
        b"X: " + b"a" * 70_000,
        b"".join(b"X-%d: %b\r\n" % (index, b"a" * 1000) for index in range(70)),
        b"".join(b"X: a\r\n" for _ in range(300)),
    ],
    ids=["one long field", "many fields of one kilobyte", "too many fields"],
)
async def test_a_head_over_the_bound_is_refused(lab: Any, head: bytes) -> None:
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + head.removesuffix(b"\r\n") + b"\r\n\r\n"
    async with ScriptedUpstream([Malformed(raw)]) as upstream, lab() as it:
        with pytest.raises(TransportFailed, match="malformed response"):
            await it.ask(upstream.url)


async def test_a_head_under_the_bound_is_accepted(lab: Any) -> None:
    headers = [(f"X-{index}", "a" * 500) for index in range(100)]
    async with ScriptedUpstream([Reply(200, headers, split_every=9000)]) as upstream, lab() as it:
        response = await it.open(upstream.url)
        assert len(response.headers) == 101
        await response.read(0)


async def test_a_static_host_and_encoding_replace_the_usual_ones(lab: Any) -> None:
    async with ScriptedUpstream([Reply()]) as upstream, lab() as it:
        head = compile_head("GET", upstream.url, [("Host", "other.example"), ("Accept-Encoding", "gzip")])
        response = await it.transport.open(UpstreamRequest(head), NO_TIMEOUTS)
        await response.read(0)
    request = upstream.requests[0]
    assert request.header_values("host") == ["other.example"]
    assert request.header_values("accept-encoding") == ["gzip"]
