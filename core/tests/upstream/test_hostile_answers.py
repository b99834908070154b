"""Whatever bytes come, an exchange ends, with the answer or with an error of ours."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hookway.deadlines import DeadlineWheel
from hookway.upstream import NO_TIMEOUTS, UpstreamRequest, compile_head
from hookway.upstream.decoding import decoder_for
from hookway.upstream.protocol_transport import ProtocolTransport
from hookway_sdk.errors import TransportFailed, UpstreamError, UpstreamUndecodable
from hookway_sdk.testing.scripted_upstream import Malformed, Reply, ScriptedUpstream

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
PIECES = st.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 204 No\r\n",
        b"HTTP/1.1 100 Go\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n",
        b"Content-Length: 3\r\n",
        b"Content-Length: 0\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Content-Encoding: gzip\r\n",
        b"Connection: close\r\n",
        b"\r\n",
        b"\n",
        b"3\r\nabc\r\n",
        b"0\r\n\r\n",
        b"0\r\nTrailer: x\r\n\r\n",
        b"5;ext=1\r\n",
        gzip.compress(b"abc"),
        b"abc",
        b"\x00",
    ]
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(PIECES, max_size=8), st.integers(1, 40), st.booleans())
def test_any_mixture_of_pieces_ends_the_exchange(pieces: list[bytes], split: int, head: bool) -> None:
    async def scenario() -> None:
        wheel = DeadlineWheel(0.01)
        transport = ProtocolTransport(wheel)
        script = [Malformed(b"".join(pieces), split_every=split), Reply(body=b"next")]
        async with ScriptedUpstream(script) as upstream, asyncio.timeout(5):
            request = UpstreamRequest(compile_head("HEAD" if head else "GET", upstream.url))
            try:
                response = await transport.open(request, NO_TIMEOUTS)
                assert 200 <= response.status < 1000
                await response.read(1000)
            except UpstreamError:
                pass
            # Bytes that arrive only after the next request was sent cannot be told from its answer: wait.
            await upstream.wait_closed()
            await asyncio.sleep(0.001)
            following = await transport.open(UpstreamRequest(compile_head("GET", upstream.url)), NO_TIMEOUTS)
            # Whatever went before, the next request is answered with its own answer.
            assert await following.read(1000) == b"next"
        await transport.close()
        wheel.close()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 400_000,
        b"HTTP/1.1 200 " + b"a" * 400_000,
        b"HTTP/1.1 103 Hints\r\n\r\n" * 20_000,
        b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 70_000,
    ],
    ids=["a field", "a reason", "interim answers", "fields"],
)
async def test_a_head_without_end_is_given_up(lab: Any, kind: str, raw: bytes) -> None:
    if kind == "aiohttp" and raw.startswith(b"HTTP/1.1 103"):
        pytest.skip("aiohttp reads interim answers without end; the head deadline ends it")
    async with ScriptedUpstream([Malformed(raw, close=False)]) as upstream, lab() as it:
        with pytest.raises(TransportFailed, match="malformed response"):
            await it.ask(upstream.url, head=5)


@pytest.mark.parametrize(
    "tail",
    [b"1;" + b"a" * 400_000, b"0\r\n" + b"X: a\r\n" * 70_000, b"0\r\nX: " + b"a" * 400_000],
    ids=["a chunk extension", "trailers", "a trailer"],
)
async def test_framing_without_end_is_given_up(lab: Any, kind: str, tail: bytes) -> None:
    if kind == "aiohttp":
        pytest.skip("aiohttp does not count these; the total deadline ends it")
    act = Malformed(HEAD + tail, close=False, split_every=50_000)
    async with ScriptedUpstream([act]) as upstream, lab() as it:
        with pytest.raises(TransportFailed, match="malformed response"):
            await it.ask(upstream.url, total=5)


async def test_trailers_are_read_over(lab: Any) -> None:
    raw = HEAD + b"3\r\nabc\r\n0\r\nX-Sum: 1\r\nY: 2\r\n\r\n"
    async with ScriptedUpstream([Malformed(raw, close=False), Reply(body=b"next")]) as upstream, lab() as it:
        response = await it.open(upstream.url)
        assert await response.read(10) == b"abc"
        assert "x-sum" not in response.headers
        assert await it.ask(upstream.url) == (200, b"next")
    assert upstream.connections == 1


def _raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


PACKERS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("gzip", gzip.compress),
    ("deflate", zlib.compress),
    ("deflate", _raw_deflate),
]


@given(st.binary(max_size=3000), st.integers(1, 60), st.sampled_from(PACKERS), st.integers(1, 300))
def test_decoding_is_the_inverse_of_packing_in_any_split(
    data: bytes, split: int, packer: tuple[str, Callable[[bytes], bytes]], times: int
) -> None:
    coding, pack = packer
    decoder = decoder_for(coding)
    assert decoder is not None
    plain = data * times
    packed = pack(plain)
    out: list[bytes] = []
    for start in range(0, len(packed), split):
        decoder.push(packed[start : start + split])
        while piece := decoder.pull():
            assert len(piece) <= 65536
            out.append(piece)
    decoder.close()
    assert b"".join(out) == plain


@given(st.binary(max_size=200), st.sampled_from(["gzip", "deflate"]))
def test_garbage_is_undecodable_and_nothing_else(data: bytes, coding: str) -> None:
    decoder = decoder_for(coding)
    assert decoder is not None
    try:
        decoder.push(data)
        while decoder.pull():
            pass
        decoder.close()
    except UpstreamUndecodable:
        return
