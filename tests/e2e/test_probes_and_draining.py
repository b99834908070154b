"""Probes, and a stop that finishes what has begun."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest
from callers import HELLO, ID, asynchronous, ended
from openai_wire import stream
from scripted_provider import Provider
from watched import Watched

from hookway.testing import HttpReply, RunningGateway
from hookway_sdk.testing.scripted_upstream import Stall


@pytest.fixture(scope="module")
def running(start_shared: Watched) -> RunningGateway:
    return start_shared()


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/livez", "ok"),
        ("/readyz", "ok"),
        ("/livez?verbose", "[+]ping ok\n[+]shutdown ok\nlivez check passed\n"),
        ("/readyz?verbose", "[+]shutdown ok\n[+]config ok\nreadyz check passed\n"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_probe_needs_no_key(running: RunningGateway, method: str, path: str, text: str) -> None:
    got = running.request(method, path, key=None)
    assert (got.status, got.body.decode()) == (200, text if method == "GET" else "")
    assert got.headers["content-length"] == str(len(text))
    assert got.headers["content-type"] == "text/plain; charset=utf-8"
    assert got.headers["x-content-type-options"] == "nosniff"
    assert got.headers[ID]


def stopping(start: Watched, provider: Provider, drain: float) -> RunningGateway:
    fast = {"name": "fast", "model": "openai/gpt-4o", **provider.account()}
    return start({"shutdown": {"min_drain_secs": drain}}, resources={"models": [fast]})


async def test_a_stream_that_runs_is_finished_before_the_end(start: Watched, provider: Provider) -> None:
    running = stopping(start, provider, 0)
    provider.answers(stream(*["word"] * 20, delay=0.02))
    async with asynchronous(running) as client:
        events = await client.chat.completions.create(
            model="fast", messages=HELLO, stream=True, extra_headers={ID: "drain-1"}
        )
        await anext(aiter(events))
        stopped = asyncio.create_task(asyncio.to_thread(running.run, running.gateway.stop()))
        text = "".join([one.choices[0].delta.content or "" async for one in events])
    assert text == "word" * 20
    await stopped
    event = ended(running, "drain-1")
    assert (event.status, event.error_type, event.usage.total_tokens) == (200, "", 15)
    with pytest.raises(ConnectionError):
        running.get("/livez")


def test_while_it_drains_it_is_not_ready_but_still_answers(start: Watched, provider: Provider) -> None:
    running = stopping(start, provider, 0.6)
    kept = http.client.HTTPConnection(running.host, running.port, timeout=5)
    kept.request("GET", "/livez")
    assert kept.getresponse().read() == b"ok"
    provider.answers(stream("late"))
    with ThreadPoolExecutor() as pool:
        began = time.monotonic()
        stopped = pool.submit(running.run, running.gateway.stop())
        while not running.gateway.serve.draining:
            time.sleep(0.005)
        ready = running.get("/readyz", key=None)
        live = running.get("/livez?verbose", key=None)
        late = running.chat("hi", model="fast", stream=True)
        kept.request("GET", "/livez")
        last = kept.getresponse()
        last.read()
        stopped.result()
    assert time.monotonic() - began >= 0.6
    assert (ready.status, ready.body) == (
        503,
        b"[-]shutdown failed: draining\n[+]config ok\nreadyz check failed",
    )
    assert (live.status, live.body.splitlines()[-1]) == (503, b"livez check failed")
    assert (late.status, b"late" in late.body) == (200, True)
    assert late.headers["connection"] == last.getheader("connection") == "close"
    kept.close()


def test_what_does_not_end_is_settled_when_the_gateway_is_closed(start: Watched, provider: Provider) -> None:
    running = stopping(start, provider, 0)
    provider.answers(Stall())
    got: list[HttpReply | Exception] = []

    def ask() -> None:
        asked = {"model": "fast", "messages": HELLO}
        try:
            got.append(running.post("/v1/chat/completions", asked, headers={ID: "closed-1"}))
        except (OSError, http.client.HTTPException) as error:
            got.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    provider.wait_requests()
    directory = running.gateway.process.journal.directory
    running.close()
    thread.join(5)
    assert len(got) == 1
    provider.departure()
    lines = [
        json.loads(line)
        for path in directory.glob("*")
        if path.is_file()
        for line in _lines(path.read_bytes())
    ]
    assert [line["data"]["status"] for line in lines if line["data"]["request_id"] == "closed-1"] == [499]


def _lines(text: bytes) -> list[bytes]:
    return [line for line in text.splitlines() if line.startswith(b'{"seq"')]


async def test_stopping_twice_does_no_harm(start: Watched, provider: Provider) -> None:
    running = stopping(start, provider, 0)
    running.run(running.gateway.stop())
    running.close()
    async with asynchronous(running) as client:
        with pytest.raises(openai.APIConnectionError):
            await client.chat.completions.create(model="fast", messages=HELLO)
