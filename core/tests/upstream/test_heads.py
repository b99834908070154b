"""Heads that llhttp has accepted are taken apart here: both must read the same fields."""

from __future__ import annotations

import gzip
import random

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookway.deadlines import DeadlineWheel
from hookway.upstream import NO_TIMEOUTS, UpstreamRequest, compile_head
from hookway.upstream.protocol_transport import ProtocolTransport
from hookway.upstream.response import fields_of
from hookway_sdk.testing.scripted_upstream import Malformed, ScriptedUpstream

HEADS = [
    b"HTTP/1.1 200 OK\r\ncontent-type: a/b\r\nContent-Length: 5\r\nx-a: v \t\r\nempty:\r\ny: z\r\n\r\nhello",
    b"HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\nx: a\r\n b\r\nx: y\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-a: \xe9\r\n\r\n",
    b"HTTP/1.0 404 Not Found\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
]
BITS = [
    b"\r",
    b"\n",
    b"\r\n",
    b" ",
    b"\t",
    b":",
    b"\0",
    b"a",
    b"\r\n\r\n",
    b"\x80",
    b"\r\n ",
    b"-",
    b"H",
    b"1",
]


class Heard:
    """What llhttp says of the first head."""

    def __init__(self) -> None:
        self.fields: list[tuple[bytes, bytes]] = []
        self.complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.complete:
            self.fields.append((name.lower(), value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        self.complete = True


def heard(data: bytes) -> Heard:
    found = Heard()
    try:
        httptools.HttpResponseParser(found).feed_data(data)
    except httptools.HttpParserError:
        pass
    return found


@given(st.sampled_from(HEADS), st.randoms(use_true_random=False), st.integers(0, 4))
def test_a_head_that_is_accepted_has_the_fields_that_the_parser_saw(
    head: bytes, chance: random.Random, changes: int
) -> None:
    data = bytearray(head)
    for _ in range(changes):
        at, bit = chance.randrange(len(data) + 1), chance.choice(BITS)
        data[at : at + chance.choice((0, 0, 1, len(bit), 5))] = chance.choice((bit, bit, b""))
    found = heard(bytes(data))
    if found.complete:
        begun = bytes(data).lstrip(b"\r\n")
        assert fields_of(begun[: begun.index(b"\r\n\r\n")]) == found.fields


def test_the_heads_here_are_accepted_unless_they_are_folded() -> None:
    assert [heard(head).complete for head in HEADS] == [True, False, True, True, True]


@pytest.mark.parametrize("split", [1, 7, 10_000])
@pytest.mark.parametrize("turn", [1, -1], ids=["coding first", "framing first"])
async def test_a_body_that_is_compressed_and_chunked_is_unpacked(turn: int, split: int) -> None:
    packed = gzip.compress(b"hello")
    lines = [b"Content-Encoding: gzip\r\n", b"Transfer-Encoding: chunked\r\n"][::turn]
    body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(packed), packed)
    answer = Malformed(b"HTTP/1.1 200 OK\r\n" + b"".join(lines) + b"\r\n" + body, split_every=split)
    async with ScriptedUpstream([answer]) as upstream:
        transport = ProtocolTransport(DeadlineWheel(0.01))
        response = await transport.open(UpstreamRequest(compile_head("GET", upstream.url)), NO_TIMEOUTS)
        assert await response.read(1000) == b"hello"
        assert response.headers.get("content-encoding") is None
        await transport.close()
