"""What a scrape of many rows costs, and that requests are served while it is rendered.

The limits are several times what is measured on an idle machine; the README has those figures.
"""

from __future__ import annotations

import asyncio
import time
import timeit
import tracemalloc

from hookway_plugins.sink_prometheus.plugin import MetricsRoute, RequestCounter
from hookway_plugins.sink_prometheus.settings import PrometheusSettings
from hookway_sdk import OperatorRequest, RequestEnded, Usage
from hookway_sdk.testing.services import RecordingServices, make_services

ROWS = 10_000
GET = OperatorRequest("GET", "/metrics", "", {}, b"", "127.0.0.1")


def events() -> list[RequestEnded]:
    """Return one request of each of many callers."""
    return [
        RequestEnded(
            request_id="r",
            endpoint="/v1/chat/completions",
            protocol="openai",
            provider="openai",
            model=f"model-{number % 20}",
            target_model=f"gpt-{number % 20}",
            provider_key_id="6f1c2e8a-6f0e-4c3a-9a53-2f8f1b7f6a10",
            provider_key_name="main",
            key_id=f"6f1c2e8a-6f0e-4c3a-9a53-{number:012}",
            team_id=f"team-{number % 200}",
            user_id=f"user-{number}",
            user_name=f"user {number}",
            auth_method="api_key",
            status=200,
            last_attempt="initial",
            attempts=1,
            latency_ms=float(number + 1),
            user_agent="OpenAI/Python 1.40.0",
            usage=Usage(120, 30),
        )
        for number in range(ROWS)
    ]


def counter_of(services: RecordingServices) -> RequestCounter:
    return RequestCounter("sink_prometheus", PrometheusSettings(), services)


async def test_a_scrape_of_many_rows_is_quick_and_lets_others_run() -> None:
    services = make_services("sink_prometheus")
    counter = counter_of(services)
    for event in events():
        counter.record(event)
    route = MetricsRoute("sink_prometheus", PrometheusSettings(), services)
    await route.metrics(GET)  # imports what it needs
    longest, beats, stop = 0.0, 0, False

    async def beat() -> None:
        nonlocal longest, beats
        last = time.perf_counter()
        while not stop:
            await asyncio.sleep(0)
            now = time.perf_counter()
            longest, last, beats = max(longest, now - last), now, beats + 1

    heart = asyncio.create_task(beat())
    await asyncio.sleep(0)
    began = time.perf_counter()
    body = b"".join((await route.metrics(GET)).body)  # type: ignore[arg-type]
    took = time.perf_counter() - began
    stop = True
    await heart
    assert body.count(b"\nhookway_proxy_requests_total{") == ROWS
    assert beats >= 3, "nobody else ran"
    assert took < 0.6, f"{took * 1000:.0f} ms"
    assert longest < 0.06, f"the loop stood still for {longest * 1000:.0f} ms"


def test_counting_a_request_takes_about_a_microsecond() -> None:
    counter = counter_of(make_services("sink_prometheus"))
    event = events()[0]
    counter.record(event)
    took = min(timeit.repeat(lambda: counter.record(event), number=5_000, repeat=5)) / 5_000
    assert took < 5e-6, f"{took * 1e6:.2f} µs"


def test_a_row_takes_less_than_a_kilobyte_and_a_half() -> None:
    seen = events()
    counter = counter_of(make_services("sink_prometheus"))
    tracemalloc.start()
    try:
        for event in seen:
            counter.record(event)
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used / ROWS < 1_500 * 1.2, f"{used / ROWS:.0f} bytes"
