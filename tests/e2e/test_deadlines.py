"""Every deadline that a request can meet: to connect, for the first event, and for all of it together."""

from __future__ import annotations

import time
from typing import Any

import pytest
from callers import HELLO, ID, asynchronous, attempts, ended, read_stream
from openai_wire import answer, chunk, refusal, stream
from scripted_provider import Provider
from watched import Watched

from hookway.testing import HttpReply, RunningGateway
from hookway_sdk.testing.scripted_upstream import Delay, Reply, Stall, sse_reply

SHORT = 200
"""Milliseconds."""

SILENT_HOST = "http://192.0.2.1:9/v1"
"""An address of the documentation's range (RFC 5737): packets to it are answered by nobody."""


@pytest.fixture(scope="module")
def running(start_shared: Watched, provider_server: Provider) -> RunningGateway:
    account = provider_server.account()
    pair = {"targets": [{"model": "slow-start"}, {"model": "b"}]}
    rows: dict[str, dict[str, Any]] = {
        "a": {"model": "openai/model-a", **account},
        "b": {"model": "openai/model-b", **account},
        "slow-start": {"model": "openai/model-a", **account, "first_token_timeout": SHORT},
        "pair": {"routing": pair},
        "pair-by-group": {
            "routing": {"targets": [{"model": "a"}, {"model": "b"}]},
            "first_token_timeout": SHORT,
        },
        "in-all": {"model": "openai/model-a", **account, "retries": 5, "total_timeout": SHORT},
        "in-all-pair": {
            "routing": {"targets": [{"model": "a"}, {"model": "b"}]},
            "total_timeout": SHORT,
        },
        "silent": {"model": "openai/model-a", **account, "api_base": SILENT_HOST, "connect_timeout": SHORT},
    }
    return start_shared(resources={"models": [{"name": name, **row} for name, row in rows.items()]})


def ask(running: RunningGateway, model: str, request_id: str, **members: Any) -> tuple[HttpReply, float]:
    began = time.monotonic()
    got = (
        running.chat("hello", model=model, **members)
        if not request_id
        else running.post(
            "/v1/chat/completions", {"model": model, "messages": HELLO, **members}, headers={ID: request_id}
        )
    )
    return got, time.monotonic() - began


def thinking() -> Reply:
    """Return a stream that begins with comments only, as some servers do while a model loads."""
    return sse_reply([b": processing\n\n"] * 40, 0.05)


@pytest.mark.parametrize("group", ["pair", "pair-by-group"])
async def test_the_next_target_streams_when_the_first_event_is_late(
    running: RunningGateway, provider: Provider, group: str
) -> None:
    provider.answers(thinking(), model="model-a")
    provider.answers(stream("from ", "b"), model="model-b")
    async with asynchronous(running) as client:
        events = await client.chat.completions.create(
            model=group, messages=HELLO, stream=True, extra_headers={ID: f"late-{group}"}
        )
        assert await read_stream(events) == ("from b", None)
    first, second = attempts(running, f"late-{group}")
    assert (first.error_kind, first.target, second.error_kind) == ("timeout", first.target, "")
    assert SHORT - 50 < first.latency_ms < SHORT + 400


def test_a_late_first_event_is_a_timeout_where_no_other_target_is(
    running: RunningGateway, provider: Provider
) -> None:
    provider.answers(thinking(), model="model-a")
    got, _ = ask(running, "slow-start", "late-alone", stream=True)
    assert (got.status, got.json()["error"]["type"]) == (504, "timeout")
    assert f"{SHORT}ms" in got.json()["error"]["message"]


def test_a_stream_that_began_in_time_may_go_on(running: RunningGateway, provider: Provider) -> None:
    provider.answers(stream(*["word "] * 5, delay=0.1), model="model-a")
    got, seconds = ask(running, "slow-start", "long", stream=True)
    assert got.status == 200
    assert got.body.endswith(b"data: [DONE]\n\n")
    assert seconds > SHORT / 1000


def test_retries_and_pauses_end_with_the_time_of_the_whole_request(
    running: RunningGateway, provider: Provider
) -> None:
    provider.answers(refusal(500, "oops"), model="model-a")
    got, seconds = ask(running, "in-all", "in-all-1")
    # The first pause alone would be longer than what is left.
    assert (got.status, got.json()["error"]["message"]) == (502, "upstream returned 500")
    assert seconds < SHORT / 1000 + 0.2
    assert ended(running, "in-all-1").attempts == 1


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
def test_the_time_of_the_whole_request_bounds_its_attempt(
    running: RunningGateway, provider: Provider, streams: bool
) -> None:
    provider.answers(Stall(), model="model-a")
    got, seconds = ask(running, "in-all-pair", f"all-{streams}", stream=streams)
    assert (got.status, got.json()["error"]["type"]) == (504, "timeout")
    assert SHORT / 1000 - 0.05 < seconds < SHORT / 1000 + 0.4
    assert provider.asked == ["model-a"]


async def test_the_time_of_the_whole_request_ends_a_stream_in_its_own_form(
    running: RunningGateway, provider: Provider
) -> None:
    provider.answers(sse_reply([chunk({"content": "x"})] * 100, 0.02), model="model-a")
    async with asynchronous(running) as client:
        events = await client.chat.completions.create(model="in-all", messages=HELLO, stream=True)
        text, error = await read_stream(events)
    assert text.startswith("xx")
    assert error["type"] == "timeout"


def test_a_host_that_nobody_answers_for_is_left_after_the_models_own_time(
    running: RunningGateway, provider: Provider
) -> None:
    got, seconds = ask(running, "silent", "silent-1")
    assert got.status in (502, 504), got.body  # a network without such a route says so at once
    assert seconds < SHORT / 1000 + 0.5


def test_the_deployments_own_deadlines_hold_where_models_say_nothing(
    start: Watched, provider: Provider
) -> None:
    account = provider.account()
    running = start(
        {"upstream": {"first_token_timeout_ms": SHORT, "total_timeout_ms": 2 * SHORT}},
        resources={
            "models": [
                {"name": "a", "model": "openai/model-a", **account},
                {"name": "free", "model": "openai/model-a", **account, "total_timeout": 0},
            ]
        },
    )
    provider.answers(thinking(), model="model-a")
    got, _ = ask(running, "a", "", stream=True)
    assert f"{SHORT}ms" in got.json()["error"]["message"]
    provider.answers(Stall(), model="model-a")
    got, seconds = ask(running, "a", "")
    assert (got.status, seconds < 1) == (504, True)
    provider.answers([Delay(0.6), answer()], model="model-a")
    assert ask(running, "free", "")[0].status == 200
