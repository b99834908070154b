"""Connections are kept, shared by origin, given up in time, and never used again when they are doubtful."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest

from hookway.deadlines import DeadlineWheel
from hookway.upstream import TcpKeepalive, TransportSettings, UpstreamRequest, compile_head, make_transport
from hookway.upstream.dialing import Resolver, connect_any, socket_for
from hookway.upstream.protocol_transport import ProtocolTransport
from hookway.upstream.timeouts import NO_TIMEOUTS
from hookway_sdk.errors import TransportFailed, UpstreamTimeout
from hookway_sdk.testing.scripted_upstream import Cut, Delay, Malformed, Reply, ScriptedUpstream, Stall

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def test_requests_in_turn_share_one_connection(lab: Any) -> None:
    async with ScriptedUpstream(default=Reply(body=b"x")) as upstream, lab() as it:
        for _ in range(20):
            await it.ask(upstream.url, b"{}")
    assert upstream.connections == 1


async def test_requests_at_once_get_a_connection_each_and_share_them_later(lab: Any) -> None:
    async with ScriptedUpstream(default=[Delay(0.02), Reply(body=b"x")]) as upstream, lab() as it:
        for _ in range(3):
            await asyncio.gather(*(it.ask(upstream.url) for _ in range(8)))
    assert upstream.connections == 8


async def test_the_connection_used_last_is_used_first(lab: Any, kind: str) -> None:
    if kind == "aiohttp":
        pytest.skip("aiohttp's pool uses the oldest first")
    async with ScriptedUpstream(default=Reply(body=b"x")) as upstream, lab() as it:
        await asyncio.gather(*(it.ask(upstream.url) for _ in range(4)))
        before = len(upstream.requests)
        for _ in range(5):
            await it.ask(upstream.url)
    assert len({request.connection for request in upstream.requests[before:]}) == 1


@pytest.mark.parametrize(
    "reply",
    [
        Reply(body=b"ok", close=True),
        Reply(body=b"ok", version="1.0"),
        Reply(body=b"ok", framing="eof"),
        Malformed(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", close=False),
        Malformed(OK + b"garbage", close=False),
        Malformed(OK.replace(b"200 OK\r\n", b"200 OK\r\nConnection: close\r\n") + b"garbage", close=False),
    ],
    ids=["close", "1.0", "eof", "a second answer", "garbage", "garbage after the last"],
)
async def test_a_connection_that_must_not_be_used_again_is_not(lab: Any, kind: str, reply: Any) -> None:
    if kind == "aiohttp" and b"garbage" in getattr(reply, "raw", b""):
        pytest.skip("aiohttp fails the complete answer too; safe, but not what we promise")
    async with ScriptedUpstream([reply, Reply(body=b"next")]) as upstream, lab() as it:
        assert await it.ask(upstream.url) == (200, b"ok")
        assert await it.ask(upstream.url) == (200, b"next")
    assert upstream.connections == 2


async def test_bytes_that_come_later_and_unasked_close_the_idle_connection(lab: Any) -> None:
    late = [Malformed(OK, close=False), Delay(0.03), Malformed(OK.replace(b"ok", b"no"), close=False)]
    async with ScriptedUpstream([late, Reply(body=b"next")]) as upstream, lab() as it:
        assert await it.ask(upstream.url) == (200, b"ok")
        await asyncio.sleep(0.08)
        assert await it.ask(upstream.url) == (200, b"next")
    assert upstream.connections == 2


@pytest.mark.parametrize("body", [b"bytes behind the head", b"x" * 200_000])
async def test_a_head_answer_with_a_body_does_not_poison_the_next(lab: Any, kind: str, body: bytes) -> None:
    if kind == "aiohttp":
        pytest.skip("aiohttp fails the complete answer too; safe, but not what we promise")
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    async with ScriptedUpstream([Malformed(raw, close=False), Reply(body=b"next")]) as upstream, lab() as it:
        assert await it.ask(upstream.url, method="HEAD") == (200, b"")
        await asyncio.sleep(0.02)
        assert await it.ask(upstream.url) == (200, b"next")


@pytest.mark.parametrize("act", [Cut(), Cut(reset=True)])
@pytest.mark.parametrize("size", [10, 1 << 20])
async def test_a_stale_connection_is_replaced_unnoticed_by_the_caller(lab: Any, act: Any, size: int) -> None:
    async with ScriptedUpstream([Reply(), act, Reply(body=b"again")]) as upstream, lab() as it:
        await it.ask(upstream.url)
        assert await it.ask(upstream.url, b"x" * size) == (200, b"again")
    assert [len(request.body) for request in upstream.requests] == [0, size, size]
    assert upstream.connections == 2


async def test_a_request_is_tried_again_only_once(lab: Any) -> None:
    async with ScriptedUpstream([Reply(), Cut(), Cut()]) as upstream, lab() as it:
        await it.ask(upstream.url)
        with pytest.raises(TransportFailed, match="connection closed before the answer") as failed:
            await it.ask(upstream.url)
    assert failed.value.sent
    assert len(upstream.requests) == 3


@pytest.mark.parametrize(
    "act",
    [Cut(Reply(), head_bytes=1), [Reply(100), Cut()], [Delay(0.12), Cut()]],
    ids=["after one byte", "after an interim answer", "after a while of work"],
)
async def test_what_the_provider_has_begun_to_answer_is_not_sent_again(
    lab: Any, act: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("connection", "aiohttp_transport"):
        monkeypatch.setattr(f"hookway.upstream.{module}.STALE_SECONDS", 0.1)
    async with ScriptedUpstream([Reply(), act]) as upstream, lab() as it:
        await it.ask(upstream.url)
        with pytest.raises(TransportFailed):
            await it.ask(upstream.url)
    assert len(upstream.requests) == 2


async def test_a_streamed_body_is_not_sent_again(lab: Any) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"x"

    async with ScriptedUpstream([Reply(), Cut()]) as upstream, lab() as it:
        await it.ask(upstream.url)
        with pytest.raises(TransportFailed):
            await it.ask(upstream.url, body())
    assert len(upstream.requests) == 2


async def test_connections_that_the_provider_closed_are_not_tried(lab: Any) -> None:
    async with ScriptedUpstream(default=[Delay(0.01), Reply()]) as upstream, lab() as it:
        await asyncio.gather(*(it.ask(upstream.url) for _ in range(4)))
        upstream.disconnect_idle()
        await upstream.wait_closed()
        await it.ask(upstream.url)
    assert len(upstream.requests) == 5
    assert upstream.connections == 5


async def test_idle_connections_are_closed_after_their_time(lab: Any) -> None:
    async with ScriptedUpstream(default=[Delay(0.01), Reply()]) as upstream, lab(idle_timeout=0.1) as it:
        await asyncio.gather(*(it.ask(upstream.url) for _ in range(3)))
        await asyncio.sleep(0.03)
        assert upstream.open_connections == 3
        # aiohttp looks only once a keep-alive time.
        await upstream.wait_closed(3)
        await it.ask(upstream.url)
    assert upstream.connections == 4


async def test_the_number_of_connections_to_an_origin_can_be_limited(lab: Any) -> None:
    async with (
        ScriptedUpstream(default=[Delay(0.01), Reply(body=b"x")]) as upstream,
        lab(max_connections_per_origin=2) as it,
    ):
        answers = await asyncio.gather(*(it.ask(upstream.url) for _ in range(10)))
    assert answers == [(200, b"x")] * 10
    assert upstream.connections == 2


async def test_waiting_for_a_connection_counts_as_connecting_and_can_be_cancelled(lab: Any) -> None:
    async with (
        ScriptedUpstream([Stall(), Reply(body=b"x")]) as upstream,
        lab(max_connections_per_origin=1) as it,
    ):
        first = asyncio.create_task(it.ask(upstream.url))
        await upstream.wait_requests(1)
        with pytest.raises(UpstreamTimeout) as passed:
            await it.ask(upstream.url, connect=0.05)
        assert passed.value.stage == "connect"
        cancelled = asyncio.create_task(it.ask(upstream.url))
        third = asyncio.create_task(it.ask(upstream.url))
        await asyncio.sleep(0.01)
        cancelled.cancel()
        first.cancel()
        assert await third == (200, b"x")
        await asyncio.gather(first, cancelled, return_exceptions=True)


async def test_a_refused_connection_frees_the_place_of_those_who_wait(lab: Any) -> None:
    with socket.socket() as placeholder:
        placeholder.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{placeholder.getsockname()[1]}"
        async with lab(max_connections_per_origin=1) as it:
            outcomes = await asyncio.gather(*(it.ask(url) for _ in range(4)), return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["transport error: connection refused"] * 4
    assert not any(outcome.sent for outcome in outcomes if isinstance(outcome, TransportFailed))


async def test_a_name_that_does_not_exist_is_a_transport_failure(lab: Any) -> None:
    async with lab() as it:
        with pytest.raises(TransportFailed, match="name resolution failed") as failed:
            await it.ask("http://nowhere.invalid/")
    assert not failed.value.sent


async def test_a_closed_transport_ends_what_is_running_and_refuses_more(lab: Any) -> None:
    async with ScriptedUpstream([Reply(), Stall(), Stall(Reply(body=b"abc"), after_bytes=1)]) as upstream:
        async with lab() as it:
            await it.ask(upstream.url)
            waiting = asyncio.create_task(it.ask(upstream.url))
            await upstream.wait_requests(2)
            reading = await it.open(upstream.url)
            await it.transport.close()
            outcomes = await asyncio.gather(waiting, reading.read(10), return_exceptions=True)
            assert all(isinstance(outcome, TransportFailed) for outcome in outcomes)
            with pytest.raises(TransportFailed, match="shutting down"):
                await it.ask(upstream.url)
        await upstream.wait_closed()


# ── the protocol transport's own pool ───────────────────────────────────────────────────────


async def test_only_so_many_idle_connections_are_kept_and_empty_pools_are_forgotten() -> None:
    wheel = DeadlineWheel(0.01)
    transport = ProtocolTransport(wheel, TransportSettings(max_idle_per_origin=2, idle_timeout=0.05))
    async with ScriptedUpstream(default=[Delay(0.01), Reply()]) as upstream:
        head = compile_head("GET", upstream.url)

        async def ask() -> None:
            response = await transport.open(UpstreamRequest(head), NO_TIMEOUTS)
            await response.read(0)

        await asyncio.gather(*(ask() for _ in range(5)))
        assert (transport.pool.idle_count, transport.pool.busy_count) == (2, 0)
        await upstream.wait_closed()
        assert transport.pool.idle_count == 0
        assert transport.pool.origin_count == 0
    await transport.close()
    wheel.close()


async def test_the_first_address_that_answers_is_taken() -> None:
    async with ScriptedUpstream() as upstream:
        answering = (socket.AF_INET, ("127.0.0.1", upstream.port))
        with socket.socket() as placeholder:
            placeholder.bind(("127.0.0.1", 0))
            refusing = (socket.AF_INET, placeholder.getsockname())
            # 192.0.2.0/24 is for documentation (RFC 5737): nobody answers there, or the way is refused.
            silent = (socket.AF_INET, ("192.0.2.1", 9))
            lists = ([answering], [refusing, answering], [silent, answering], [silent, refusing, answering])
            for addresses in lists:
                with await connect_any(addresses, stagger=0.02) as connected:
                    assert connected.getpeername() == answering[1]
            with pytest.raises(ConnectionRefusedError):
                await connect_any([refusing, refusing])


def test_sockets_do_not_delay_packets_and_notice_a_peer_that_is_gone() -> None:
    with socket_for(socket.AF_INET, TcpKeepalive(60, 30, 5)) as made:
        assert made.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert made.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        options = [getattr(socket, name) for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT")]
        assert [made.getsockopt(socket.IPPROTO_TCP, option) for option in options] == [60, 30, 5]
    with socket_for(socket.AF_INET, None) as made:
        assert not made.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


async def test_a_name_is_looked_up_once_for_all_who_ask_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    asked: list[str] = []
    loop = asyncio.get_running_loop()
    resolver = Resolver(lambda: now[0], seconds=10)

    async def getaddrinfo(host: str, port: int, **_: Any) -> Any:
        asked.append(host)
        await asyncio.sleep(0.01)
        v6 = (socket.AF_INET6, 1, 6, "", ("2001:db8::1", port, 0, 0))
        v4 = [(socket.AF_INET, 1, 6, "", (f"192.0.2.{last}", port)) for last in (1, 2)]
        return [*v4, v6]

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
    gone, *others = [asyncio.create_task(resolver.resolve("a.example", 80)) for _ in range(5)]
    await asyncio.sleep(0)
    gone.cancel()
    answers = await asyncio.gather(*others)
    assert [address[1][0] for address in answers[0]] == ["192.0.2.1", "2001:db8::1", "192.0.2.2"]
    now[0] = 9.0
    await resolver.resolve("a.example", 80)
    assert asked == ["a.example"]
    now[0] = 11.0
    await resolver.resolve("a.example", 80)
    assert asked == ["a.example"] * 2
    assert await resolver.resolve("::1", 80) == [(socket.AF_INET6, ("::1", 80, 0, 0))]
    assert len(asked) == 2


async def test_the_fast_transport_is_made_where_httptools_is_installed() -> None:
    transport = make_transport(DeadlineWheel())
    assert isinstance(transport, ProtocolTransport)
    await transport.close()


def test_the_fallback_works_where_httptools_is_missing() -> None:
    code = """
import asyncio, sys
sys.modules["httptools"] = None
from hookway.deadlines import DeadlineWheel
from hookway.upstream import NO_TIMEOUTS, UpstreamRequest, compile_head, make_transport
from hookway_sdk.testing.scripted_upstream import Reply, ScriptedUpstream

async def main():
    transport = make_transport(DeadlineWheel())
    async with ScriptedUpstream([Reply(body=b"x")]) as upstream:
        response = await transport.open(UpstreamRequest(compile_head("GET", upstream.url)), NO_TIMEOUTS)
        print(type(transport).__name__, await response.read(1))
    await transport.close()

asyncio.run(main())
"""
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", code]
    ran = subprocess.run(command, capture_output=True, text=True, env=environ, check=False)
    assert (ran.stdout, ran.stderr) == ("AiohttpTransport b'x'\n", "")
